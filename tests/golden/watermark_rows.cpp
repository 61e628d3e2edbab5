// Where watermarks are made, driven by a clock: in the middle of a stream, and per split in a source. The order of
// records, watermarks and statuses within a line counts, so these rows check themselves.
#include <dataflow/operators/assign_timestamps.hpp>

#include <doctest/doctest.h>

#include <sstream>
#include <tests/support/timed_source.hpp>

#include "operator_table.hpp"

namespace dataflow::test::golden {

namespace {

using namespace std::chrono_literals;

/// What came out, line by line of the input. A status that repeats the one before says nothing new: that is how those
/// downstream are told again after a restart.
std::vector<json> run(const std::string& name, const watermark_strategy<event>& strategy, bool restarts) {
  operator_runner r{[&] { return std::make_unique<timestamps_and_watermarks_operator<event>>(strategy); }};
  auto& out = r.capture<event>();
  std::vector<json> got;
  std::size_t records = 0, controls = 0;
  std::string status = "active";
  auto take = [&](std::size_t line) {
    auto take_records = [&](std::size_t until) {
      for (; records < until; ++records) {
        got.push_back({{"at", line}, {"ts", out[records].time.value()}, {"out", to_json(out[records].value)}});
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
      r.push(std::vector<event>{event_of(line)});
    take(i + 1);
    if (restarts) r.restart();
  }
  return got;
}

/// The same cases with the strategy in the source, whose only split has the events: "e 10000", "w 7999", "idle".
std::vector<std::string> run_source(const std::string& name, const watermark_strategy<std::int64_t>& strategy,
                                    bool restarts) {
  timed_source s{strategy};
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

std::vector<std::string> expected_of_source(const std::string& name) {
  std::vector<std::string> expected;
  for (auto& line : lines_of(name + "/expected.ndjson")) {
    const auto number = [&](const char* key) { return std::to_string(line[key].get<std::int64_t>()); };
    expected.push_back(number("at") + " " +
                       (line.contains("status")      ? line["status"].get<std::string>()
                        : line.contains("watermark") ? "|" + number("watermark")
                                                     : number("ts")));
  }
  return expected;
}

} // namespace

void add_watermark_rows(std::vector<row>& table) {
  auto add = [&](const std::string& name, auto settings) {
    const auto events = settings(watermark_strategy<event>::bounded_out_of_orderness(2s).with_timestamp(&event::ts));
    const auto times = settings(watermark_strategy<std::int64_t>::bounded_out_of_orderness(2s).with_timestamp(
        [](std::int64_t t) { return t; }));
    row r;
    r.data = name;
    r.pipelines = played::never;
    r.operator_class = "timestamps_and_watermarks_operator";
    r.make = [events]() -> operator_factory {
      return [events] { return std::make_unique<timestamps_and_watermarks_operator<event>>(events); };
    };
    r.check = [name, events](bool restarts) {
      const auto expected = lines_of(name + "/expected.ndjson");
      const auto got = run(name, events, restarts);
      CHECK(got.size() == expected.size());
      for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i)
        CHECK_MESSAGE(got[i] == expected[i], "got " << got[i].dump() << ", expected " << expected[i].dump());
    };
    table.push_back(r);
    r.operator_class = "typed_source_event_time";
    r.make = {};
    r.check = [name, times](bool restarts) { CHECK(run_source(name, times, restarts) == expected_of_source(name)); };
    table.push_back(r);
  };
  add("time-watermark-bounded", [](auto s) { return s; });
  add("time-watermark-idleness", [](auto s) { return s.with_idleness(1s); });
}

} // namespace dataflow::test::golden
