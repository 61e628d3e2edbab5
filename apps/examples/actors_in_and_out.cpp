// Two actors and a pipeline between them, in one actor_system: clicks go in as messages, totals come out as messages.
//   build/release/actors_in_and_out [CLICKS]
// The visitors actor sends clicks in batches, as fast as the feed's credit allows. The pipeline counts them per page.
// The dashboard actor keeps what it is told, and prints it when the job, which it monitors like any other actor, is
// done.
#include <dataflow/actors/actors.hpp>

#include <caf/all.hpp>

#include <charconv>
#include <iostream>

using namespace dataflow;

struct click {
  std::string page;
  std::int64_t visitor;
};
DATAFLOW_RECORD(click, page, visitor);

struct page_total {
  std::string page;
  std::int64_t clicks;
};
DATAFLOW_RECORD(page_total, page, clicks);

namespace {

constexpr const char* pages[] = {"home", "search", "basket", "help"};
constexpr std::int64_t batch_size = 100;

class visitors_actor final : public caf::event_based_actor {
public:
  visitors_actor(caf::actor_config& config, caf::actor feed, std::int64_t clicks)
      : event_based_actor(config), feed_(std::move(feed)), clicks_(clicks) {}
  caf::behavior make_behavior() override {
    send_more(1); // the first answer says how many may be under way
    return {[] {}};
  }
  void on_exit() override { feed_ = nullptr; }

private:
  void send_more(std::uint32_t credit) {
    for (; credit > 0 && next_ < clicks_; --credit) {
      actors::feed_batch<click> batch{++sequence_, {}};
      for (auto left = batch_size; left > 0 && next_ < clicks_; --left, ++next_)
        batch.records.push_back({pages[next_ % 7 % 4], next_});
      ++under_way_;
      request(feed_, caf::infinite, std::move(batch))
          .then(
              [this](const actors::feed_ack& ack) {
                --under_way_;
                send_more(ack.credit);
              },
              [this](caf::error& e) { quit(std::move(e)); }); // the job is gone
    }
    if (next_ < clicks_ || under_way_ > 0) return;
    send(feed_, actors::feed_close{});
    quit();
  }

  caf::actor feed_;
  const std::int64_t clicks_;
  std::int64_t next_ = 0;
  std::uint64_t sequence_ = 0;
  int under_way_ = 0;
};

/// Is told the job's handle; answers with its exit code when the job has ended.
class dashboard_actor final : public caf::event_based_actor {
public:
  using event_based_actor::event_based_actor;
  caf::behavior make_behavior() override {
    set_down_handler([this](caf::down_msg& m) {
      if (m.reason && m.reason != caf::exit_reason::normal) {
        std::cerr << actors::from_caf(m.reason, "the job").to_string() << '\n';
        done_.deliver(1);
      } else {
        for (auto& [page, clicks] : totals_)
          std::cout << page << ' ' << clicks << '\n';
        done_.deliver(0);
      }
    });
    return {
        [this](const actors::sink_batch<page_total>& m) {
          for (auto& t : m.records)
            totals_[t.page] = t.clicks;
        },
        [this](const caf::actor& job) {
          done_ = make_response_promise<int>();
          monitor(job);
          return done_;
        },
    };
  }

private:
  std::map<std::string, std::int64_t> totals_;
  caf::typed_response_promise<int> done_;
};

} // namespace

int main(int argc, char** argv) {
  std::int64_t clicks = 10'000;
  if (argc > 1) {
    const std::string_view text = argv[1];
    if (std::from_chars(text.data(), text.data() + text.size(), clicks).ptr != text.data() + text.size() ||
        clicks < 0) {
      std::cerr << "usage: actors_in_and_out [CLICKS]\n";
      return 2;
    }
  }
  caf::actor_system_config config;
  actors::configure(config); // what the engine needs
  caf::actor_system system{config};
  auto cluster = std::make_shared<actors::embedded_cluster>(system);

  environment env;
  auto dashboard = system.spawn<dashboard_actor>();
  auto [feed, stream] = actors::actor_source<click>(env, system, "clicks");
  stream.map([](const click& c) {
          return page_total{c.page, 1};
        })
      .key_by(&page_total::page)
      .sum(&page_total::clicks)
      .sink_to(actors::actor_sink<page_total>{dashboard})
      .set_parallelism(1);
  auto job = cluster->start(env, "clicks per page");
  system.spawn<visitors_actor>(std::exchange(feed, {}), clicks);

  int code = 1;
  caf::scoped_actor self{system};
  self->request(dashboard, caf::infinite, job.actor).receive([&](int c) { code = c; }, [](caf::error&) {});
  self->send_exit(dashboard, caf::exit_reason::user_shutdown);
  return code;
}
