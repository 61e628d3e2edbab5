// A record that fails its job again and again is named, and left out where that is wanted.
#include <dataflow/connectors/text_file.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>

#include <stdexcept>

#include "tests/fault/savepoint_lab.hpp"
#include "tests/support/effort.hpp"
#include "tests/support/restarts.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace poisoned_records_test {

constexpr std::int64_t lines = 400;
const std::vector<std::int64_t> bad_lines{123, 300};

std::string line_of(std::int64_t i) {
  const bool bad = std::find(bad_lines.begin(), bad_lines.end(), i) != bad_lines.end();
  return std::to_string(i) + (bad ? ",bad" : ",7");
}
std::string text_of(std::int64_t n) {
  std::string text;
  for (std::int64_t i = 0; i < n; ++i)
    text += line_of(i) + "\n";
  return text;
}
std::int64_t byte_of(std::int64_t line) { return static_cast<std::int64_t>(text_of(line).size()); }

/// 7 for "5,7".
std::int64_t value_of(const std::string& line) { return std::stoll(line.substr(line.find(',') + 1)); }

struct job_settings {
  bool skip = false;
  bool unaligned = false;
  int attempts = 20;
};

/// Lines -> by key, in another task -> a value of each -> sums by key, in a third one -> a line for each.
void sums_of_lines(environment& env, const job_settings& s) {
  restart_at_fixed_delay(env, s.attempts, "1 ms");
  env.configure("execution.checkpointing.tolerable-failed-checkpoints", "100000");
  if (s.skip) env.configure("execution.poisoned-record.policy", "skip");
  if (s.unaligned) env.enable_unaligned_checkpoints();
  env.text_file("/in/lines.txt", text_file_options{.split_size = 900})
      .uid("lines")
      .name("lines")
      .key_by([](const std::string& line) { return std::stoll(line) % keys; })
      .map([](const std::string& line) {
        return numbered{std::stoll(line) % keys, value_of(line)};
      })
      .uid("values")
      .key_by(&numbered::first)
      .sum(&numbered::second)
      .uid("sums")
      .map([](const numbered& n) { return std::to_string(n.first) + " " + std::to_string(n.second); })
      .uid("text")
      .print()
      .uid("out");
}

void put_lines(lab& l) {
  l.cluster->files().create_directories("/in");
  const auto file = l.cluster->files().open_write("/in/lines.txt", write_mode::create_new);
  file->append(text_of(lines));
  file->close();
}

} // namespace poisoned_records_test

using namespace poisoned_records_test;

TEST_CASE("a line that fails a task behind an exchange is named by file, split and byte") {
  log_capture quiet;
  lab l{1, "5 ms"};
  put_lines(l);
  auto env = l.env();
  sums_of_lines(env, {.attempts = 6});
  const auto job = env.execute_async("poisoned");
  const auto result = job->wait();
  REQUIRE(result.status == job_status::failed);
  const auto text = result.failure.to_string();
  INFO(text);
  // Both subtasks may fail first, each at a line of its own.
  bool named = false;
  for (auto bad : bad_lines)
    named = named || (text.find("the record at byte " + std::to_string(byte_of(bad)) + " of '/in/lines.txt'") !=
                          std::string::npos &&
                      text.find("of split \"/in/lines.txt:") != std::string::npos &&
                      text.find("of source \"Source: lines\"") != std::string::npos);
  CHECK(named);
  CHECK(text.find("stoll") != std::string::npos);
}

TEST_CASE("a poisoned record is left out by policy, and all others count once") {
  for (const bool unaligned : {false, true})
    for (std::uint64_t seed = 1; seed <= test::rounds(10); ++seed) {
      CAPTURE(seed);
      CAPTURE(unaligned);
      log_capture log;
      lab l{seed, "5 ms"};
      put_lines(l);
      auto env = l.env();
      sums_of_lines(env, {.skip = true, .unaligned = unaligned, .attempts = 40});
      const auto job = env.execute_async("poisoned");
      const auto result = job->wait();
      INFO(result.failure.to_string());
      REQUIRE(result.status == job_status::finished);
      CHECK(result.restarts >= 8); // three alike and one with the name, for each of the two
      totals_by_key expected, got;
      for (std::int64_t i = 0; i < lines; ++i)
        if (std::find(bad_lines.begin(), bad_lines.end(), i) == bad_lines.end()) expected[i % keys] += 7;
      for (auto& line : l.lines()) {
        auto& highest = got[std::stoll(line)];
        highest = std::max(highest, static_cast<std::int64_t>(std::stoll(line.substr(line.find(' ') + 1))));
      }
      CHECK(got == expected);
      for (auto bad : bad_lines) {
        CAPTURE(bad);
        CHECK(log.contains("byte " + std::to_string(byte_of(bad)) + " of '/in/lines.txt'"));
      }
    }
}
