// Flink's own output of assignTimestampsAndWatermarks, driven by a clock.
#include <dataflow/operators/assign_timestamps.hpp>
#include <dataflow/record/record.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <tests/support/operator_runner.hpp>

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
