// Two streams with out-of-order events, worked through by hand: which watermark stands after each event.
#include <dataflow/exchange/watermark_merger.hpp>
#include <dataflow/operators/assign_timestamps.hpp>
#include <dataflow/operators/interval_join.hpp>
#include <dataflow/record/record.hpp>
#include <dataflow/time/iso8601.hpp>

#include <doctest/doctest.h>

#include <set>
#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

struct named_event {
  std::string name, time;
};
timestamp time_of(const named_event& e) { return parse_iso8601("2026-11-21T" + e.time); }

/// The watermark after each event, when the interval passes between events.
class walked_stream {
public:
  walked_stream()
      : runner_([] {
          return std::make_unique<timestamps_and_watermarks_operator<named_event>>(
              watermark_strategy<named_event>::bounded_out_of_orderness(10s).with_timestamp(time_of));
        }) {}
  std::string after(const std::string& name, const std::string& time) {
    runner_.push(std::vector<named_event>{{name, time}});
    runner_.set_time(now_ += 200);
    for (auto& c : runner_.controls)
      if (c.kind == element_kind::watermark) watermark = timestamp{std::chrono::milliseconds{c.value}};
    return format_iso8601(watermark).substr(11);
  }
  timestamp watermark = min_timestamp;

private:
  test::operator_runner runner_;
  std::int64_t now_ = 0;
};

} // namespace
DATAFLOW_RECORD(named_event, name, time);

TEST_CASE("the walk-through: watermarks after each event") {
  walked_stream left, right;
  CHECK(left.after("A", "12:29:50") == "12:29:39.999Z");
  CHECK(left.after("B", "12:29:55") == "12:29:44.999Z");
  CHECK(left.after("C", "12:29:45") == "12:29:44.999Z"); // out of order, and not late
  CHECK(left.after("D", "12:30:05") == "12:29:54.999Z");
  CHECK(right.after("W", "12:29:52") == "12:29:41.999Z");
  CHECK(right.after("X", "12:29:58") == "12:29:47.999Z");
  CHECK(right.after("Y", "12:29:48") == "12:29:47.999Z");
  CHECK(right.after("Z", "12:30:08") == "12:29:57.999Z");
}

TEST_CASE("the walk-through: what a join of both sees is the smaller one") {
  walked_stream left, right;
  two_input_watermarks both;
  auto next = [&](walked_stream& side, unsigned input, const char* name, const char* time) {
    side.after(name, time);
    both.watermark(input, side.watermark);
    return both.output() == min_timestamp ? std::string{"none"} : format_iso8601(both.output()).substr(11);
  };
  CHECK(next(left, 0, "A", "12:29:50") == "none"); // nothing from the other side yet
  CHECK(next(right, 1, "W", "12:29:52") == "12:29:39.999Z");
  CHECK(next(left, 0, "B", "12:29:55") == "12:29:41.999Z");
  CHECK(next(right, 1, "X", "12:29:58") == "12:29:44.999Z");
  CHECK(next(left, 0, "C", "12:29:45") == "12:29:44.999Z");
  CHECK(next(right, 1, "Y", "12:29:48") == "12:29:44.999Z");
  CHECK(next(left, 0, "D", "12:30:05") == "12:29:47.999Z");
  CHECK(next(right, 1, "Z", "12:30:08") == "12:29:54.999Z");
}

TEST_CASE("the walk-through: pairs within 60 s come at once, when the second of a pair arrives") {
  auto same = [](const named_event&) { return std::int64_t{0}; };
  auto pair = [](const named_event& l, const named_event& r, collector<std::string>& out) {
    out.collect(l.name + r.name);
  };
  using join =
      interval_join_operator<named_event, named_event, std::string, decltype(pair), decltype(same), decltype(same)>;
  test::operator_runner r{[=] {
                            interval_join_config<named_event, named_event> config{{-60s, 60s}};
                            return std::make_unique<join>(same, same, config, std::tuple{pair});
                          },
                          {.inputs = 2}};
  auto& out = r.capture<std::string>();
  walked_stream streams[2];
  two_input_watermarks both;
  auto after = [&](unsigned input, const char* name, const char* time) {
    const auto before = out.size();
    const named_event e{name, time};
    r.push_timed<named_event>({{e, time_of(e).time_since_epoch().count()}}, input);
    streams[input].after(name, time);
    if (auto changed = both.watermark(input, streams[input].watermark); changed.watermark)
      r.watermark(changed.watermark->time_since_epoch().count());
    std::set<std::string> found;
    for (auto i = before; i < out.size(); ++i)
      found.insert(out[i].value);
    CHECK(found.size() == out.size() - before);
    std::string pairs;
    for (auto& p : found)
      pairs += (pairs.empty() ? "" : " ") + p;
    return pairs;
  };
  CHECK(after(0, "A", "12:29:50").empty());
  CHECK(after(1, "W", "12:29:52") == "AW");
  CHECK(after(0, "B", "12:29:55") == "BW");
  CHECK(after(1, "X", "12:29:58") == "AX BX");
  CHECK(after(0, "C", "12:29:45") == "CW CX"); // the watermark is 12:29:44.999: on time
  CHECK(after(1, "Y", "12:29:48") == "AY BY CY");
  CHECK(after(0, "D", "12:30:05") == "DW DX DY");
  CHECK(after(1, "Z", "12:30:08") == "AZ BZ CZ DZ");
}
