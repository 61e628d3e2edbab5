#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <unistd.h>

#include "tests/support/simulated_jobs.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

simulation_settings with_restarts(std::uint32_t attempts) {
  simulation_settings s;
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.attempts", std::to_string(attempts));
  s.settings.set("restart-strategy.fixed-delay.delay", "1 s");
  s.settings.set("taskmanager.batch.records", "64");
  return s;
}

/// Everything that a run can be told by.
std::string summary_of(std::uint64_t seed) {
  simulated_cluster sim{seed, with_restarts(10)};
  auto result = sim.submit(keyed_job({.numbers = 500, .failures = 1}))->wait();
  std::string text = result.id + " " + std::string{to_string(result.status)} + " restarts " +
                     std::to_string(result.restarts) + " steps " + std::to_string(sim.steps()) + " trace " +
                     std::to_string(sim.trace_hash()) + " ended at " + std::to_string(sim.now().count()) + "\n";
  for (auto& f : result.final_report.failures)
    text += std::to_string(f.at.count()) + " " + f.task + " " + f.cause.to_string() + "\n";
  for (auto& [k, v] : collected_of(result))
    text += std::to_string(k) + "=" + std::to_string(v) + "\n";
  return text;
}

constexpr const char* child_variable = "DATAFLOW_SIMULATION_CHILD";

std::string summary_of_another_process(std::uint64_t seed) {
  const auto command = std::string{child_variable} + "=" + std::to_string(seed) + " /proc/" +
                       std::to_string(::getpid()) +
                       "/exe --no-intro --no-version --minimal "
                       "--test-case='the same seed gives the same run in two processes'";
  auto* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char part[4096];
  while (auto n = std::fread(part, 1, sizeof part, pipe))
    text.append(part, n);
  CHECK(pclose(pipe) == 0);
  return text;
}

} // namespace

TEST_CASE("the same seed gives the same run in two processes") {
  log_capture quiet;
  if (auto* seed = std::getenv(child_variable)) {
    std::fputs(summary_of(std::strtoull(seed, nullptr, 10)).c_str(), stdout);
    std::fflush(stdout);
    return;
  }
  for (std::uint64_t seed : {1, 2}) {
    const auto here = summary_of(seed);
    REQUIRE(here.find("FINISHED restarts 1") != std::string::npos);
    const auto there = summary_of_another_process(seed);
    CHECK(there.substr(0, here.size()) == here);
    CHECK(summary_of_another_process(seed) == there);
  }
}

TEST_CASE("two jobs that differ in nothing but the records they send have different traces") {
  log_capture quiet;
  const auto trace_of = [](std::int64_t add) {
    simulated_cluster sim{5};
    auto env = environment{environment_options{.runner = std::shared_ptr<executor>{&sim, [](executor*) {}}}};
    const auto sums =
        env.sequence(1, 50).map([add](std::int64_t n) { return n + add; }).rebalance().map([](std::int64_t n) {
          return n - n % 1000;
        });
    CHECK(sums.collect() == std::vector<std::int64_t>(50, 0));
    return std::pair{sim.trace_hash(), sim.steps()};
  };
  const auto first = trace_of(1), again = trace_of(1), other = trace_of(2);
  CHECK(first == again);
  CHECK(first.second == other.second); // nothing else tells them apart
  CHECK(first.first != other.first);
}

TEST_CASE("different seeds give different schedules, and the same totals") {
  log_capture quiet;
  std::set<std::uint64_t> traces;
  std::set<std::vector<keyed_number>> orders;
  const keyed_job_options job{.numbers = 500};
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    simulated_cluster sim{seed, with_restarts(0)};
    auto result = sim.submit(keyed_job(job))->wait();
    CHECK(last_per_key(collected_of(result)) == expected_totals(job));
    traces.insert(sim.trace_hash());
    orders.insert(collected_of(result));
  }
  CHECK(traces.size() == 10);
  CHECK(orders.size() > 1);
}

TEST_CASE("a hundred seeds of a job with key_by, union and a failing operator agree on every key's last value") {
  log_capture quiet;
  const keyed_job_options job{.failures = 2};
  const auto expected = expected_totals(job);
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed ", seed);
    simulated_cluster sim{seed, with_restarts(10)};
    auto result = sim.submit(keyed_job(job))->wait();
    REQUIRE(result.status == job_status::finished);
    REQUIRE(result.restarts >= 2);
    const auto records = collected_of(result);
    REQUIRE(last_per_key(records) == expected);
    // Only the successful attempt's records: earlier ones got some way, too.
    REQUIRE(records.size() == expected_records(job));
  }
}

TEST_CASE("a job that may not restart fails with its exception's text, in virtual time") {
  log_capture quiet;
  auto settings = with_restarts(0);
  settings.settings.set("restart-strategy.type", "none");
  simulated_cluster sim{5, settings};
  auto result = sim.submit(keyed_job({.failures = 1}))->wait();
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.to_string().find("this attempt was meant to fail") != std::string::npos);
  CHECK(collected_of(result).empty());
}

TEST_CASE("waiting for a restart takes virtual time only") {
  log_capture quiet;
  auto settings = with_restarts(3);
  settings.settings.set("restart-strategy.fixed-delay.delay", "5 h");
  simulated_cluster sim{3, settings};
  auto job = sim.submit(keyed_job({.failures = 1, .parallelism = 1}));
  CHECK_FALSE(job->wait_for(1h));
  CHECK(sim.now() >= 1h);
  CHECK(job->status() == job_status::restarting);
  CHECK(job->report().restarts == 1);
  CHECK(job->wait().status == job_status::finished);
  CHECK(sim.now() >= 5h);
}

TEST_CASE("a job without end runs for as long as one wants, and is cancelled") {
  log_capture quiet;
  simulated_cluster sim{11};
  auto job = sim.submit(keyed_job({.endless = true}));
  sim.run_for(500ms);
  CHECK(job->status() == job_status::running);
  double records = 0;
  for (auto& group : job->metrics().groups)
    records += group.value("numRecordsOut");
  CHECK(records > 0);
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
}

TEST_CASE("a simulated cluster goes away with its jobs in any state") {
  log_capture quiet;
  std::shared_ptr<job_client> orphan;
  for (int steps = 0; steps < 200; steps += 7) {
    simulated_cluster sim{static_cast<std::uint64_t>(steps)};
    orphan = sim.submit(keyed_job({.numbers = 200}));
    for (int i = 0; i < steps; ++i)
      sim.step();
  }
  CHECK(orphan->wait().status == job_status::finished); // the client kept its cluster
}

TEST_CASE("a simulation that cannot end says so with its seed") {
  log_capture quiet;
  simulation_settings settings;
  settings.time_limit = 100ms;
  simulated_cluster sim{77, settings};
  auto job = sim.submit(keyed_job({.endless = true}));
  try {
    job->wait();
    FAIL("it ended");
  } catch (const error& e) {
    CHECK(e.code() == errc::timed_out);
    CHECK(e.cause().find("seed 77") != std::string::npos);
  }
}
