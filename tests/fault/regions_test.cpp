// A job of several regions with checkpoints: what fails goes on from the last one, the others never notice.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/connectors/text_file.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "tests/support/effort.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t region_numbers = 500;

/// Fails once, at its 60th record.
struct fails_once {
  std::uint32_t attempt = 0, seen = 0;
  void open(runtime_context& context) { attempt = context.attempt(); }
  std::pair<std::int64_t, std::int64_t> operator()(std::int64_t n) {
    if (attempt == 0 && ++seen == 60) throw std::runtime_error("meant to fail");
    return {n % 5, 1};
  }
};
struct never_fails {
  std::pair<std::int64_t, std::int64_t> operator()(std::int64_t n) { return {n % 5, 1}; }
};

/// Failed regions start again, from the last checkpoint.
simulation_settings restarting_regions(const char* checkpoint_interval, const char* batch_records) {
  simulation_settings s;
  s.settings.set("execution.checkpointing.interval", checkpoint_interval);
  s.settings.set("execution.checkpointing.dir", "/checkpoints");
  s.settings.set("execution.checkpointing.tolerable-failed-checkpoints", "100");
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.delay", "5 ms");
  s.settings.set("taskmanager.batch.records", batch_records);
  return s;
}
/// Jobs of two subtasks each.
environment in_two_subtasks(const std::shared_ptr<simulated_cluster>& cluster) {
  environment_options o;
  o.runner = cluster;
  environment env{o};
  env.set_parallelism(2);
  return env;
}

template <class F>
void counting_region(environment& env, const std::string& name, F f) {
  env.sequence(1, region_numbers, 2500)
      .name(name)
      .map(f)
      .key_by([](const auto& r) { return r.first; })
      .sum(&std::pair<std::int64_t, std::int64_t>::second)
      .print(name);
}

} // namespace

TEST_CASE("a failure in one of two regions restores only that region") {
  log_capture quiet;
  for (std::uint64_t seed = 1; seed <= test::rounds(20); ++seed) {
    CAPTURE(seed);
    auto s = restarting_regions("10 ms", "8");
    s.settings.set("restart-strategy.fixed-delay.attempts", "10");
    s.settings.set("execution.buffer-timeout", "1 ms");
    auto cluster = std::make_shared<simulated_cluster>(seed, s);
    auto env = in_two_subtasks(cluster);
    counting_region(env, "whole", never_fails{});
    counting_region(env, "broken", fails_once{});
    const auto result = env.execute("two regions");
    CHECK(result.restarts >= 1);
    CHECK(result.restarts <= 2); // each of the subtasks fails, at once or one after the other
    CHECK(result.final_report.checkpoints.restored == result.restarts);
    bool restarted = false;
    // The regions are apart: every vertex belongs to the one whose source comes before it.
    std::map<std::uint32_t, bool> whole;
    for (auto& t : result.final_report.tasks) {
      if (t.name.find("whole") != std::string::npos) whole[t.vertex] = true;
      if (t.name.find("broken") != std::string::npos) restarted = restarted || t.attempt > 0;
    }
    CHECK(restarted);
    for (auto& t : result.final_report.tasks)
      if (whole.contains(t.vertex)) CHECK(t.attempt == 0);
    // Nothing of the region that ran on comes twice; of the other one the state is exact.
    std::map<std::string, std::int64_t> lines, highest;
    std::string_view rest = cluster->printed();
    while (!rest.empty()) {
      const std::string line{rest.substr(0, rest.find('\n'))};
      rest.remove_prefix(line.size() + 1);
      const auto name = line.substr(0, line.find(':'));
      ++lines[name];
      const auto comma = line.rfind(' ') == std::string::npos ? line.rfind(',') : line.find_last_of(" ,");
      auto& h = highest[name];
      h = std::max(h, static_cast<std::int64_t>(std::stoll(line.substr(comma + 1))));
    }
    CHECK(lines["whole"] == region_numbers);
    CHECK(lines["broken"] >= region_numbers);
    CHECK(highest["whole"] == region_numbers / 5);
    CHECK(highest["broken"] == region_numbers / 5);
  }
}

namespace {

/// Takes a while for each line; in the first attempt of subtask 0 it fails at its 60th.
struct slow_lines {
  const dataflow::clock* clock = nullptr;
  bool to_fail = false;
  std::uint32_t seen = 0;
  void open(runtime_context& context) {
    clock = &context.clock();
    to_fail = context.attempt() == 0 && context.subtask_index() == 0;
  }
  std::string operator()(const std::string& line) {
    const auto until = clock->now() + 200us;
    while (clock->now() < until) {
    }
    if (to_fail && ++seen == 60) throw std::runtime_error("meant to fail");
    return line;
  }
};

} // namespace

TEST_CASE(
    "one of several readers fails: it alone starts again, and its splits since the checkpoint are read once more") {
  log_capture quiet;
  for (std::uint64_t seed = 1; seed <= test::rounds(20); ++seed) {
    CAPTURE(seed);
    auto cluster = std::make_shared<simulated_cluster>(seed, restarting_regions("3 ms", "4"));
    std::string text;
    std::set<std::string> expected;
    for (int i = 0; i < 300; ++i) {
      expected.insert("line " + std::to_string(i));
      text += "line " + std::to_string(i) + "\n";
    }
    cluster->files().create_directories("/in");
    cluster->files().write_file("/in/lines", text);
    auto env = in_two_subtasks(cluster);
    env.text_file("/in/lines", text_file_options{.split_size = 100}).map(slow_lines{}).print();
    const auto result = env.execute("two readers");
    CHECK(result.restarts == 1);
    CHECK(result.final_report.checkpoints.restored == 1);
    for (auto& t : result.final_report.tasks)
      CHECK(t.attempt == (t.subtask == 0 ? 1 : 0));
    std::map<std::string, int> lines;
    std::string_view rest = cluster->printed();
    while (!rest.empty()) {
      auto line = std::string{rest.substr(0, rest.find('\n'))};
      rest.remove_prefix(line.size() + 1);
      ++lines[line.substr(line.find("line"))];
    }
    CHECK(lines.size() == expected.size()); // nothing is lost
    std::size_t again = 0;
    for (auto& [line, n] : lines) {
      CHECK(expected.contains(line));
      again += n > 1 ? 1 : 0;
    }
    CHECK(again < 60); // what the reader had put out since the checkpoint
  }
}
