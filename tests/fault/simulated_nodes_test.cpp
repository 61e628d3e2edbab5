// Job managers, task managers and a client as nodes in one thread: the same seed gives the same run, and whatever is
// done to nodes and network, every record counts once.
#include <dataflow/actors/simulation/simulate_nodes.hpp>
#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "tests/support/effort.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace simulated_nodes_test {

using keyed_count = std::pair<std::int64_t, std::int64_t>;

/// Running counts by key into files, exactly once: the same lines in whatever order records come.
void counts_to_files(environment& env, const parameters& args) {
  env.set_parallelism(2);
  env.sequence(1, args.get("numbers", std::int64_t{2000}), args.get("rate", 0.0))
      .map([](std::int64_t n) {
        return keyed_count{n % 7, 1};
      })
      .key_by(&keyed_count::first)
      .sum(&keyed_count::second)
      .uid("counts")
      .sink_to(file_sink<keyed_count>::lines("/out").without_buckets().deliver(delivery_guarantee::exactly_once))
      .uid("files");
}
std::shared_ptr<const job_library> the_job() { return job_library::of_function("counts", counts_to_files); }

nodes_settings settings_for(std::uint32_t job_managers = 2, std::uint32_t task_managers = 2) {
  nodes_settings s;
  s.job_managers = job_managers;
  s.task_managers = task_managers;
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.attempts", "1000");
  s.settings.set("restart-strategy.fixed-delay.delay", "10 ms");
  s.settings.set("taskmanager.batch.records", "16");
  s.settings.set("execution.checkpointing.interval", "200 ms");
  s.settings.set("execution.checkpointing.tolerable-failed-checkpoints", "1000");
  return s;
}

std::multiset<std::string> published(memory_file_system& disk) {
  std::multiset<std::string> lines;
  for (auto& path : disk.paths()) {
    if (path.substr(0, 5) != "/out/" || path.find("/.in-progress/") != std::string::npos) continue;
    const auto all = disk.read_file(path);
    for (std::size_t at = 0, end = 0; at < all.size(); at = end + 1) {
      end = all.find('\n', at);
      REQUIRE(end != std::string::npos);
      lines.insert(all.substr(at, end - at));
    }
  }
  return lines;
}
std::multiset<std::string> expected_lines(std::int64_t numbers) {
  std::multiset<std::string> lines;
  for (std::int64_t n = 1; n <= numbers; ++n)
    lines.insert("(" + std::to_string(n % 7) + ", " + std::to_string((n - n % 7) / 7 + (n % 7 == 0 ? 0 : 1)) + ")");
  return lines;
}

/// What is published: "(key, count)", sorted.
std::string outcome_of(simulated_nodes& nodes, const job_result&) {
  std::string all;
  for (auto& line : published(nodes.files()))
    all += line + "\n";
  return all;
}

/// A job of 4 s. DATAFLOW_FIRST_SEED names the one seed to run.
simulate_nodes_options faults_of(std::vector<node_fault> kinds, std::uint32_t faults, std::uint64_t seeds) {
  simulate_nodes_options o{.jobs = the_job(),
                           .job = "counts",
                           .arguments = {"--rate", "500"},
                           .nodes = settings_for(),
                           .seeds = rounds(seeds),
                           .faults = faults,
                           .kinds = std::move(kinds),
                           .outcome = outcome_of};
  o.nodes.time_limit = 10min;
  if (const char* seed = std::getenv("DATAFLOW_FIRST_SEED")) {
    o.first_seed = std::strtoull(seed, nullptr, 10);
    o.seeds = 1;
  }
  return o;
}
std::uint32_t restarts_in(const simulated_nodes_report& report) {
  std::uint32_t restarts = 0;
  for (auto& run : report.runs)
    restarts += run.restarts;
  return restarts;
}
#define CHECK_EXACTLY_ONCE(report, name)                                                                               \
  INFO((report).describe());                                                                                           \
  if (const auto* run = (report).first_difference())                                                                   \
    MESSAGE("replay: DATAFLOW_FIRST_SEED=" << run->seed << " build/release/tests/fault_tests -tc=\"" name "\"");       \
  CHECK((report).exactly_once())

} // namespace simulated_nodes_test
using namespace simulated_nodes_test;

TEST_CASE("two nodes and a client in one thread: a job runs, and the same seed gives the same run") {
  log_capture quiet;
  std::map<std::uint64_t, std::uint64_t> hashes;
  for (std::uint64_t seed : {1, 2, 1, 2}) {
    auto s = settings_for(1, 1);
    s.settings.set("high-availability.type", "none");
    s.settings.set("taskmanager.numberOfTaskSlots", "2");
    simulated_nodes nodes{seed, the_job(), s};
    const auto result = nodes.submit("counts")->wait();
    INFO(result.failure.to_string());
    REQUIRE(result.status == job_status::finished);
    CHECK(published(nodes.files()) == expected_lines(2000));
    const auto [known, fresh] = hashes.emplace(seed, nodes.trace_hash());
    CHECK(known->second == nodes.trace_hash());
  }
  CHECK(hashes[1] != hashes[2]);
}

TEST_CASE("job managers, task managers and a client in one thread: records go from node to node") {
  log_capture quiet;
  simulated_nodes nodes{1, the_job(), settings_for()};
  const auto result = nodes.submit("counts", {"--rate", "500"})->wait();
  INFO(result.failure.to_string());
  REQUIRE(result.status == job_status::finished);
  CHECK(published(nodes.files()) == expected_lines(2000));
  CHECK(result.final_report.checkpoints.completed > 3);
  CHECK(nodes.registrations("tm1") == 1); // each of the two has one of the job's slots
  CHECK(nodes.registrations("tm2") == 1);
  CHECK(nodes.now() >= 4s);
}

TEST_CASE("many nodes in one thread: each kind of fault alone leaves every record counted once") {
  for (auto kind : all_node_faults()) {
    CAPTURE(to_string(kind));
    const auto report = simulate_nodes(faults_of({kind}, 6, 20));
    CHECK_EXACTLY_ONCE(report, "many nodes in one thread: each kind of fault alone*");
    CHECK(report.expected.outcome == [] {
      std::string all;
      for (auto& line : expected_lines(2000))
        all += line + "\n";
      return all;
    }());
    if (kind != node_fault::delay && !sanitized) CHECK(restarts_in(report) > 0); // a few seeds may miss the job
  }
}

TEST_CASE("many nodes in one thread: all kinds of faults at once, from 200 seeds, leave every record counted once") {
  const auto report = simulate_nodes(faults_of(all_node_faults(), 10, 200));
  CHECK_EXACTLY_ONCE(report, "many nodes in one thread: all kinds of faults*");
  CHECK(restarts_in(report) > report.runs.size());
}

TEST_CASE("many nodes in one thread: an adaptive job that shrinks and grows leaves every record counted once") {
  auto o = faults_of(all_node_faults(), 10, 60);
  o.nodes.settings.set("jobmanager.scheduler", "adaptive");
  o.nodes.settings.set("jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", "50 ms");
  o.nodes.settings.set("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "20 ms");
  o.nodes.settings.set("taskmanager.numberOfTaskSlots", "1");
  const auto report = simulate_nodes(o);
  CHECK_EXACTLY_ONCE(report, "many nodes in one thread: an adaptive job*");
  const log_capture said{log_level::warn};
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    (void)simulate_nodes_once(o, seed, 4s);
  CHECK(said.contains("goes on with a parallelism of 1 instead of 2"));
  CHECK(said.contains("goes on with a parallelism of 2 instead of 1"));
}

TEST_CASE("many nodes in one thread: a run with faults is the same when its seed runs again") {
  log_capture quiet{log_level::error};
  const auto o = faults_of(all_node_faults(), 10, 1);
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
    const auto once = simulate_nodes_once(o, seed, 4s), again = simulate_nodes_once(o, seed, 4s);
    CHECK(once.trace_hash == again.trace_hash);
    CHECK(once.steps == again.steps);
    CHECK(once.faults.size() == 10);
    CHECK(once.faults == again.faults);
  }
}

TEST_CASE("a task manager that stands still is given up; when it goes on it is refused, and joins as a new one") {
  log_capture quiet;
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
    CAPTURE(seed);
    auto s = settings_for(1, 3); // one to spare
    simulated_nodes nodes{seed, the_job(), s};
    const auto job = nodes.submit("counts", {"--rate", "500"});
    nodes.run_for(1s);
    REQUIRE(nodes.registrations("tm1") == 1);
    REQUIRE(nodes.stop("tm1"));
    nodes.run_for(std::chrono::milliseconds{2600 + seed * 10}); // longer than its silence is borne
    REQUIRE(nodes.resume("tm1"));
    const auto result = job->wait();
    INFO(result.failure.to_string());
    REQUIRE(result.status == job_status::finished);
    CHECK(published(nodes.files()) == expected_lines(2000));
    nodes.run_for(10s);
    CHECK(nodes.registrations("tm1") == 2);
    CHECK(nodes.registrations("tm2") == 1);
  }
}

TEST_CASE("a standby job manager goes on with the jobs of a leader that dies, and task managers find it") {
  log_capture quiet;
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
    CAPTURE(seed);
    simulated_nodes nodes{seed, the_job(), settings_for()};
    const auto job = nodes.submit("counts", {"--rate", "500"});
    nodes.run_for(std::chrono::milliseconds{200 + seed * 150});
    const auto first = nodes.leader();
    REQUIRE(nodes.kill(first));
    const auto result = job->wait();
    INFO(result.failure.to_string());
    REQUIRE(result.status == job_status::finished);
    CHECK(published(nodes.files()) == expected_lines(2000));
    CHECK(nodes.leader() != first);
    CHECK_FALSE(nodes.is_up(first));
    CHECK(nodes.registrations("tm1") == 2);
  }
}

TEST_CASE("a leader that dies at whichever call of the disk at the end of a job: every record once") {
  log_capture quiet;
  // The checkpoints of a job were removed before its result was stored: the next leader found neither.
  std::uint32_t died = 0;
  for (std::uint64_t call = 1; call <= rounds(150); ++call) {
    CAPTURE(call);
    simulated_nodes nodes{1, the_job(), settings_for()};
    const auto job = nodes.submit("counts", {"--rate", "500"});
    nodes.run_for(3900ms);
    const auto leader = nodes.leader();
    REQUIRE(nodes.kill_at_disk_call(leader, call));
    nodes.after(1s, [&] {
      nodes.kill(leader);
      nodes.restart(leader);
    });
    const auto result = job->wait();
    INFO(result.failure.to_string());
    REQUIRE(result.status == job_status::finished);
    CHECK(published(nodes.files()) == expected_lines(2000));
    if (!nodes.is_up(leader) || nodes.leader() != leader) ++died;
  }
  CHECK(died > rounds(150) / 3);
}

TEST_CASE("the simulation of many nodes notices a job that counts twice, and names the seed and the faults") {
  auto o = faults_of({node_fault::kill}, 4, 20);
  auto calls = std::make_shared<std::uint64_t>(0); // outside of the job's state: restarts count records again
  o.jobs = job_library::of_function("counts", [calls](environment& env, const parameters& args) {
    env.sequence(1, 1000, args.get("rate", 0.0))
        .filter([calls](std::int64_t) {
          ++*calls;
          return false;
        })
        .print();
  });
  o.outcome = [calls](simulated_nodes&, const job_result&) { return std::to_string(std::exchange(*calls, 0)); };
  const auto report = simulate_nodes(o);
  CHECK_FALSE(report.expected.failure);
  CHECK_FALSE(report.exactly_once());
  REQUIRE(report.first_difference() != nullptr);
  const auto text = report.describe();
  CHECK(text.find("seed " + std::to_string(report.first_difference()->seed)) != std::string::npos);
  CHECK(text.find("kill ") != std::string::npos);
}
