// Jobs with checkpoints under deaths at any moment: every record is counted once.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include "tests/support/effort.hpp"
#include "tests/support/simulated_jobs.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

/// Backends and forms of checkpoints.
struct kept_in {
  const char* backend = "hashmap";
  bool incremental = false;
  const char* unaligned = nullptr; ///< when barriers begin to overtake; null: never
};

simulation_settings with_checkpoints(std::uint32_t task_managers, const char* mode = "EXACTLY_ONCE",
                                     kept_in where = {}) {
  simulation_settings s;
  s.task_managers = task_managers;
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.attempts", "100");
  s.settings.set("restart-strategy.fixed-delay.delay", "10 ms");
  s.settings.set("taskmanager.batch.records", "16");
  s.settings.set("execution.buffer-timeout", "1 ms");
  s.settings.set("execution.checkpointing.interval", "15 ms");
  s.settings.set("execution.checkpointing.dir", "/checkpoints");
  s.settings.set("execution.checkpointing.tolerable-failed-checkpoints", "1000");
  s.settings.set("execution.checkpointing.mode", mode);
  s.settings.set("state.backend.type", where.backend);
  s.settings.set("execution.checkpointing.incremental", where.incremental ? "true" : "false");
  s.settings.set("execution.checkpointing.unaligned.enabled", where.unaligned ? "true" : "false");
  if (where.unaligned) s.settings.set("execution.checkpointing.aligned-checkpoint-timeout", where.unaligned);
  return s;
}

/// The list source ends at once, the other one goes on for about 200 ms.
const keyed_job_options steady_job{.numbers = 600, .rate = 3000};
/// Its second half hardly keeps up.
const keyed_job_options congested_job{.numbers = 3000, .rate = 5000, .slowness = 1us};

/// How many steps the job takes when nobody dies, and how many checkpoints it completes.
struct undisturbed {
  std::uint64_t steps = 0, checkpoints = 0;
};
undisturbed run_undisturbed(std::uint32_t task_managers, const char* mode = "EXACTLY_ONCE", kept_in where = {},
                            const keyed_job_options& job = steady_job) {
  simulated_cluster sim{1, with_checkpoints(task_managers, mode, where)};
  const auto result = sim.submit(keyed_job(job))->wait();
  REQUIRE(result.status == job_status::finished);
  CHECK(collected_of(result).size() == expected_records(job));
  CHECK(last_per_key(collected_of(result)) == expected_totals(job));
  return {sim.steps(), result.final_report.checkpoints.completed};
}

} // namespace

TEST_CASE("a job makes checkpoints at its interval, and leaves nothing behind when it has finished") {
  log_capture quiet;
  simulated_cluster sim{1, with_checkpoints(1)};
  const auto result = sim.submit(keyed_job(steady_job))->wait();
  REQUIRE(result.status == job_status::finished);
  const auto& c = result.final_report.checkpoints;
  CHECK(c.completed >= 5);
  CHECK(c.completed <= 14);
  CHECK(c.failed <= 1); // the one that was under way at the end
  CHECK(c.restored == 0);
  for (auto& path : sim.files().paths())
    CHECK(path.find("_metadata") == std::string::npos);
}

namespace {
/// Runs the job on so many seeds, with deaths, and checks what it collects.
void check_deaths(std::uint64_t seeds, kept_in where, const keyed_job_options& keyed = steady_job) {
  log_capture quiet;
  const auto expected = expected_totals(keyed);
  const auto whole = run_undisturbed(1, "EXACTLY_ONCE", where, keyed);
  CHECK(whole.checkpoints >= 5);
  std::uint64_t restored = 0;
  std::uint32_t kills = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed ", seed, " ", where.backend, where.incremental ? " incremental" : "");
    simulated_cluster sim{seed, with_checkpoints(1, "EXACTLY_ONCE", where)};
    random_source choices{seed * 7919};
    const actor_kind kinds[] = {actor_kind::task, actor_kind::slot, actor_kind::task_manager};
    for (int i = 0; i < 3; ++i)
      sim.kill_after(choices.below(whole.steps * 3 / 2), kinds[choices.below(3)]);
    auto job = sim.submit(keyed_job(keyed));
    job_result result;
    REQUIRE_NOTHROW(result = job->wait());
    INFO(result.failure.to_string());
    REQUIRE(result.status == job_status::finished);
    REQUIRE(collected_of(result).size() == expected_records(keyed));
    REQUIRE(last_per_key(collected_of(result)) == expected);
    restored += result.final_report.checkpoints.restored;
    kills += sim.kills();
  }
  CHECK(kills >= seeds);
  CHECK(restored >= seeds / 2); // they did not begin anew
}
} // namespace

TEST_CASE("tasks die at any moment: every record is counted exactly once") { check_deaths(rounds(100), {}); }

TEST_CASE("tasks with state on the disk die at any moment: every record is counted exactly once") {
  check_deaths(rounds(20), {"rocksdb", false});
  check_deaths(rounds(30), {"rocksdb", true});
}

TEST_CASE("checkpoints of a job under back-pressure have records under way") {
  log_capture quiet;
  simulated_cluster sim{1, with_checkpoints(1, "EXACTLY_ONCE", {"hashmap", false, "0 ms"})};
  auto job = sim.submit(keyed_job(congested_job));
  std::map<std::string, bool> unaligned; // by checkpoint
  while (!is_terminal(job->status()) && sim.step())
    for (auto& path : sim.files().paths())
      if (path.ends_with("/_metadata") && !unaligned.contains(path))
        unaligned[path] = decode_checkpoint_metadata(sim.files().read_file(path)).unaligned;
  CHECK(job->wait().status == job_status::finished);
  const auto with_records = std::count_if(unaligned.begin(), unaligned.end(), [](auto& c) { return c.second; });
  CHECK(unaligned.size() >= 5);
  CHECK(with_records * 2 > static_cast<std::ptrdiff_t>(unaligned.size()));
}

TEST_CASE("tasks die at any moment under back-pressure: unaligned checkpoints have every record once") {
  check_deaths(rounds(60), {"hashmap", false, "0 ms"}, congested_job);
  check_deaths(rounds(30), {"hashmap", false, "8 ms"}, congested_job); // some barriers begin to overtake half-way
  check_deaths(rounds(20), {"rocksdb", true, "0 ms"}, congested_job);
}

TEST_CASE("at least once: nothing is lost") {
  log_capture quiet;
  const auto expected = expected_totals(steady_job);
  const auto whole = run_undisturbed(1, "AT_LEAST_ONCE");
  CHECK(whole.checkpoints >= 5);
  std::uint64_t restored = 0;
  const auto seeds = rounds(50);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed ", seed);
    simulated_cluster sim{seed, with_checkpoints(1, "AT_LEAST_ONCE")};
    sim.kill_after(random_source{seed * 31}.below(whole.steps), actor_kind::task);
    const auto result = sim.submit(keyed_job(steady_job))->wait();
    REQUIRE(result.status == job_status::finished);
    for (auto& [key, total] : last_per_key(collected_of(result))) {
      REQUIRE(total >= expected.at(key));
      REQUIRE(total <= 2 * expected.at(key));
    }
    restored += result.final_report.checkpoints.restored;
  }
  CHECK(restored >= seeds / 3);
}

TEST_CASE("the same seed gives the same run, with checkpoints, too") {
  log_capture quiet;
  auto trace_of = [](std::uint64_t seed) {
    simulated_cluster sim{seed, with_checkpoints(2)};
    sim.kill_after(300, actor_kind::task);
    sim.submit(keyed_job(steady_job))->wait();
    return sim.trace_hash();
  };
  CHECK(trace_of(5) == trace_of(5));
}
