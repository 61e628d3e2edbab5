// Windows, timers and joins whose state is on the disk, under deaths at any moment: every record counts once.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/api/interval_join.hpp>
#include <dataflow/api/windowed_stream.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "tests/support/effort.hpp"
#include "tests/support/restarts.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

struct reading {
  std::int64_t key = 0, value = 0, at = 0; // milliseconds
  timestamp time() const { return timestamp{std::chrono::milliseconds{at}}; }
};
struct sums {
  std::int64_t create_accumulator() const { return 0; }
  void add(const reading& r, std::int64_t& sum) const { sum += r.value; }
  std::int64_t get_result(const std::int64_t& sum) const { return sum; }
  std::int64_t merge(const std::int64_t& a, const std::int64_t& b) const { return a + b; }
};

constexpr std::int64_t readings = 600, sensors = 11;

} // namespace
DATAFLOW_RECORD(reading, key, value, at);

namespace {

/// Says of a key when 25 ms have passed since one of its records, and when it has counted more than it has.
class counts_later : public keyed_process_function<std::int64_t, reading, std::string> {
  value_state<std::int64_t> seen_ = state("seen");

public:
  void process(const reading& r, context& ctx, collector<std::string>&) override {
    ++seen_.edit();
    ctx.timers().register_event_time(r.time() + 25ms);
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect("timer " + std::to_string(ctx.key()) + " " + std::to_string(t.time_since_epoch().count()));
    if (*seen_ > readings / sensors + 1) out.collect("too many");
  }
};

const auto with_bounds = [](const std::int64_t& key, window_context<time_window>& ctx, const std::int64_t& sum,
                            collector<std::string>& out) {
  out.collect(std::to_string(key) + " " + std::to_string(ctx.window().start.time_since_epoch().count()) + ".." +
              std::to_string(ctx.window().end.time_since_epoch().count()) + " " + std::to_string(sum));
};

/// What the job collects, sorted: sliding windows, sessions, timers and an interval join over the same readings.
std::vector<std::string> collected_by(const std::shared_ptr<simulated_cluster>& cluster, const char* backend,
                                      const char* incremental, const char* unaligned) {
  environment_options o;
  o.runner = cluster;
  environment env{o};
  env.set_parallelism(2);
  restart_at_fixed_delay(env, 100, "10 ms");
  env.configure("taskmanager.batch.records", "8");
  env.configure("execution.buffer-timeout", "1 ms");
  env.configure("execution.checkpointing.interval", "15 ms");
  env.configure("execution.checkpointing.dir", "/checkpoints");
  env.configure("execution.checkpointing.tolerable-failed-checkpoints", "1000");
  env.configure("execution.checkpointing.incremental", incremental);
  env.configure("execution.checkpointing.unaligned.enabled", unaligned);
  env.configure("state.backend.type", backend);
  auto all =
      env.sequence(1, readings, 3000)
          .map([](const std::int64_t& n) {
            return reading{n * 7 % sensors, n, n ^ 7};
          })
          .assign_timestamps_and_watermarks(watermark_strategy<reading>::punctuated([](const reading&, timestamp t) {
                                              return std::optional{t - 8ms};
                                            }).with_timestamp(&reading::time));
  auto by_key = all.key_by(&reading::key);
  auto sliding = by_key.window(sliding_event_time_windows{60ms, 20ms}).aggregate(sums{}, with_bounds).uid("sliding");
  auto sessions = by_key.window(event_time_session_windows{12ms}).aggregate(sums{}, with_bounds).uid("sessions");
  auto timers = by_key.process<counts_later>().uid("timers");
  auto pairs = by_key.interval_join(by_key)
                   .between(0ms, 12ms)
                   .process([](const reading& l, const reading& r, collector<std::string>& out) {
                     out.collect("pair " + std::to_string(l.value) + " " + std::to_string(r.value));
                   })
                   .uid("pairs");
  auto lines = sliding.union_with(sessions).union_with(timers).union_with(pairs).collect();
  std::sort(lines.begin(), lines.end());
  return lines;
}

void check_deaths(std::uint64_t seeds, const char* incremental, const char* unaligned) {
  log_capture quiet;
  auto calm = std::make_shared<simulated_cluster>(1);
  const auto expected = collected_by(calm, "hashmap", "false", "false");
  REQUIRE(expected.size() > 1000);
  const auto steps = calm->steps();
  std::uint32_t kills = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed ", seed, " incremental ", incremental, " unaligned ", unaligned);
    auto sim = std::make_shared<simulated_cluster>(seed);
    random_source choices{seed * 7919};
    const actor_kind kinds[] = {actor_kind::task, actor_kind::slot, actor_kind::task_manager};
    for (int i = 0; i < 3; ++i)
      sim->kill_after(choices.below(steps * 5 / 4), kinds[choices.below(3)]);
    REQUIRE(collected_by(sim, "rocksdb", incremental, unaligned) == expected);
    kills += sim->kills();
  }
  CHECK(kills >= seeds);
}

} // namespace

TEST_CASE("tasks with windows, timers and joins on the disk die at any moment: every record counts once") {
  check_deaths(rounds(6), "false", "false");
  check_deaths(rounds(8), "true", "false");
}

TEST_CASE("the same with unaligned checkpoints") { check_deaths(rounds(6), "true", "true"); }
