// Windows at the ends of time and with bad input: nothing wraps around, nothing hangs, and errors say what to do.
#include <dataflow/api/environment.hpp>
#include <dataflow/api/environment_state.hpp>
#include <dataflow/api/windowed_stream.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

using number = std::int64_t;
constexpr auto least = std::numeric_limits<number>::min();
constexpr auto most = std::numeric_limits<number>::max();

struct sample {
  number key = 0, value = 0;
};
struct sum_of_values {
  number create_accumulator() const { return 0; }
  void add(const sample& s, number& sum) const { sum += s.value; }
  number get_result(const number& sum) const { return sum; }
  void merge(number& into, const number& from) const { into += from; }
};

template <class Build>
operator_factory windows_of(Build build) {
  return [build] {
    environment env;
    auto s = build(env.from_collection<sample>({}).key_by(&sample::key));
    return s.state()->graph.node(s.node()).make_operator();
  };
}
const output_tag<sample>& too_late() {
  static const output_tag<sample> tag{"too late"};
  return tag;
}

/// Records at both ends of time and in the middle, each of a key of its own; the keys whose windows fire.
std::set<number> keys_fired(const operator_factory& make, bool restarts) {
  operator_runner r{make};
  auto& out = r.capture<number>();
  number key = 0;
  for (const auto t :
       {least + 1, least + 2, least + 999, number{-1}, number{0}, most - 999, most - 2, most - 1, most}) {
    r.push_timed<sample>({{{key, number{1} << key}, t}});
    ++key;
    if (restarts) r.restart();
  }
  for (const auto t : {least + 5, number{-500}, number{500}, most - 500, most - 1, most}) {
    r.watermark(t);
    if (restarts) r.restart();
  }
  r.end();
  std::set<number> fired;
  for (auto& d : out)
    fired.insert(d.value);
  CHECK(r.counters["numLateRecordsDropped"].value() == 0);
  return fired;
}

template <class F>
error error_from(F&& f) {
  try {
    f();
  } catch (const error& e) {
    return e;
  }
  FAIL("nothing was thrown");
  return {};
}

} // namespace
DATAFLOW_RECORD(sample, key, value);

TEST_CASE("windows at the limits of 64 bits take every record once and fire, whatever the assigner and the lateness") {
  const std::set<number> all{1, 2, 4, 8, 16, 32, 64, 128, 256};
  for (const bool restarts : {false, true})
    for (const auto lateness : {0ms, 10ms, std::chrono::milliseconds{most}}) {
      CAPTURE(restarts);
      CAPTURE(lateness.count());
      auto fired = [&](auto assigner, auto settings) {
        return keys_fired(windows_of([=](auto s) {
                            return settings(s.window(assigner).allowed_lateness(lateness)).aggregate(sum_of_values{});
                          }),
                          restarts);
      };
      auto sliced = [](auto w) { return w; };
      auto general = [](auto w) { return w.evictor(count_evictor{10}); };
      auto continuous = [](auto w) { return w.trigger(continuous_event_time_trigger{100ms}); };
      for (const auto offset : {0ms, 300ms, -300ms}) {
        CHECK(fired(tumbling_event_time_windows{1s, offset}, sliced) == all);
        CHECK(fired(tumbling_event_time_windows{1s, offset}, general) == all);
        CHECK(fired(sliding_event_time_windows{1s, 400ms, offset}, sliced) == all);
        CHECK(fired(sliding_event_time_windows{1s, 400ms, offset}, general) == all);
      }
      CHECK(fired(tumbling_event_time_windows{std::chrono::milliseconds{most}}, sliced) == all);
      CHECK(fired(tumbling_event_time_windows{std::chrono::milliseconds{most}}, general) == all);
      CHECK(fired(event_time_session_windows{1s}, sliced) == all);
      CHECK(fired(event_time_session_windows{std::chrono::milliseconds{most}}, sliced) == all);
      CHECK(fired(event_time_session_windows{1s}, continuous) == all);
      CHECK(fired(tumbling_event_time_windows{1s}, continuous) == all);
    }
}

TEST_CASE("sessions that reach the end of time merge there") {
  for (const bool restarts : {false, true}) {
    operator_runner r{windows_of([](auto s) {
      return s.window(event_time_session_windows{std::chrono::milliseconds{most}}).aggregate(sum_of_values{});
    })};
    auto& out = r.capture<number>();
    for (const auto t : {number{1}, most - 10, number{-5}, most}) {
      r.push_timed<sample>({{{1, 1}, t}});
      if (restarts) r.restart();
    }
    r.watermark(most);
    CHECK(values_of(out) == std::vector<number>{4});
  }
}

TEST_CASE("time evictors at the limits of 64 bits") {
  operator_runner r{windows_of([](auto s) {
    return s.window(global_windows{})
        .trigger(count_trigger{3})
        .evictor(time_evictor{std::chrono::milliseconds{most}})
        .aggregate(sum_of_values{});
  })};
  auto& out = r.capture<number>();
  r.push_timed<sample>({{{1, 1}, least + 1}, {{1, 2}, -10}, {{1, 4}, most}});
  r.push_timed<sample>({{{2, 1}, least + 1}, {{2, 2}, least + 2}, {{2, 4}, least + 3}});
  CHECK(values_of(out) == std::vector<number>{4, 7}); // what is that far behind goes; nothing is cut off below
}

namespace {
struct failing_evictor {
  bool after = false;
  void evict_before(window_elements<sample>& elements, const auto&) const {
    if (!after && elements[0].value < 0) throw std::runtime_error("cannot evict");
  }
  void evict_after(window_elements<sample>& elements, const auto&) const {
    if (after && elements[0].value < 0) throw std::runtime_error("cannot evict");
  }
};
struct failing_at_the_end {
  trigger_result on_element(const sample&, timestamp, const time_window& w, auto& context) const {
    context.register_event_time(w.max_timestamp());
    return trigger_result::continue_;
  }
  trigger_result on_event_time(timestamp, const time_window&, auto&) const { throw std::runtime_error("cannot fire"); }
};
} // namespace

TEST_CASE("an evictor that throws fails the task with operator and text, at a record and at a watermark") {
  for (const bool after : {false, true}) {
    operator_runner at_record{windows_of([=](auto s) {
      return s.window(global_windows{})
          .trigger(count_trigger{2})
          .evictor(failing_evictor{after})
          .aggregate(sum_of_values{});
    })};
    const auto failed = error_from([&] { at_record.push<sample>({{1, -1}, {1, 1}}); });
    CHECK(failed.to_string().find("operator \"op\"") != std::string::npos);
    CHECK(failed.to_string().find("cannot evict") != std::string::npos);
    operator_runner at_watermark{windows_of([=](auto s) {
      return s.window(tumbling_event_time_windows{10ms}).evictor(failing_evictor{after}).aggregate(sum_of_values{});
    })};
    at_watermark.push_timed<sample>({{{1, -1}, 1}});
    const auto late = error_from([&] { at_watermark.watermark(9); });
    CHECK(late.to_string().find("operator \"op\"") != std::string::npos);
    CHECK(late.to_string().find("cannot evict") != std::string::npos);
    // A record's own failure can be skipped.
    operator_runner::options o;
    o.policy.action = record_error_policy::kind::skip;
    operator_runner skipping{windows_of([=](auto s) {
                               return s.window(global_windows{})
                                   .trigger(count_trigger{2})
                                   .evictor(failing_evictor{after})
                                   .aggregate(sum_of_values{});
                             }),
                             o};
    auto& out = skipping.capture<number>();
    skipping.push<sample>({{1, -1}, {1, 1}, {2, 3}, {2, 4}});
    CHECK(values_of(out) == std::vector<number>{7});
    CHECK(skipping.counters["numRecordsSkipped"].value() == 1);
  }
}

TEST_CASE("a trigger that throws when its timer goes off fails the task with operator and text") {
  operator_runner r{windows_of([](auto s) {
    return s.window(tumbling_event_time_windows{10ms}).trigger(failing_at_the_end{}).aggregate(sum_of_values{});
  })};
  r.push_timed<sample>({{{1, 1}, 1}});
  const auto failed = error_from([&] { r.watermark(9); });
  CHECK(failed.to_string().find("operator \"op\"") != std::string::npos);
  CHECK(failed.to_string().find("cannot fire") != std::string::npos);
}

TEST_CASE("a record without a timestamp fails every event-time window with advice, and no other") {
  auto run = [](auto build, bool marked) {
    operator_runner r{windows_of(build)};
    if (marked)
      r.push_timed<sample>({{{1, 1}, least}}); // Flink's mark for "none"
    else
      r.push<sample>({{1, 1}});
  };
  for (const bool marked : {false, true}) {
    auto check = [&](auto build) {
      const auto e = error_from([&] { run(build, marked); });
      CHECK(e.code() == errc::missing_timestamp);
      CHECK(e.advice().find("assign_timestamps_and_watermarks()") != std::string::npos);
    };
    check([](auto s) { return s.window(tumbling_event_time_windows{1s}).aggregate(sum_of_values{}); });
    check([](auto s) { return s.window(sliding_event_time_windows{1s, 300ms}).aggregate(sum_of_values{}); });
    check([](auto s) { return s.window(event_time_session_windows{1s}).aggregate(sum_of_values{}); });
    check([](auto s) {
      return s.window(tumbling_event_time_windows{1s}).evictor(count_evictor{1}).aggregate(sum_of_values{});
    });
    run([](auto s) { return s.window(tumbling_processing_time_windows{1s}).aggregate(sum_of_values{}); }, marked);
    run([](auto s) { return s.count_window(1).aggregate(sum_of_values{}); }, marked);
  }
}

TEST_CASE("processing-time windows and their triggers at the first and the last moment of the clock") {
  operator_runner r{windows_of([](auto s) {
    return s.window(tumbling_processing_time_windows{std::chrono::milliseconds{most}}).aggregate(sum_of_values{});
  })};
  auto& out = r.capture<number>();
  r.push<sample>({{1, 1}});
  r.set_time(1'000'000);
  r.push<sample>({{1, 2}});
  r.end();
  CHECK(out.empty()); // what is open at the end is not fired
}

namespace {

/// What a class of window function can keep: every kind of state, per key and per window.
class keeper : public process_window_function<number, sample, std::string> {
  value_state<number> firings_ = window_state("firings");
  list_state<number> sizes_ = window_state("sizes");
  map_state<number, number> seen_ = state("seen");
  reducing_state<number> largest_{state("largest"), [](const number& a, const number& b) { return std::max(a, b); }};
  aggregating_state<sample, number, number, sum_of_values> sum_{window_state("sum")};

public:
  void process(const number& key, context& ctx, std::span<const sample> elements,
               collector<std::string>& out) override {
    ++firings_.edit();
    sizes_.add(static_cast<number>(elements.size()));
    for (auto& e : elements) {
      ++seen_[e.value];
      largest_.add(e.value);
      sum_.add(e);
    }
    std::string text = std::to_string(key) + "/" + std::to_string(ctx.window().start.time_since_epoch().count()) +
                       ": firing " + std::to_string(*firings_) + " sizes";
    for (auto n : sizes_.get())
      text += " " + std::to_string(n);
    out.collect(text + " seen " + std::to_string(seen_.keys().size()) + " largest " + std::to_string(largest_.get()) +
                " sum " + std::to_string(sum_.get()));
  }
  void clear(const number& key, context& ctx) override {
    ctx.output(cleared(), std::to_string(key) + "/" + std::to_string(ctx.window().start.time_since_epoch().count()) +
                              " after " + std::to_string(firings_.value_or(0)));
  }
  static const output_tag<std::string>& cleared() {
    static const output_tag<std::string> tag{"cleared"};
    return tag;
  }
};

/// Of windows over everything.
class total_keeper : public process_all_window_function<sample, std::string> {
  value_state<number> windows_ = state("windows"), firings_ = window_state("firings");

public:
  void process(context&, std::span<const sample> elements, collector<std::string>& out) override {
    if (!firings_.has_value()) ++windows_.edit();
    out.collect(std::to_string(elements.size()) + " in window " + std::to_string(*windows_) + ", firing " +
                std::to_string(++firings_.edit()));
  }
};

template <class State>
class session_keeper : public process_window_function<number, sample, number> {
  value_state<number> kept_ = State::declare(*this);

public:
  void process(const number&, context&, std::span<const sample> elements, collector<number>& out) override {
    out.collect(kept_.edit() += static_cast<number>(elements.size()));
  }
  state_declaration of_window() { return this->window_state("kept"); }
  state_declaration of_key() { return this->state("kept"); }
};
struct per_window {
  static state_declaration declare(auto& f) { return f.of_window(); }
};
struct per_key {
  static state_declaration declare(auto& f) { return f.of_key(); }
};

} // namespace

TEST_CASE("window functions keep state of every kind per window and per key; that of the window goes with it") {
  using texts = std::vector<std::string>;
  for (const bool restarts : {false, true}) {
    CAPTURE(restarts);
    operator_runner r{windows_of([](auto s) {
      return s.window(tumbling_event_time_windows{10ms}).allowed_lateness(10ms).template process<keeper>();
    })};
    auto& out = r.capture<std::string>();
    auto& cleared = r.capture(keeper::cleared());
    auto step = [&](auto&& what) {
      what();
      if (restarts) r.restart();
    };
    step([&] { r.push_timed<sample>({{{1, 5}, 1}, {{1, 3}, 2}, {{2, 9}, 3}, {{1, 5}, 11}}); });
    step([&] { r.watermark(9); });
    step([&] { r.push_timed<sample>({{{1, 7}, 4}}); });
    step([&] { r.watermark(19); });
    CHECK(values_of(out) ==
          texts{"1/0: firing 1 sizes 2 seen 2 largest 5 sum 8", "2/0: firing 1 sizes 1 seen 1 largest 9 sum 9",
                "1/0: firing 2 sizes 2 3 seen 3 largest 7 sum 23", "1/10: firing 1 sizes 1 seen 3 largest 7 sum 5"});
    CHECK(values_of(cleared) == texts{"1/0 after 2", "2/0 after 1"});
    const auto stored = r.snapshot();
    CHECK(stored.states.at("firings").parts.size() == 1); // of key 1 in the second window
    step([&] { r.watermark(29); });
    CHECK(r.snapshot().states.at("firings").parts.empty());
    CHECK(r.snapshot().states.at("sizes").parts.empty());
    CHECK(r.snapshot().states.at("sum").parts.empty());
    CHECK_FALSE(r.snapshot().states.at("seen").parts.empty());
  }
}

TEST_CASE("functions of windows over everything keep state, too") {
  for (const bool restarts : {false, true}) {
    operator_runner r{[] {
      environment env;
      auto s = env.from_collection<sample>({})
                   .window_all(tumbling_event_time_windows{10ms})
                   .allowed_lateness(5ms)
                   .process<total_keeper>();
      return s.state()->graph.node(s.node()).make_operator();
    }};
    auto& out = r.capture<std::string>();
    for (const number t : {1, 11}) {
      r.push_timed<sample>({{{t, 1}, t}, {{t + 1, 1}, t}});
      r.watermark(t + 8);
      if (restarts) r.restart();
      r.push_timed<sample>({{{t, 1}, t}});
      if (restarts) r.restart();
    }
    CHECK(values_of(out) == std::vector<std::string>{"2 in window 1, firing 1", "3 in window 1, firing 2",
                                                     "2 in window 2, firing 1", "3 in window 2, firing 2"});
  }
}

TEST_CASE("sessions merge, so their functions have state per key only") {
  operator_runner r{windows_of(
      [](auto s) { return s.window(event_time_session_windows{10ms}).template process<session_keeper<per_key>>(); })};
  auto& out = r.capture<number>();
  r.push_timed<sample>({{{1, 1}, 0}, {{1, 1}, 5}, {{1, 1}, 100}});
  r.watermark(most);
  CHECK(values_of(out) == std::vector<number>{2, 3});
  operator_runner wrong{windows_of([](auto s) {
    return s.window(event_time_session_windows{10ms}).template process<session_keeper<per_window>>();
  })};
  const auto e = error_from([&] { wrong.push_timed<sample>({{{1, 1}, 0}}); });
  CHECK(e.code() == errc::invalid_argument);
  CHECK(e.advice().find("state(), per key") != std::string::npos);
}

TEST_CASE(
    "a continuous processing-time trigger on windows of the past fires once for each record, and comes to an end") {
  operator_runner r{windows_of([](auto s) {
    return s.window(tumbling_event_time_windows{1s})
        .trigger(continuous_processing_time_trigger{100ms})
        .aggregate(sum_of_values{});
  })};
  auto& out = r.capture<number>();
  r.set_time(1'000'000);
  r.push_timed<sample>({{{1, 1}, 5}});
  r.set_time(1'000'001);
  CHECK(values_of(out) == std::vector<number>{1});
  r.push_timed<sample>({{{1, 2}, 6}});
  r.set_time(1'000'500);
  CHECK(values_of(out) == std::vector<number>{1, 3});
}

namespace {
/// Says when it is cleared.
class farewell : public process_window_function<number, sample, number, global_window> {
public:
  void process(const number&, context&, std::span<const sample> elements, collector<number>& out) override {
    out.collect(static_cast<number>(elements.size()));
  }
  void clear(const number&, context& ctx) override { ctx.output(keeper::cleared(), "cleared"); }
};
} // namespace

TEST_CASE("a global window fires at the end of the input if its trigger says so, and is not cleaned up") {
  operator_runner r{windows_of(
      [](auto s) { return s.window(global_windows{}).trigger(event_time_trigger{}).template process<farewell>(); })};
  auto& out = r.capture<number>();
  auto& cleared = r.capture(keeper::cleared());
  r.push<sample>({{1, 1}, {1, 2}});
  r.watermark(most);
  r.end();
  CHECK(values_of(out) == std::vector<number>{2});
  CHECK(cleared.empty());
}

TEST_CASE("state of a window is an error where there are no windows") {
  struct misplaced : keyed_process_function<number, sample, number> {
    value_state<number> kept = window_state("kept");
    void process(const sample&, context&, collector<number>&) override {}
  };
  operator_runner r{[] {
    return std::make_unique<process_operator<sample, number, misplaced, number sample::*>>(&sample::key,
                                                                                           std::tuple<>{});
  }};
  const auto e = error_from([&] { r.push<sample>({{1, 1}}); });
  CHECK(e.code() == errc::invalid_argument);
  CHECK(e.cause().find("\"kept\"") != std::string::npos);
}
