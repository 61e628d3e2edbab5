// What functions of windows keep, per key and per window, and when it goes.
#include <doctest/doctest.h>

#include <limits>
#include <tests/support/error_of.hpp>

#include "samples.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

using number = std::int64_t;
constexpr auto most = std::numeric_limits<number>::max();

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
  const auto e = error_of([&] { wrong.push_timed<sample>({{{1, 1}, 0}}); });
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
  const auto e = error_of([&] { r.push<sample>({{1, 1}}); });
  CHECK(e.code() == errc::invalid_argument);
  CHECK(e.cause().find("\"kept\"") != std::string::npos);
}
