#include <dataflow/actors/simulation/simulate.hpp>

#include <doctest/doctest.h>

#include <map>

using namespace dataflow;

namespace {

/// The last count of each word.
std::map<std::string, std::int64_t> word_count(environment& env) {
  env.set_parallelism(2);
  auto counts = env.text_file("in.txt")
                    .union_with(env.from_elements<std::string>({"b", "c", "c"}))
                    .map([](const std::string& word) {
                      return std::pair<std::string, std::int64_t>{word, 1};
                    })
                    .key_by([](const auto& c) { return c.first; })
                    .sum(&std::pair<std::string, std::int64_t>::second);
  std::map<std::string, std::int64_t> last;
  for (auto& [word, count] : counts.collect())
    last[word] = count;
  return last;
}

const std::map<std::string, std::string> input{{"in.txt", "a\nb\na\nc\nd\na\nb\n"}};

} // namespace

TEST_CASE("a user's job gives the same result whatever actor dies") {
  auto report = simulate(word_count, {.task_managers = 2, .seeds = 150, .faults = faults::all(), .files = input});
  INFO(report.describe());
  CHECK(report.exactly_once());
  CHECK(report.expected.outcome == "{a=3, b=3, c=3, d=1}");
  CHECK(report.runs.size() == 150);
  std::uint32_t killed = 0;
  for (auto& run : report.runs)
    killed += run.kills;
  CHECK(killed > 100);
}

TEST_CASE("a user's job gives the same result whatever call of the file system fails") {
  auto report = simulate(word_count, {.seeds = 60, .faults = faults::disk_errors(2), .files = input});
  INFO(report.describe());
  CHECK(report.exactly_once());
  CHECK(report.expected.disk_errors == 0);
  CHECK(report.expected.disk_calls > 3);
  std::uint64_t failed = 0;
  for (auto& run : report.runs)
    failed += run.disk_errors;
  CHECK(failed > 60);
}

TEST_CASE("a simulation notices a job whose result depends on the schedule, and names the seed") {
  auto report = simulate(
      [](environment& env) {
        return env.sequence(1, 20).union_with(env.sequence(101, 120)).map([](std::int64_t n) { return n; }).collect();
      },
      {.seeds = 50});
  CHECK_FALSE(report.exactly_once());
  REQUIRE(report.first_difference() != nullptr);
  CHECK(report.describe().find("seed " + std::to_string(report.first_difference()->seed)) != std::string::npos);
}

TEST_CASE("a simulation of a job that prints compares its lines; one that fails says why") {
  auto prints = [](environment& env, const parameters& args) { env.sequence(1, args.get("to", 5)).print(); };
  auto report = simulate(prints, {.seeds = 5, .arguments = parameters{}.set("to", "3")});
  INFO(report.describe());
  CHECK(report.exactly_once());
  configuration never;
  never.set("restart-strategy.type", "none");
  auto fails = simulate(
      [](environment& env) {
        return env.sequence(1, 5)
            .map([](std::int64_t) -> std::int64_t { throw std::runtime_error("not today"); })
            .collect();
      },
      {.seeds = 2, .settings = never});
  CHECK_FALSE(fails.exactly_once());
  CHECK(fails.describe().find("not today") != std::string::npos);
}
