// A watermark that fires very many timers holds up neither a cancel nor a barrier.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t timer_keys = 200'000;

/// One timer per key; the end of the input fires them all.
class one_timer_each : public keyed_process_function<std::int64_t, std::int64_t, std::int64_t> {
public:
  explicit one_timer_each(std::shared_ptr<std::int64_t> fired) : fired_(std::move(fired)) {}
  void process(const std::int64_t&, context& ctx, collector<std::int64_t>&) override {
    ctx.timers().register_event_time(timestamp{1ms});
  }
  void on_timer(timestamp, timer_context& ctx, collector<std::int64_t>& out) override {
    ++*fired_;
    out.collect(ctx.key());
  }

private:
  std::shared_ptr<std::int64_t> fired_;
};

} // namespace

TEST_CASE("a cancel does not wait for the timers that a watermark fires") {
  for (const bool cancelled : {true, false}) {
    simulated_cluster cluster{5};
    environment_options o;
    o.runner = std::shared_ptr<executor>{std::shared_ptr<void>{}, &cluster};
    environment env{o};
    env.set_parallelism(1);
    auto fired = std::make_shared<std::int64_t>(0);
    env.sequence(1, timer_keys).key_by([](std::int64_t n) { return n; }).process<one_timer_each>(fired).discard();
    auto job = env.execute_async("many timers");
    while (*fired == 0 && !job->wait_for(1ms)) {
    }
    REQUIRE(*fired > 0);
    if (cancelled) job->cancel();
    const auto status = job->wait().status;
    CHECK(status == (cancelled ? job_status::canceled : job_status::finished));
    if (cancelled)
      CHECK(*fired < timer_keys / 2);
    else
      CHECK(*fired == timer_keys);
  }
}

TEST_CASE(
    "a barrier does not wait for the timers that a watermark fires, and those that are left fire after a restart") {
  log_capture quiet;
  simulation_settings settings;
  settings.settings.set("execution.checkpointing.interval", "1 h");
  settings.settings.set("execution.checkpointing.unaligned.enabled", "true");
  settings.settings.set("restart-strategy.type", "fixed-delay");
  settings.settings.set("restart-strategy.fixed-delay.delay", "1 ms");
  simulated_cluster cluster{5, settings};
  environment_options o;
  o.runner = std::shared_ptr<executor>{std::shared_ptr<void>{}, &cluster};
  environment env{o};
  env.set_parallelism(1);
  auto fired = std::make_shared<std::int64_t>(0);
  auto keys = std::make_shared<std::vector<int>>(timer_keys, 0);
  // The last key makes all timers due; the source stays, and its watermarks advance.
  auto marks = watermark_strategy<std::int64_t>::punctuated([](const std::int64_t& n, timestamp) {
    return n + 1 == timer_keys || (n > timer_keys && n % 20'000 == 0)
               ? std::optional{timestamp{std::chrono::milliseconds{n}}}
               : std::nullopt;
  });
  env.generate([](std::int64_t i) { return i; }, {.records_per_second = 200'000})
      .assign_timestamps_and_watermarks(marks)
      .filter([](const std::int64_t& n) { return n < timer_keys; })
      .key_by([](std::int64_t n) { return n; })
      .process<one_timer_each>(fired)
      .map([keys](std::int64_t k) {
        ++(*keys)[static_cast<std::size_t>(k)];
        return k;
      })
      .discard();
  auto job = env.execute_async("many timers");
  while (*fired == 0 && !job->wait_for(1ms)) {
  }
  REQUIRE(*fired > 0);
  job->trigger_checkpoint();
  const auto before = *fired;
  CHECK(before < timer_keys / 2);
  REQUIRE(cluster.kill(actor_kind::task));
  while (std::count(keys->begin(), keys->end(), 0) > 0 && !job->wait_for(20ms)) {
  }
  CHECK(job->report().checkpoints.restored > 0);
  CHECK(std::count(keys->begin(), keys->end(), 0) == 0);
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
}
