#include <dataflow/api/explain_silence.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

task_event_time task(std::int64_t vertex, std::int64_t subtask, const std::string& name) {
  task_event_time t;
  t.scope.vertex = vertex;
  t.scope.subtask = subtask;
  t.parallelism = 2;
  t.at = 100s;
  t.operators.resize(1);
  t.operators[0].name = name;
  return t;
}
channel_event_time channel(const std::string& name, std::int64_t vertex, std::int64_t subtask, std::int64_t watermark) {
  channel_event_time c;
  c.name = name;
  c.vertex = vertex;
  c.subtask = subtask;
  c.watermark = watermark;
  c.advanced = 60s;
  return c;
}
/// Two readers of a source and a window behind them.
job_report job() {
  job_report r;
  for (int i = 0; i < 2; ++i) {
    auto t = task(0, i, "Source: orders");
    t.source = t.strategy = true;
    t.operators[0].output = 1000 * (i + 1);
    t.splits.push_back({"orders-" + std::to_string(i), 1000 * (i + 1), false, false, 60s, 60s});
    t.splits.push_back({"more-" + std::to_string(i), 9000, false, false, 99s, 99'900ms});
    r.event_times.push_back(t);
  }
  auto w = task(1, 0, "Window");
  w.parallelism = 1;
  w.channels.push_back(channel("Source: orders (1/2) -> Window (1/1)", 0, 0, 1000));
  w.channels.push_back(channel("Source: orders (2/2) -> Window (1/1)", 0, 1, 2000));
  r.event_times.push_back(w);
  return r;
}
const silence& only(const std::vector<silence>& all) {
  REQUIRE(all.size() == 1);
  return all.front();
}
bool says(const silence& s, const char* text) { return s.text.find(text) != std::string::npos; }

} // namespace

TEST_CASE("explain silence: a split without records; idleness would help") {
  auto report = job();
  auto all = explain_silence(report);
  auto& s = only(all);
  CHECK(s.cause == silence_cause::no_records);
  CHECK(s.waiting == "Window (1/1)");
  CHECK(s.operator_name == "Source: orders (1/2)");
  CHECK(s.channel == "Source: orders (1/2) -> Window (1/1)");
  CHECK(s.split == "orders-0");
  CHECK(s.watermark == timestamp{1s});
  CHECK(s.standing == 40s);
  CHECK(s.idleness_would_help);
  CHECK(says(s, "split \"orders-0\""));
  CHECK(says(s, "for 40 s now"));
  CHECK(says(s, "with_idleness()"));
  report.event_times[0].splits[0].idle = true; // left out: the other one of this reader counts
  CHECK(only(explain_silence(report)).split == "more-0");
  report.event_times[0].splits[1].idle = true;
  CHECK(only(explain_silence(report)).cause == silence_cause::all_idle);
}

TEST_CASE("explain silence: a lagging channel, whose records come but are behind") {
  auto report = job();
  report.event_times[0].splits[0].last_record = 99'500ms;
  const auto all = explain_silence(report);
  CHECK(only(all).cause == silence_cause::behind);
  CHECK_FALSE(only(all).idleness_would_help);
  report.event_times[2].channels[0].idle = true; // then the other channel holds it back
  const auto other = explain_silence(report);
  CHECK(only(other).channel == "Source: orders (2/2) -> Window (1/1)");
  CHECK(only(other).split == "orders-1");
  report.event_times[2].channels[1].ended = true;
  CHECK(only(explain_silence(report)).cause == silence_cause::all_idle);
}

TEST_CASE("explain silence: no watermark strategy, and an assigner that makes up for it") {
  auto report = job();
  report.event_times[0].strategy = false;
  report.event_times[0].splits.clear();
  report.event_times[2].channels[0].watermark = no_watermark_yet;
  const auto all = explain_silence(report);
  CHECK(only(all).cause == silence_cause::no_strategy);
  CHECK(only(all).operator_name == "Source: orders (1/2)");
  CHECK(only(all).channel == "Source: orders (1/2) -> Window (1/1)");
  CHECK(says(only(all), "no watermark yet"));
  CHECK(says(only(all), "assign_timestamps_and_watermarks()"));
  operator_event_time o;
  o.name = "Timestamps/Watermarks";
  o.makes_watermarks = true;
  o.output = 500;
  o.advanced = 60s;
  o.last_record = 70s;
  report.event_times[0].operators.push_back(o);
  const auto assigned = explain_silence(report);
  CHECK(only(assigned).operator_name == "Timestamps/Watermarks (1/2)");
  CHECK(only(assigned).cause == silence_cause::no_records);
}

TEST_CASE("explain silence: an alignment group that waits, and for whom") {
  auto report = job();
  auto& fast = report.event_times[0];
  fast.alignment_group = "shops";
  fast.limit = 1500;
  fast.must_wait = true;
  fast.operators[0].output = 2000;
  auto slow = task(2, 0, "Source: payments");
  slow.source = slow.strategy = true;
  slow.alignment_group = "shops";
  slow.operators[0].output = 500;
  slow.splits.push_back({"p-0", 500, false, false, 60s, 60s});
  report.event_times.push_back(slow);
  const auto all = explain_silence(report);
  REQUIRE(all.size() == 2); // the window's, and that of the other source, which nobody reads
  CHECK(all[0].cause == silence_cause::aligned);
  CHECK(all[0].operator_name == "Source: orders (1/2)");
  CHECK(all[0].split == "orders-0");
  CHECK(says(all[0], "alignment group \"shops\" allows event time up to 1970-01-01T00:00:01.500Z"));
  CHECK(says(all[0], "slowest member, Source: payments (1/2), at 1970-01-01T00:00:00.500Z"));
}

TEST_CASE("explain silence: a window that waits for a later time") {
  auto report = job();
  report.event_times[2].operators[0].waits_for = 5000;
  report.event_times[2].operators[0].waiting = "a window has fired and is kept for late records";
  report.event_times[2].operators[0].input = 1000;
  const auto all = explain_silence(report);
  REQUIRE(all.size() == 2);
  CHECK(all[1].cause == silence_cause::waiting);
  CHECK(all[1].operator_name == "Window (1/1)");
  CHECK(all[1].channel == "Source: orders (1/2) -> Window (1/1)");
  CHECK(all[1].split == "orders-0");
  CHECK(says(all[1], "on channel Source: orders (1/2) -> Window (1/1) from split \"orders-0\""));
  CHECK(says(all[1], "waits for event time 1970-01-01T00:00:05Z: a window has fired and is kept for late records"));
  report.event_times.clear();
  CHECK(explain_silence(report).empty());
}

TEST_CASE("explain silence: an operator that has not sent a watermark on") {
  auto report = job();
  auto& o = report.event_times[2].operators[0];
  o.input = 1000;
  o.output = 500;
  o.advanced = 99'500ms;
  CHECK(only(explain_silence(report)).cause == silence_cause::no_records); // half a second is no silence
  o.advanced = 60s;
  const auto all = explain_silence(report);
  CHECK(only(all).cause == silence_cause::held);
  CHECK(only(all).operator_name == "Window (1/1)");
  CHECK(only(all).split == "orders-0");
  CHECK(only(all).standing == 40s);
  CHECK_FALSE(only(all).idleness_would_help);
  CHECK(says(only(all), "It has got 1970-01-01T00:00:01Z and not sent it on"));
}

TEST_CASE("late records are counted per operator") {
  job_report r;
  for (int i = 0; i < 2; ++i) {
    metric_group g;
    g.scope.job = "j";
    g.scope.subtask = i;
    g.scope.operator_name = "Window";
    g.metrics.push_back({"numLateRecordsDropped", metric_kind::counter, 3});
    r.metrics.groups.push_back(g);
    g.scope.operator_name = "Other";
    g.metrics[0].value = 0;
    r.metrics.groups.push_back(g);
  }
  CHECK(late_records_dropped(r) == std::vector<std::pair<std::string, std::uint64_t>>{{"Window", 6}});
}
