// Flink's own output of assignTimestampsAndWatermarks, driven by a clock.
#include <dataflow/operators/assign_timestamps.hpp>
#include <dataflow/record/record.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>
#include <tests/support/operator_runner.hpp>
#include <tests/support/timed_source.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct timed_event {
  std::string id, k;
  std::int64_t ts = 0, v = 0;
};

std::vector<json> lines_of(const std::string& file) {
  std::ifstream in{std::string{DATAFLOW_SOURCE_DIR "/tests/golden/data/"} + file};
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) lines.push_back(json::parse(line));
  REQUIRE_FALSE(lines.empty());
  return lines;
}

/// What came out, line by line of the input. A status that repeats the one before says nothing new: that is how those
/// downstream are told again after a restart.
std::vector<json> run(const std::string& name, const watermark_strategy<timed_event>& strategy, bool restarts) {
  test::operator_runner r{[&] { return std::make_unique<timestamps_and_watermarks_operator<timed_event>>(strategy); }};
  auto& out = r.capture<timed_event>();
  std::vector<json> got;
  std::size_t records = 0, controls = 0;
  std::string status = "active";
  auto take = [&](std::size_t line) {
    auto take_records = [&](std::size_t until) {
      for (; records < until; ++records) {
        const auto& e = out[records].value;
        got.push_back({{"at", line},
                       {"ts", out[records].time.value()},
                       {"out", {{"id", e.id}, {"k", e.k}, {"ts", e.ts}, {"v", e.v}}}});
      }
    };
    for (; controls < r.controls.size(); ++controls) {
      const auto& c = r.controls[controls];
      take_records(c.records_before);
      if (c.kind == element_kind::watermark) got.push_back({{"at", line}, {"watermark", c.value}});
      if (c.kind != element_kind::idle && c.kind != element_kind::active) continue;
      const std::string now = c.kind == element_kind::idle ? "idle" : "active";
      if (now == status) {
        CHECK(restarts);
        continue;
      }
      got.push_back({{"at", line}, {"status", status = now}});
    }
    take_records(out.size());
  };
  const auto input = lines_of(name + "/input.ndjson");
  for (std::size_t i = 0; i < input.size(); ++i) {
    const auto& line = input[i];
    if (line.contains("processing_time"))
      r.set_time(line["processing_time"]);
    else if (line.contains("watermark"))
      r.watermark(line["watermark"]);
    else if (line.contains("end")) {
      r.watermark(max_timestamp.time_since_epoch().count());
      r.end();
    } else
      r.push(std::vector<timed_event>{{line["id"], line["k"], line["ts"], line["v"]}});
    take(i + 1);
    if (restarts) r.restart();
  }
  return got;
}

void check(const std::string& name, const watermark_strategy<timed_event>& strategy) {
  const auto expected = lines_of(name + "/expected.ndjson");
  for (const bool restarts : {false, true}) {
    CAPTURE(restarts);
    const auto got = run(name, strategy, restarts);
    CHECK(got.size() == expected.size());
    for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i)
      CHECK_MESSAGE(got[i] == expected[i], "got " << got[i].dump() << ", expected " << expected[i].dump());
  }
}

} // namespace
DATAFLOW_RECORD(timed_event, id, k, ts, v);

TEST_CASE("time-watermark-bounded") {
  check("time-watermark-bounded",
        watermark_strategy<timed_event>::bounded_out_of_orderness(2s).with_timestamp(&timed_event::ts));
}

TEST_CASE("time-watermark-idleness") {
  check(
      "time-watermark-idleness",
      watermark_strategy<timed_event>::bounded_out_of_orderness(2s).with_timestamp(&timed_event::ts).with_idleness(1s));
}

namespace {

/// The same cases with the strategy in the source, whose only split has the events: "e 10000", "w 7999", "idle".
std::vector<std::string> run_source(const std::string& name, const watermark_strategy<std::int64_t>& strategy,
                                    bool restarts) {
  test::timed_source s{strategy};
  s.add("only");
  std::vector<std::string> got;
  std::string status = "active";
  std::int64_t last = min_timestamp.time_since_epoch().count();
  auto take = [&](std::size_t line, const std::string& text) {
    std::stringstream words{text};
    for (std::string word; words >> word;) {
      if (word == "|end") word = "|" + std::to_string(max_timestamp.time_since_epoch().count());
      if (word == "idle" || word == "active") {
        if (std::exchange(status, word) == word) continue; // said again after a restart
      } else if (word.front() == '|') {
        const auto mark = std::stoll(word.substr(1));
        if (mark <= std::exchange(last, std::max<std::int64_t>(last, mark))) continue; // likewise
      }
      got.push_back(std::to_string(line) + " " + word);
    }
  };
  const auto input = lines_of(name + "/input.ndjson");
  for (std::size_t i = 0; i < input.size(); ++i) {
    const auto& line = input[i];
    if (line.contains("processing_time"))
      take(i + 1, s.tick(line["processing_time"]));
    else if (line.contains("ts"))
      take(i + 1, s.poll("only", {line["ts"].get<std::int64_t>()}));
    else if (line.contains("end"))
      take(i + 1, s.finish());
    if (restarts && !line.contains("end")) s.restart({"only"});
  }
  return got;
}

void check_source(const std::string& name, const watermark_strategy<std::int64_t>& strategy) {
  std::vector<std::string> expected;
  for (auto& line : lines_of(name + "/expected.ndjson")) {
    const auto number = [&](const char* key) { return std::to_string(line[key].get<std::int64_t>()); };
    expected.push_back(number("at") + " " +
                       (line.contains("status")      ? line["status"].get<std::string>()
                        : line.contains("watermark") ? "|" + number("watermark")
                                                     : number("ts")));
  }
  CHECK(run_source(name, strategy, false) == expected);
  CHECK(run_source(name, strategy, true) == expected);
}

} // namespace

TEST_CASE("time-watermark-bounded and -idleness in a source") {
  const auto bounded =
      watermark_strategy<std::int64_t>::bounded_out_of_orderness(2s).with_timestamp([](std::int64_t t) { return t; });
  check_source("time-watermark-bounded", bounded);
  check_source("time-watermark-idleness", bounded.with_idleness(1s));
}
