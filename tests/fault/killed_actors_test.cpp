#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include "tests/support/simulated_jobs.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace {

constexpr actor_kind restarted_kinds[] = {actor_kind::dispatcher, actor_kind::resource_manager,
                                          actor_kind::job_master, actor_kind::task_manager,
                                          actor_kind::slot,       actor_kind::task};

simulation_settings settings_for_kills(std::uint32_t task_managers) {
  simulation_settings s;
  s.task_managers = task_managers;
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.attempts", "100");
  s.settings.set("restart-strategy.fixed-delay.delay", "1 s");
  s.settings.set("taskmanager.batch.records", "32");
  return s;
}

const keyed_job_options small_job{.numbers = 300};

/// As a user would: again, when the one who should accept it died.
std::shared_ptr<job_client> submitted(simulated_cluster& sim, const keyed_job_options& job) {
  for (int attempt = 0;; ++attempt) {
    try {
      return sim.submit(keyed_job(job));
    } catch (const error&) {
      if (attempt == 10) throw;
    }
  }
}

/// How many steps the job takes when nobody dies.
std::uint64_t undisturbed_steps(std::uint32_t task_managers) {
  simulated_cluster sim{1, settings_for_kills(task_managers)};
  submitted(sim, small_job)->wait();
  return sim.steps();
}

} // namespace

TEST_CASE("a job survives the death of any actor below the job manager, at any moment") {
  log_capture quiet;
  const auto expected = expected_totals(small_job);
  const auto span = undisturbed_steps(1);
  for (auto kind : restarted_kinds) {
    std::uint32_t killed = 0;
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
      INFO("seed ", seed, ", ", to_string(kind));
      simulated_cluster sim{seed, settings_for_kills(1)};
      sim.kill_after(random_source{seed * 977}.below(span + span / 5), kind);
      auto job = submitted(sim, small_job);
      job_result result;
      REQUIRE_NOTHROW(result = job->wait());
      INFO(result.failure.to_string());
      REQUIRE(result.status == job_status::finished);
      REQUIRE(collected_of(result).size() == expected_records(small_job));
      REQUIRE(last_per_key(collected_of(result)) == expected);
      killed += sim.kills();
    }
    INFO(to_string(kind));
    CHECK(killed > 60);
  }
}

TEST_CASE("a job fails with a word when the job manager dies, at any moment") {
  log_capture quiet;
  const auto span = undisturbed_steps(1);
  std::uint32_t killed = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed ", seed);
    simulated_cluster sim{seed, settings_for_kills(1)};
    sim.kill_after(1 + random_source{seed * 31}.below(span / 2), actor_kind::job_manager);
    std::shared_ptr<job_client> job;
    try {
      job = sim.submit(keyed_job(small_job));
    } catch (const error&) { // it died before the job was accepted
      REQUIRE(sim.kills() == 1);
      ++killed;
      continue;
    }
    job_result result;
    REQUIRE_NOTHROW(result = job->wait());
    killed += sim.kills();
    REQUIRE(result.status == (sim.kills() == 1 ? job_status::failed : job_status::finished));
    if (sim.kills() == 1) REQUIRE(result.failure.code() == errc::component_lost);
  }
  CHECK(killed > 80);
}

TEST_CASE("a job on three task managers survives several deaths in a row, or fails with a word") {
  log_capture quiet;
  const auto expected = expected_totals(small_job);
  const auto span = undisturbed_steps(3);
  std::uint32_t finished = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed ", seed);
    simulated_cluster sim{seed, settings_for_kills(3)};
    random_source choices{seed * 7919};
    for (int i = 0; i < 4; ++i)
      sim.kill_after(choices.below(span * 2), actor_kind::any);
    auto job = submitted(sim, small_job);
    job_result result;
    REQUIRE_NOTHROW(result = job->wait());
    INFO(result.failure.to_string());
    if (result.status == job_status::finished) {
      ++finished;
      REQUIRE(last_per_key(collected_of(result)) == expected);
      REQUIRE(collected_of(result).size() == expected_records(small_job));
    } else {
      // Three restarts of the control plane in a minute are allowed.
      REQUIRE(result.status == job_status::failed);
      const bool told = result.failure.code() == errc::restart_limit_exceeded;
      REQUIRE(told);
    }
  }
  CHECK(finished > 150);
}

TEST_CASE("a cancelled job ends as cancelled, whoever dies meanwhile") {
  log_capture quiet;
  const auto span = undisturbed_steps(1);
  for (auto kind : restarted_kinds)
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
      INFO("seed ", seed, ", ", to_string(kind));
      simulated_cluster sim{seed, settings_for_kills(2)};
      auto job = submitted(sim, {.endless = true});
      random_source choices{seed * 104729};
      for (auto n = choices.below(span); n > 0; --n)
        sim.step();
      sim.kill_after(choices.below(60), kind);
      job->cancel();
      job_result result;
      REQUIRE_NOTHROW(result = job->wait());
      INFO(result.failure.to_string());
      REQUIRE(result.status == job_status::canceled);
    }
}
