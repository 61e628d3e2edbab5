// Triggers, evictors, sessions and the rest of the general window operator, beyond the golden cases.
#include <dataflow/api/environment.hpp>
#include <dataflow/api/environment_state.hpp>
#include <dataflow/api/windowed_stream.hpp>

#include <doctest/doctest.h>

#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

struct item {
  std::string key;
  std::int64_t value = 0;
};
const output_tag<item>& late_items() {
  static const output_tag<item> tag{"late"};
  return tag;
}

template <class W>
std::string shown(const W& w) {
  if constexpr (std::is_same_v<W, time_window>)
    return std::to_string(w.start.time_since_epoch().count()) + ".." + std::to_string(w.end.time_since_epoch().count());
  else
    return "all";
}
template <class W>
auto list() {
  return
      [](const std::string& key, window_context<W>& ctx, std::span<const item> elements, collector<std::string>& out) {
        auto text = key + " " + shown(ctx.window()) + ":";
        for (auto& e : elements)
          text += " " + std::to_string(e.value);
        out.collect(std::move(text));
      };
}
const auto in_time = list<time_window>();
const auto in_all = list<global_window>();

/// The operator that build() puts behind a keyed stream.
template <class Build>
operator_factory operator_of(Build build) {
  return [build] {
    environment env;
    auto s = build(env.from_collection<item>({}).key_by(&item::key));
    return s.state()->graph.node(s.node()).make_operator();
  };
}
using texts = std::vector<std::string>;

/// Pushes the values with their timestamps, all for key "a".
void push(operator_runner& r, std::initializer_list<std::pair<std::int64_t, std::int64_t>> values) {
  for (auto [v, t] : values)
    r.push_timed<item>({{{"a", v}, t}});
}
texts taken(std::vector<delivered<std::string>>& out) {
  texts all = values_of(out);
  out.clear();
  return all;
}

/// Fires at the time that a record names.
struct always {
  trigger_result on_element(const item& e, timestamp, const global_window&, auto& context) {
    context.register_event_time(timestamp{std::chrono::milliseconds{e.value}});
    return trigger_result::continue_;
  }
  trigger_result on_event_time(timestamp, const global_window&, auto&) { return trigger_result::fire; }
};
/// Fires 5 ms after the last record.
struct moved {
  using state = std::optional<timestamp>;
  trigger_result on_element(const item&, timestamp t, const global_window&, auto& context) {
    if (context.state()) context.delete_event_time(*context.state());
    context.state() = t + 5ms;
    context.register_event_time(*context.state());
    context.delete_event_time(t + 1000ms); // never was: no error
    return trigger_result::continue_;
  }
  trigger_result on_event_time(timestamp, const global_window&, auto&) { return trigger_result::fire; }
};
struct throwing {
  trigger_result on_element(const item& e, timestamp, const global_window&, auto&) {
    if (e.value == 2) throw std::runtime_error("no twos");
    return trigger_result::fire;
  }
};

struct record_count {
  std::int64_t create_accumulator() const { return 0; }
  std::int64_t add(const item&, std::int64_t n) const { return n + 1; }
  std::int64_t get_result(std::int64_t n) const { return n; }
  std::int64_t merge(std::int64_t a, std::int64_t b) const { return a + b; }
};

} // namespace
DATAFLOW_RECORD(item, key, value);

TEST_CASE("a count trigger on a time window replaces the one of its end") {
  operator_runner r{operator_of(
      [](auto s) { return s.window(tumbling_event_time_windows{10ms}).trigger(count_trigger{2}).process(in_time); })};
  auto& out = r.capture<std::string>();
  push(r, {{1, 1}, {2, 2}, {3, 3}});
  CHECK(taken(out) == texts{"a 0..10: 1 2"});
  r.watermark(9);
  CHECK(taken(out).empty());
  push(r, {{4, 4}}); // the window is gone
  CHECK(taken(out).empty());
  CHECK(r.counters["numLateRecordsDropped"].value() == 1);
}

TEST_CASE("a purging trigger empties the window and keeps its state") {
  operator_runner r{operator_of([](auto s) {
    return s.window(tumbling_event_time_windows{10ms})
        .trigger(purging_trigger{event_time_trigger{}})
        .allowed_lateness(10ms)
        .process(in_time);
  })};
  auto& out = r.capture<std::string>();
  push(r, {{1, 1}, {2, 2}});
  r.watermark(9);
  CHECK(taken(out) == texts{"a 0..10: 1 2"});
  r.restart();
  push(r, {{3, 3}});
  CHECK(taken(out) == texts{"a 0..10: 3"});
  r.watermark(18);
  push(r, {{4, 4}});
  CHECK(taken(out) == texts{"a 0..10: 4"});
  r.watermark(19);
  push(r, {{5, 5}});
  CHECK(taken(out).empty());
}

namespace {
/// Empties the window at its second record and fires at its third.
struct second_and_third {
  using state = std::int64_t;
  trigger_result on_element(const item&, timestamp, const time_window&, auto& context) {
    switch (++context.state()) {
    case 2:
      return trigger_result::fire_and_purge;
    case 3:
      return trigger_result::fire;
    case 4:
      return trigger_result::purge;
    default:
      return trigger_result::continue_;
    }
  }
  trigger_result on_event_time(timestamp, const time_window&, auto&) { return trigger_result::fire; }
};
} // namespace

TEST_CASE("what a trigger remembers survives that its window is emptied") {
  for (const bool restarts : {false, true}) {
    operator_runner r{operator_of([](auto s) {
      return s.window(tumbling_event_time_windows{10ms}).trigger(second_and_third{}).process(in_time);
    })};
    auto& out = r.capture<std::string>();
    for (const std::int64_t n : {1, 2, 3, 4, 5}) {
      push(r, {{n, n}});
      if (restarts) r.restart();
    }
    CHECK(taken(out) == texts{"a 0..10: 1 2", "a 0..10: 3"});
  }
}

TEST_CASE("a delta trigger compares with the record of its last firing") {
  operator_runner r{operator_of([](auto s) {
    return s.window(global_windows{})
        .trigger(delta_trigger<item>(2.5, [](const item& a, const item& b) { return double(b.value - a.value); }))
        .process(in_all);
  })};
  auto& out = r.capture<std::string>();
  push(r, {{1, 1}, {2, 2}, {3, 3}, {4, 4}});
  CHECK(taken(out) == texts{"a all: 1 2 3 4"});
  r.restart();
  push(r, {{6, 5}});
  CHECK(taken(out).empty());
  push(r, {{7, 6}});
  CHECK(taken(out) == texts{"a all: 1 2 3 4 6 7"});
}

TEST_CASE("global windows fire at the end of input when an event-time trigger says so, else never") {
  for (const bool set : {false, true}) {
    auto make = [&]() -> operator_factory {
      if (set)
        return operator_of(
            [](auto s) { return s.window(global_windows{}).trigger(event_time_trigger{}).process(in_all); });
      return operator_of([](auto s) { return s.window(global_windows{}).process(in_all); });
    };
    operator_runner r{make()};
    auto& out = r.capture<std::string>();
    r.push<item>({{"a", 1}, {"a", 2}}); // no timestamps needed
    r.watermark(std::numeric_limits<std::int64_t>::max());
    CHECK(taken(out) == (set ? texts{"a all: 1 2"} : texts{}));
  }
}

TEST_CASE("a continuous processing-time trigger fires at multiples of its interval") {
  operator_runner r{operator_of([](auto s) {
    return s.window(global_windows{}).trigger(continuous_processing_time_trigger{10ms}).process(in_all);
  })};
  auto& out = r.capture<std::string>();
  r.set_time(13);
  push(r, {{1, 0}});
  r.set_time(19);
  CHECK(taken(out).empty());
  r.restart();
  r.set_time(20);
  CHECK(taken(out) == texts{"a all: 1"});
  push(r, {{2, 0}});
  r.set_time(45); // 30 and 40: once each
  CHECK(taken(out) == texts{"a all: 1 2", "a all: 1 2"});
}

TEST_CASE("processing-time sessions merge by the clock") {
  operator_runner r{
      operator_of([](auto s) { return s.window(processing_time_session_windows{10ms}).process(in_time); })};
  auto& out = r.capture<std::string>();
  r.set_time(100);
  push(r, {{1, 5}});
  r.set_time(105);
  push(r, {{2, 1}});
  r.set_time(113);
  CHECK(taken(out).empty());
  r.set_time(114);
  CHECK(taken(out) == texts{"a 100..115: 1 2"});
  push(r, {{3, 1}});
  r.end(); // what is open is not fired
  CHECK(taken(out).empty());
}

TEST_CASE("count triggers of sessions add up when these merge") {
  operator_runner r{operator_of(
      [](auto s) { return s.window(event_time_session_windows{10ms}).trigger(count_trigger{4}).process(in_time); })};
  auto& out = r.capture<std::string>();
  push(r, {{1, 0}, {2, 20}, {3, 10}}); // the third bridges: three records, then
  CHECK(taken(out).empty());
  push(r, {{4, 25}});
  CHECK(taken(out) == texts{"a 0..35: 1 2 3 4"});
}

TEST_CASE("continuous triggers of sessions go on at the earliest time when these merge") {
  operator_runner r{operator_of([](auto s) {
    return s.window(event_time_session_windows{10ms}).trigger(continuous_event_time_trigger{10ms}).process(in_time);
  })};
  auto& out = r.capture<std::string>();
  push(r, {{1, 5}, {2, 14}});
  r.watermark(10);
  CHECK(taken(out) == texts{"a 5..24: 1 2"});
  r.restart();
  r.watermark(30);
  CHECK(taken(out) == texts{"a 5..24: 1 2", "a 5..24: 1 2"}); // 20, and the end
}

TEST_CASE("sessions of allowed lateness are revived by a record that joins them") {
  operator_runner r{operator_of([](auto s) {
    return s.window(event_time_session_windows{10ms})
        .allowed_lateness(10ms)
        .side_output_late(late_items())
        .aggregate(record_count{}, [](const std::string& key, window_context<time_window>& ctx, const std::int64_t& n,
                                      collector<std::string>& out) {
          out.collect(key + shown(ctx.window()) + "=" + std::to_string(n));
        });
  })};
  auto& out = r.capture<std::string>();
  auto& side = r.capture(late_items());
  push(r, {{1, 0}, {2, 5}});
  r.watermark(14);
  CHECK(taken(out) == texts{"a0..15=2"});
  push(r, {{3, 12}}); // still there: grows and is open again
  CHECK(taken(out).empty());
  r.watermark(21);
  CHECK(taken(out) == texts{"a0..22=3"});
  push(r, {{4, 1}}); // falls into it: fires at once
  CHECK(taken(out) == texts{"a0..22=4"});
  r.watermark(31);
  push(r, {{5, 1}});
  CHECK(taken(out).empty());
  REQUIRE(side.size() == 1);
  CHECK(side[0].value.value == 5);
  CHECK(side[0].time == 1);
}

TEST_CASE("evictors work before or after the function") {
  SUBCASE("count, after") {
    operator_runner r{operator_of([](auto s) {
      return s.window(global_windows{})
          .trigger(count_trigger{2})
          .evictor(count_evictor{1, evict::after})
          .process(in_all);
    })};
    auto& out = r.capture<std::string>();
    push(r, {{1, 1}, {2, 2}, {3, 3}, {4, 4}});
    CHECK(taken(out) == texts{"a all: 1 2", "a all: 2 3 4"});
  }
  SUBCASE("delta") {
    operator_runner r{operator_of([](auto s) {
      return s.window(global_windows{})
          .trigger(count_trigger{3})
          .evictor(delta_evictor{
              3.0, [](const item& a, const item& last) { return std::abs(double(a.value - last.value)); }})
          .process(in_all);
    })};
    auto& out = r.capture<std::string>();
    push(r, {{1, 1}, {9, 2}, {3, 3}});
    r.restart();
    push(r, {{4, 4}, {5, 5}, {6, 6}});
    CHECK(taken(out) == texts{"a all: 1 3", "a all: 4 5 6"});
  }
  SUBCASE("one of one's own, under an aggregation; an emptied window is not fired again") {
    struct all_gone {
      void evict_after(window_elements<item>& elements, const global_window&) const {
        elements.erase_if([](const item&, timestamp) { return true; });
      }
    };
    operator_runner r{operator_of([](auto s) {
      return s.window(global_windows{}).trigger(always{}).evictor(all_gone{}).aggregate(record_count{});
    })};
    auto& out = r.capture<std::int64_t>();
    push(r, {{10, 1}, {20, 2}, {30, 3}});
    r.watermark(10);
    r.watermark(20);
    push(r, {{40, 4}});
    r.watermark(30);
    CHECK(values_of(out) == std::vector<std::int64_t>{3, 1});
  }
}

TEST_CASE("timers that triggers delete do not fire") {
  operator_runner r{operator_of([](auto s) { return s.window(global_windows{}).trigger(moved{}).process(in_all); })};
  auto& out = r.capture<std::string>();
  push(r, {{1, 0}, {2, 3}});
  r.watermark(7);
  CHECK(taken(out).empty());
  r.watermark(8);
  CHECK(taken(out) == texts{"a all: 1 2"});
}

TEST_CASE("a trigger or an evictor that throws fails with its text, and a record's error can be skipped") {
  auto make = operator_of([](auto s) { return s.window(global_windows{}).trigger(throwing{}).process(in_all); });
  {
    operator_runner r{make};
    r.capture<std::string>();
    try {
      push(r, {{1, 1}, {2, 2}});
      FAIL("must throw");
    } catch (const error& e) {
      CHECK(e.to_string().find("no twos") != std::string::npos);
    }
  }
  operator_runner::options options;
  options.policy.action = record_error_policy::kind::skip;
  operator_runner r{make, options};
  auto& out = r.capture<std::string>();
  push(r, {{1, 1}, {2, 2}, {3, 3}});
  CHECK(taken(out).size() == 2);
}

TEST_CASE("a window whose slide is above its size drops what lies between, and only that") {
  operator_runner r{operator_of([](auto s) {
    return s.window(sliding_event_time_windows{10ms, 30ms}).side_output_late(late_items()).process(in_time);
  })};
  auto& out = r.capture<std::string>();
  auto& side = r.capture(late_items());
  push(r, {{1, 5}, {2, 15}, {3, 35}});
  r.watermark(20);
  CHECK(taken(out) == texts{"a 0..10: 1"});
  CHECK(side.empty());
  push(r, {{4, 15}}); // between two windows and behind the watermark
  CHECK(side.size() == 1);
  r.watermark(100);
  CHECK(taken(out) == texts{"a 30..40: 3"});
}

TEST_CASE("windows have Flink's names; those over everything run in one subtask") {
  environment env;
  env.set_parallelism(4);
  auto in = env.from_collection<item>({});
  auto name = [](auto s) { return s.state()->graph.node(s.node()).name; };
  auto keyed = in.key_by(&item::key);
  CHECK(name(keyed.window(tumbling_event_time_windows{1s}).sum(&item::value)) == "TumblingEventTimeWindows");
  CHECK(name(keyed.window(sliding_event_time_windows{2s, 1s}).max(&item::value)) == "SlidingEventTimeWindows");
  CHECK(name(keyed.window(event_time_session_windows{2s}).min_by(&item::value)) == "EventTimeSessionWindows");
  CHECK(name(keyed.count_window(5).sum(&item::value)) == "GlobalWindows");
  auto all = in.window_all(tumbling_event_time_windows{1s}).aggregate(record_count{});
  const auto& n = all.state()->graph.node(all.node());
  CHECK(n.parallelism == 1u);
  CHECK(n.max_parallelism == 1u);
  CHECK(n.parallelism_fixed);
  CHECK_THROWS_AS(all.set_parallelism(2), error);
  CHECK_THROWS_AS(keyed.window(tumbling_event_time_windows{1s}).allowed_lateness(-1ms), error);
}

TEST_CASE("windows over everything take count windows, reductions and function classes") {
  class totals : public process_all_window_function<item, std::string, global_window> {
  public:
    explicit totals(std::string prefix) : prefix_(std::move(prefix)) {}
    void process(context&, std::span<const item> elements, collector<std::string>& out) override {
      auto text = prefix_;
      for (auto& e : elements)
        text += e.key + std::to_string(e.value);
      out.collect(text);
    }

  private:
    std::string prefix_;
  };
  environment env;
  const std::vector<item> items{{"a", 1}, {"b", 2}, {"a", 3}, {"c", 4}};
  CHECK(env.from_collection(items).count_window_all(2).process<totals>(std::string{"-"}).collect() ==
        texts{"-a1b2", "-a3c4"});
  auto sums = env.from_collection(items).count_window_all(3, 1).sum(&item::value).collect();
  REQUIRE(sums.size() == 4);
  CHECK(sums[3].value == 9);
  CHECK(sums[3].key == "b"); // the first of the last three
}
