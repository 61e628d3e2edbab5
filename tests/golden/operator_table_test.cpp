// Every operator of the table against Flink's own outputs: alone, with restarts, as pipelines.
#include <dataflow/actors/simulation/simulate.hpp>
#include <dataflow/exchange/watermark_merger.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <tests/support/effort.hpp>

#include "operator_table.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace dataflow::test::golden;

namespace {

constexpr auto end_of_time = std::numeric_limits<std::int64_t>::max();

std::vector<json> read(const std::string& file) {
  std::ifstream in{std::string{DATAFLOW_SOURCE_DIR "/tests/golden/data/"} + file};
  REQUIRE_MESSAGE(in, file);
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) lines.push_back(json::parse(line));
  REQUIRE_FALSE(lines.empty());
  return lines;
}
struct expectation {
  std::vector<json> input, expected;
  explicit expectation(const row& r) : input(read(r.data + "/input.ndjson")) {
    for (auto& line : read(r.data + "/expected.ndjson")) {
      if (!r.filter.empty() && line.value("op", "") != r.filter) continue;
      auto copy = line;
      copy.erase("op");
      expected.push_back(std::move(copy));
    }
    if (!input.back().contains("end")) input.push_back({{"end", true}});
  }
};

/// Lines of one "at" have an order only by kind: records, then what the operator sent on.
std::vector<std::string> normalised(const std::vector<json>& lines) {
  std::vector<std::tuple<std::int64_t, bool, std::string>> sorted;
  for (auto& l : lines)
    sorted.emplace_back(l.value("at", std::int64_t{0}), l.contains("watermark") || l.contains("status"), l.dump());
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> text;
  for (auto& [at, control, line] : sorted)
    text.push_back(line);
  return text;
}
std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (auto& l : lines)
    all += l + "\n";
  return all;
}

struct manner {
  bool restarts = false;    ///< a snapshot and a new instance after every input line
  bool batched = false;     ///< all events between two other lines in one batch
  std::size_t limit = 2048; ///< records per batch of results
};

std::vector<json> run_alone(const row& r, const expectation& e, const manner& how) {
  operator_runner::options options;
  options.limits.records = how.limit;
  operator_runner runner{r.make(), options};
  const auto outputs = r.listen(runner);
  std::vector<json> got;
  std::size_t seen_records = 0, seen_controls = 0;
  watermark_merger watermarks{r.inputs};
  auto advance = [&](const json& line, std::int64_t t) {
    const auto merged = watermarks.watermark(line.value("in", 1u) - 1, timestamp{std::chrono::milliseconds{t}});
    if (merged.watermark) runner.watermark(merged.watermark->time_since_epoch().count());
  };
  std::vector<json> batch;
  unsigned ended = 0;
  // Side outputs are listed behind the main one: what is new is found by comparing counts.
  std::map<std::string, std::size_t> seen;
  auto gather = [&](std::size_t at) {
    std::map<std::string, std::size_t> now;
    for (auto line : outputs()) {
      const auto text = line.dump();
      if (++now[text] <= seen[text]) continue;
      line["at"] = at;
      got.push_back(std::move(line));
      ++seen_records;
    }
    seen = std::move(now);
    for (; seen_controls < runner.controls.size(); ++seen_controls) {
      const auto& c = runner.controls[seen_controls];
      if (c.kind == element_kind::watermark) got.push_back({{"at", at}, {"watermark", c.value}});
      if (c.kind == element_kind::idle) got.push_back({{"at", at}, {"status", "idle"}});
      if (c.kind == element_kind::active) got.push_back({{"at", at}, {"status", "active"}});
      if (c.kind != element_kind::end) CHECK(c.records_before == seen_records);
    }
  };
  for (std::size_t i = 0; i < e.input.size(); ++i) {
    const auto& line = e.input[i];
    if (line.contains("id")) {
      batch.push_back(line);
      if (how.batched && i + 1 < e.input.size() && e.input[i + 1].contains("id")) continue;
      r.push(runner, std::exchange(batch, {}));
    } else if (line.contains("watermark")) {
      advance(line, line["watermark"]);
    } else if (line.contains("processing_time")) {
      runner.set_time(line["processing_time"]);
    } else if (line.contains("status")) {
      runner.push(element::control(line["status"] == "idle" ? element_kind::idle : element_kind::active));
    } else {
      REQUIRE(line.contains("end"));
      if (r.filter.empty()) advance(line, end_of_time);
      if (++ended == r.inputs) runner.end();
    }
    gather(i + 1);
    if (how.restarts && !line.contains("end")) runner.restart();
  }
  return got;
}

/// The lines of a batch all happen with its last one.
std::vector<json> at_ends_of_batches(const expectation& e) {
  auto lines = e.expected;
  for (auto& l : lines) {
    auto at = l["at"].get<std::size_t>();
    while (e.input[at - 1].contains("id") && at < e.input.size() && e.input[at].contains("id"))
      ++at;
    l["at"] = at;
  }
  return lines;
}

/// Plays a script: events with their timestamps, watermarks in between.
class script_operator final : public stream_operator {
public:
  void process(unsigned, batch_slice& slice) override {
    const auto& b = slice.data.as<script_line>();
    batch_ptr events;
    for (; slice.cursor < slice.limit; ++slice.cursor) {
      const auto& line = b.records[slice.cursor];
      if (line.what.id.empty()) {
        if (events) emit(std::move(events));
        events.reset();
        if (line.watermark <= watermark_) continue;
        watermark_ = line.watermark;
        context().output().emit_control(element::watermark(timestamp{std::chrono::milliseconds{watermark_}}));
        continue;
      }
      if (!events) events = context().pool(record_type_of<event>())->get();
      events.as<event>().records.push_back(line.what);
      events->timestamps.push_back(timestamp{std::chrono::milliseconds{line.what.ts}});
    }
    if (events) emit(std::move(events));
  }
  progress advance_watermark(timestamp) override { return progress::done; }

private:
  std::int64_t watermark_ = std::numeric_limits<std::int64_t>::min();
};

std::vector<std::string> run_pipeline(environment& env, const row& r, const expectation& e) {
  std::vector<script_line> script;
  for (auto& line : e.input)
    if (line.contains("id"))
      script.push_back({event_of(line), 0});
    else if (line.contains("watermark"))
      script.push_back({{}, line["watermark"]});
    else if (r.filter.empty())
      script.push_back({{}, end_of_time});
  auto events = env.from_collection(std::move(script))
                    .transform<event>("script", [] { return std::make_unique<script_operator>(); })
                    .set_parallelism(1);
  auto lines = r.pipeline(events).collect();
  std::sort(lines.begin(), lines.end());
  return lines;
}
std::vector<std::string> records_of(const expectation& e) {
  std::vector<std::string> lines;
  for (auto line : e.expected) {
    if (!line.contains("out")) continue;
    line.erase("at");
    lines.push_back(line.dump());
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

} // namespace

TEST_CASE("operators of the table reproduce the golden cases alone") {
  for (auto& r : operator_table()) {
    const expectation e{r};
    INFO(r.data << " " << r.filter << " by " << r.source);
    CHECK(joined(normalised(run_alone(r, e, {}))) == joined(normalised(e.expected)));
    CHECK(joined(normalised(run_alone(r, e, {.batched = true}))) == joined(normalised(at_ends_of_batches(e))));
    CHECK(joined(normalised(run_alone(r, e, {.limit = 1}))) == joined(normalised(e.expected)));
  }
}

TEST_CASE("operators of the table go on from a snapshot after every input line") {
  for (auto& r : operator_table()) {
    if (!r.restarts) continue;
    const expectation e{r};
    INFO(r.data << " " << r.filter << " by " << r.source);
    CHECK(joined(normalised(run_alone(r, e, {.restarts = true}))) == joined(normalised(e.expected)));
    CHECK(joined(normalised(run_alone(r, e, {.restarts = true, .batched = true}))) ==
          joined(normalised(at_ends_of_batches(e))));
  }
}

TEST_CASE("operators of the table reproduce the golden cases in pipelines") {
  for (auto& r : operator_table()) {
    if (r.processing_time || r.inputs != 1) continue;
    const expectation e{r};
    for (const std::int64_t parallelism : {1, 2, 4})
      for (const bool chaining : {true, false}) {
        INFO(r.data << " " << r.filter << " by " << r.source << ", parallelism " << parallelism << ", chaining "
                    << chaining);
        environment env;
        env.set_parallelism(parallelism);
        if (!chaining) env.disable_operator_chaining();
        CHECK(joined(run_pipeline(env, r, e)) == joined(records_of(e)));
      }
  }
}

TEST_CASE("operators of the table reproduce the golden cases on simulated clusters") {
  for (auto& r : operator_table()) {
    if (r.processing_time || r.inputs != 1) continue;
    const expectation e{r};
    INFO(r.data << " " << r.filter << " by " << r.source);
    const auto expected = records_of(e);
    const auto report = simulate(
        [&](environment& env) {
          env.set_parallelism(2);
          return run_pipeline(env, r, e);
        },
        {.seeds = rounds(20)});
    CHECK_MESSAGE(report.exactly_once(), report.describe());
    CHECK(report.expected.outcome == to_text(expected));
  }
}

TEST_CASE("every file that declares state is in the operator table") {
  std::set<std::string> named;
  for (auto& r : operator_table())
    named.insert(r.source);
  // What does not fit the table's one input of events has a test of its own, golden where Flink's output can be had,
  // which restarts as well.
  const std::pair<const char*, const char*> elsewhere[] = {
      {"operators/assign_timestamps.hpp", "event_time_golden_test.cpp"},
      {"operators/broadcast_process.hpp", "process_functions_golden_test.cpp"},
      {"connectors/source_event_time.cpp", "event_time_golden_test.cpp"},
      {"operators/async_wait.hpp", "../unit/operators/async_wait_test.cpp"},
      {"operators/interval_join.hpp", "interval_join_golden_test.cpp"},
      {"operators/process.hpp", "process_functions_golden_test.cpp"}};
  for (auto [source, test] : elsewhere) {
    std::stringstream text;
    text << std::ifstream{std::string{DATAFLOW_SOURCE_DIR "/tests/golden/"} + test}.rdbuf();
    CHECK_MESSAGE(text.str().find("restart()") != std::string::npos, test << " does not restart " << source);
    named.insert(source);
  }
  const std::filesystem::path root{DATAFLOW_SOURCE_DIR "/libdataflow/dataflow"};
  for (auto& file : std::filesystem::recursive_directory_iterator{root}) {
    if (!file.is_regular_file()) continue;
    std::stringstream text;
    text << std::ifstream{file.path()}.rdbuf();
    if (text.str().find("states().declare(") == std::string::npos) continue;
    const auto name = std::filesystem::relative(file.path(), root).string();
    CHECK_MESSAGE(named.contains(name),
                  name << " declares state: give its operator a row in tests/golden/operator_table.cpp");
  }
}
