/// A cluster whose actors a test can reach and kill, and a job that runs until it is told to end.
#pragma once

#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/operators/map.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/util/platform.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>

#include <condition_variable>
#include <future>
#include <map>
#include <mutex>

namespace dataflow::test {

class test_cluster {
public:
  using hook = std::function<void(std::string_view kind, std::size_t number, const caf::actor& who)>;

  /// `spawned` is called for every actor of the cluster, with its number among those of its kind, from 1.
  /// `reached`: see cluster_context.
  explicit test_cluster(configuration s = {}, hook spawned = {}, std::uint32_t max_restarts = 3,
                        decltype(actors::cluster_context::reached) reached = {})
      : settings(std::move(s)), hook_(std::move(spawned)) {
    actors::cluster_context context;
    context.world = &system_platform();
    context.max_restarts = max_restarts;
    context.reached = std::move(reached);
    context.spawned = [this](std::string_view kind, const caf::actor& who) {
      std::size_t number = 0;
      {
        std::lock_guard lock{mutex_};
        auto& known = known_[std::string{kind}];
        known.push_back(who.address());
        number = known.size();
        changed_.notify_all();
      }
      if (hook_) hook_(kind, number, who);
    };
    auto ended = std::make_shared<std::promise<void>>();
    all_ended_ = ended->get_future();
    context.alive = std::shared_ptr<const void>(new char, [ended](const char* c) {
      delete c;
      ended->set_value();
    });
    root = actors::spawn_cluster(system, std::move(context), settings);
  }
  ~test_cluster() {
    caf::anon_send_exit(root, caf::exit_reason::user_shutdown);
    root = nullptr;
    all_ended_.wait();
  }

  actors::client_pair start(std::shared_ptr<const stream_graph> graph) {
    auto job = actors::make_submission(std::move(graph), settings, ++seed_, system_platform());
    auto client = actors::make_client(system, root, *job, nullptr);
    actors::hand_in(system, root, job, client);
    return client;
  }
  /// Waits for the n-th actor of a kind; kills the newest of the kind.
  void kill(const std::string& kind, std::size_t n = 1) {
    caf::actor_addr victim;
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [&] { return known_[kind].size() >= n; });
      victim = known_[kind].back();
    }
    caf::anon_send_exit(victim, caf::exit_reason::kill);
  }
  std::size_t count(const std::string& kind) {
    std::lock_guard lock{mutex_};
    return known_[kind].size();
  }
  void wait_for(const std::string& kind, std::size_t n) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return known_[kind].size() >= n; });
  }
  std::string tree() {
    std::string text;
    caf::scoped_actor self{system};
    self->request(root, std::chrono::seconds{30}, actors::describe_tree{})
        .receive([&](std::string& t) { text = std::move(t); }, [](caf::error&) {});
    return text;
  }

  configuration settings;
  struct system_config : caf::actor_system_config {
    system_config() { actors::configure(*this, 2); }
  } config;
  caf::actor_system system{config};
  caf::actor root;

private:
  hook hook_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<caf::actor_addr>> known_;
  std::future<void> all_ended_;
  std::uint64_t seed_ = 0;
};

/// Shared by a test and the job that it runs.
struct job_control {
  std::atomic<bool> may_end{false};
  std::atomic<std::int64_t> consumed{0};
  /// Until so many more records have come out of the job.
  void wait_for_records(job_client& job, std::int64_t more) {
    const auto until = consumed.load() + more;
    while (consumed.load() < until && !job.wait_for(std::chrono::milliseconds{1})) {
    }
  }
};

/// Of sources without splits.
struct idle_enumerator final : split_enumerator {
  void start(enumerator_context&) override {}
  void split_requested(enumerator_context&, std::uint32_t) override {}
  void splits_returned(enumerator_context&, std::uint32_t, std::vector<source_split>) override {}
  std::string snapshot(std::uint64_t) override { return {}; }
};

/// 0, 1, 2 ... at an easy pace until it may end.
class paced_source final : public source<std::int64_t> {
public:
  explicit paced_source(std::shared_ptr<job_control> c) : control_(std::move(c)) {}
  boundedness bounds() const noexcept override { return boundedness::unbounded; }
  std::unique_ptr<source_reader<std::int64_t>> make_reader() const override {
    return std::make_unique<reader>(control_);
  }
  std::unique_ptr<split_enumerator> make_enumerator() const override { return std::make_unique<idle_enumerator>(); }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string&) const override { return make_enumerator(); }

private:
  struct reader final : source_reader<std::int64_t> {
    explicit reader(std::shared_ptr<job_control> c) : control(std::move(c)) {}
    void open(reader_context& context) override { time = context.platform().clock; }
    void add_splits(std::vector<source_split>) override {}
    void no_more_splits() override {}
    std::vector<source_split> snapshot(std::uint64_t) override { return {}; }
    poll_result poll(source_output<std::int64_t>& out) override {
      if (control->may_end && next >= 100) return poll_result::end();
      if (time->now() < due) return poll_result::wait_until(due);
      for (int i = 0; i < 10; ++i)
        out.collect(next++);
      due = time->now() + std::chrono::milliseconds{1};
      return poll_result::more();
    }
    std::shared_ptr<job_control> control;
    const clock* time = nullptr;
    std::int64_t next = 0;
    steady_time due{0};
  };
  std::shared_ptr<job_control> control_;
};

class counting_sink final : public stream_operator {
public:
  explicit counting_sink(std::shared_ptr<job_control> c) : control_(std::move(c)) {}
  void process(unsigned, batch_slice& slice) override {
    control_->consumed += static_cast<std::int64_t>(slice.limit - slice.cursor);
    slice.cursor = slice.limit;
  }

private:
  std::shared_ptr<job_control> control_;
};

/// paced source (1) -> f (2) -> counting sink (1): four tasks, two slots, one region.
template <class F>
std::shared_ptr<stream_graph> paced_job(std::shared_ptr<job_control> control, F f) {
  auto g = std::make_shared<stream_graph>();
  g->settings.buffer_timeout = std::chrono::milliseconds{1};
  auto& source = g->add(node_kind::source, "Source: paced");
  source.source = factories_of(paced_source{control});
  source.output_type = &record_type_of<std::int64_t>();
  source.parallelism = 1;
  auto& map = g->add(node_kind::one_input, "Map");
  map.make_operator = [f] { return std::make_unique<map_operator<std::int64_t, std::int64_t, F>>(f); };
  map.output_type = &record_type_of<std::int64_t>();
  map.parallelism = 2;
  auto& sink = g->add(node_kind::sink, "Sink: count");
  sink.make_operator = [control] { return std::make_unique<counting_sink>(control); };
  sink.parallelism = 1;
  g->connect(0, 1);
  g->connect(1, 2);
  return g;
}
inline std::shared_ptr<stream_graph> paced_job(std::shared_ptr<job_control> control) {
  return paced_job(std::move(control), [](std::int64_t x) { return x; });
}

/// Restart at once, so often.
inline configuration restarting(int attempts) {
  configuration c;
  c.set("restart-strategy.type", "fixed-delay");
  c.set("restart-strategy.fixed-delay.attempts", std::to_string(attempts));
  c.set("restart-strategy.fixed-delay.delay", "0 ms");
  return c;
}

/// A hang is a failure, not a time-out of the whole test run.
inline job_result result_of(job_client& job) {
  REQUIRE(job.wait_for(std::chrono::seconds{90}));
  return job.wait();
}

} // namespace dataflow::test
