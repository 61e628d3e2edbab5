#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <tests/actors/actor_io.hpp>
#include <tests/support/effort.hpp>

using namespace dataflow;
using namespace dataflow::test;

namespace {

/// Sends 1..count in batches of 7, as its credit allows, then closes.
class counting_sender final : public caf::event_based_actor {
public:
  counting_sender(caf::actor_config& config, caf::actor feed, std::int64_t count)
      : event_based_actor(config), feed_(std::move(feed)), count_(count) {}
  caf::behavior make_behavior() override {
    send_more(1);
    return {[] {}};
  }
  void on_exit() override { feed_ = nullptr; }

private:
  void send_more(std::uint32_t credit) {
    for (; credit > 0 && last_ < count_; --credit) {
      actors::feed_batch<std::int64_t> batch{++sequence_, {}};
      while (last_ < count_ && batch.records.size() < 7)
        batch.records.push_back(++last_);
      ++under_way_;
      request(feed_, caf::infinite, std::move(batch))
          .then(
              [this](const actors::feed_ack& ack) {
                --under_way_;
                send_more(ack.credit);
              },
              [this](caf::error& e) { quit(std::move(e)); });
    }
    if (last_ < count_ || under_way_ > 0) return;
    send(feed_, actors::feed_close{});
    quit();
  }
  caf::actor feed_;
  const std::int64_t count_;
  std::int64_t last_ = 0;
  std::uint64_t sequence_ = 0;
  int under_way_ = 0;
};

struct simulated_outcome {
  numbers records;
  std::uint64_t trace = 0;
  job_status status = job_status::failed;
};

simulated_outcome simulated(std::uint64_t seed, std::int64_t readers) {
  auto cluster = std::make_shared<simulated_cluster>(seed);
  auto state = std::make_shared<receiver_state>();
  simulated_outcome o;
  environment env{{.runner = cluster}};
  auto to = cluster->system().spawn<receiver>(state);
  auto made = actors::actor_source<std::int64_t>(env, cluster->system(), "numbers", {2});
  made.stream.set_parallelism(readers);
  made.stream.map([](std::int64_t n) { return -n; })
      .sink_to(actors::actor_sink<std::int64_t>{to, {1, {}}})
      .set_parallelism(1);
  auto job = env.execute_async("simulated");
  cluster->system().spawn<counting_sender>(std::exchange(made.feed, {}), 200);
  const auto r = job->wait();
  o.status = r.status;
  o.records = state->records();
  o.trace = cluster->trace_hash();
  return o;
}

/// Monitors a job, like any actor would, and keeps how it ended.
caf::error reason_of(caf::actor_system& system, const caf::actor& job) {
  std::promise<caf::error> promise;
  auto future = promise.get_future();
  auto watcher = system.spawn([&promise, job](caf::event_based_actor* self) -> caf::behavior {
    self->set_down_handler([self, &promise](caf::down_msg& m) {
      promise.set_value(m.reason);
      self->quit();
    });
    self->monitor(job);
    return {[] {}};
  });
  REQUIRE(future.wait_for(std::chrono::seconds{90}) == std::future_status::ready);
  return future.get();
}

} // namespace

TEST_CASE("two actors and a pipeline in a simulation: one thread, virtual time, the same again from the same seed") {
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
    CAPTURE(seed);
    for (std::int64_t readers : {1, 2}) {
      auto o = simulated(seed, readers);
      CHECK(o.status == job_status::finished);
      CHECK(simulated(seed, readers).trace == o.trace);
      if (readers == 2) std::sort(o.records.begin(), o.records.end(), std::greater<>{});
      numbers expected;
      for (auto n : range(1, 200))
        expected.push_back(-n);
      CHECK(o.records == expected);
    }
  }
}

TEST_CASE("an actor that monitors a job learns how it ended") {
  log_capture log;
  actor_io io;
  auto& system = io.cluster->system();
  auto kept = std::make_shared<kept_records>();
  auto slow = [&](environment& env) {
    return env.generate([](std::int64_t n) { return n; }, {.count = {}, .records_per_second = 1000});
  };
  SUBCASE("finished: normal") {
    io.env.sequence(1, 10).discard();
    CHECK(reason_of(system, io.cluster->start(io.env).actor) == caf::exit_reason::normal);
  }
  SUBCASE("failed: the error, with code and text") {
    io.env.sequence(1, 10).map([](std::int64_t) -> std::int64_t { throw std::logic_error{"no"}; }).discard();
    const auto why = actors::from_caf(reason_of(system, io.cluster->start(io.env).actor), "the job");
    CHECK(why.code() == errc::user_function_failed);
    CHECK(has(why.cause(), "std::logic_error: no"));
  }
  SUBCASE("cancelled: job_canceled") {
    slow(io.env).sink_to([kept](std::int64_t n) { kept->add(n); });
    auto job = io.cluster->start(io.env, "cancelled one");
    kept->wait_for(1);
    job.client->cancel();
    const auto why = actors::from_caf(reason_of(system, job.actor), "the job");
    CHECK(why.code() == errc::job_canceled);
    CHECK(why.cause() == "job \"cancelled one\" was cancelled");
  }
  SUBCASE("its cluster is gone") {
    slow(io.env).discard();
    auto job = io.cluster->start(io.env);
    io.self->send_exit(io.cluster->job_manager(), caf::exit_reason::kill);
    const auto why = actors::from_caf(reason_of(system, job.actor), "the job");
    CHECK(why.code() == errc::component_lost);
    CHECK(has(why.cause(), "the job manager"));
  }
  SUBCASE("it had ended before") {
    io.env.sequence(1, 10).discard();
    auto job = io.cluster->start(io.env);
    CHECK(result_of(*job.client).status == job_status::finished);
    CHECK(reason_of(system, job.actor) == caf::exit_reason::normal);
  }
}
