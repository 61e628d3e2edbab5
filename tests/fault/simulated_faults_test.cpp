// That a delay of the simulation of many nodes happens, and that its hash knows what records hold: no other test of it
// fails without.
#include <dataflow/actors/simulation/simulated_nodes.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>

using namespace dataflow;
using namespace std::chrono_literals;

namespace simulated_faults_test {

/// Numbers go from task to task, and out of sight.
std::shared_ptr<const job_library> job_of_numbers() {
  return job_library::of_function("numbers", [](environment& env, const parameters& args) {
    env.set_parallelism(2);
    env.sequence(1, args.get("numbers", std::int64_t{1000}), args.get("rate", 500.0))
        .map([factor = args.get("factor", std::int64_t{1})](std::int64_t n) { return n * factor; })
        .rebalance()
        .filter([](std::int64_t) { return false; })
        .disable_chaining()
        .print();
  });
}

nodes_settings settings_of_two_nodes() {
  nodes_settings s;
  s.job_managers = 1;
  s.task_managers = 2;
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.attempts", "10");
  s.settings.set("restart-strategy.fixed-delay.delay", "10 ms");
  s.settings.set("execution.checkpointing.interval", "100 ms");
  return s;
}

} // namespace simulated_faults_test
using namespace simulated_faults_test;

TEST_CASE("a path of the simulated network that is delayed takes longer") {
  dataflow::log_capture quiet;
  const auto submission = [](std::chrono::microseconds longer) {
    std::chrono::nanoseconds took{0};
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      simulated_nodes nodes{seed, job_of_numbers(), settings_of_two_nodes()};
      nodes.run_for(100ms);
      nodes.delay("client", "jm1", longer);
      const auto began = nodes.now();
      nodes.submit("numbers");
      took += nodes.now() - began;
    }
    return took;
  };
  const auto usual = submission(0us);
  CHECK(submission(2s) > usual + 2s);
}

TEST_CASE("the hash of a simulation knows what the records hold") {
  dataflow::log_capture quiet;
  const auto run = [](const std::string& factor) {
    simulated_nodes nodes{1, job_of_numbers(), settings_of_two_nodes()};
    const auto result = nodes.submit("numbers", {"--factor", factor})->wait();
    CHECK(result.status == job_status::finished);
    return std::pair{nodes.steps(), nodes.trace_hash()};
  };
  const auto twos = run("2"), threes = run("3");
  CHECK(twos.first == threes.first); // nothing else is different
  CHECK(twos.second != threes.second);
  CHECK(twos == run("2"));
}
