/// Random histories of records and watermarks for window operators, and what the operators make of them.
#pragma once

#include <dataflow/windows/sliced_window_operator.hpp>
#include <dataflow/windows/window_operator.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <tests/support/operator_runner.hpp>
#include <vector>

namespace dataflow::test::histories {

struct event {
  std::int64_t key = 0, value = 0, id = 0;
};
struct digest {
  std::int64_t count = 0, sum = 0, least = 1 << 30;
};
/// Does not depend on the order, and shows a record that is missing or counted twice.
struct digest_of {
  digest create_accumulator() const { return {}; }
  void add(const event& e, digest& d) const {
    ++d.count;
    d.sum += e.value;
    d.least = std::min(d.least, e.id);
  }
  digest get_result(const digest& d) const { return d; }
  digest merge(const digest& a, const digest& b) const {
    return {a.count + b.count, a.sum + b.sum, std::min(a.least, b.least)};
  }
};

struct with_bounds {
  template <class R>
  void operator()(const std::int64_t& key, window_context<time_window>& ctx, const R& r,
                  collector<std::string>& out) const {
    auto ms = [](timestamp t) { return std::to_string(t.time_since_epoch().count()); };
    std::string text = ms(ctx.window().start) + ".." + ms(ctx.window().end) + " at " + ms(ctx.current_watermark()) +
                       ": " + std::to_string(key);
    if constexpr (std::is_same_v<R, event>)
      text += " id " + std::to_string(r.id) + " value " + std::to_string(r.value);
    else
      text += " " + std::to_string(r.count) + " " + std::to_string(r.sum) + " " + std::to_string(r.least);
    out.collect(std::move(text));
  }
};

using value_field = std::int64_t event::*;
using key_field = std::int64_t event::*;
constexpr std::uint64_t late_tag_number = 0;
inline const output_tag<event>& late() {
  static const output_tag<event> tag{"late"};
  return tag;
}

struct shape {
  std::int64_t size, slide, offset, lateness;
  bool tagged;
};

template <class Contents>
operator_factory sliced(const shape& s, Contents contents) {
  return [=] {
    return std::make_unique<sliced_window_operator<event, std::string, key_field, Contents, with_bounds>>(
        &event::key, detail::window_grid::of(s.size, s.slide, s.offset),
        detail::window_settings{s.lateness, s.tagged ? late().id() : late_tag_number}, contents, with_bounds{});
  };
}
template <class Contents>
operator_factory general(const shape& s, Contents contents) {
  using ms = std::chrono::milliseconds;
  return [=] {
    return std::make_unique<window_operator<event, std::string, key_field, sliding_event_time_windows,
                                            event_time_trigger, no_evictor, Contents, with_bounds>>(
        &event::key, sliding_event_time_windows{ms{s.size}, ms{s.slide}, ms{s.offset}}, event_time_trigger{},
        no_evictor{}, detail::window_settings{s.lateness, s.tagged ? late().id() : late_tag_number}, contents,
        with_bounds{});
  };
}

/// What an operator makes of a random history: the results of each step, in any order within the step.
struct outcome {
  std::vector<std::vector<std::string>> steps;
  std::int64_t dropped = 0;
};
/// How the operator is started again now and then; the default: not at all.
using restarter = std::function<void(operator_runner&)>;
inline outcome run(const operator_factory& make, const shape& s, std::uint64_t seed, const restarter& restart,
                   std::size_t limit, std::size_t batch_size, state_place place = {}) {
  std::mt19937_64 random{seed};
  auto up_to = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n + 1)); };
  operator_runner::options options;
  options.limits.records = limit;
  options.place = std::move(place);
  operator_runner r{make, options};
  auto& out = r.capture<std::string>();
  auto& side = r.capture(late());
  outcome all;
  std::int64_t now = -3 * s.size, watermark = std::numeric_limits<std::int64_t>::min(), id = 0;
  std::size_t seen = 0, seen_side = 0;
  auto gather = [&] {
    std::vector<std::string> step;
    for (; seen < out.size(); ++seen)
      step.push_back(out[seen].value + " ts " + std::to_string(out[seen].time.value_or(-1)));
    for (; seen_side < side.size(); ++seen_side)
      step.push_back("late " + std::to_string(side[seen_side].value.id));
    std::sort(step.begin(), step.end());
    all.steps.push_back(std::move(step));
  };
  for (int step = 0; step < 60; ++step) {
    std::vector<std::pair<event, std::int64_t>> batch;
    for (std::size_t i = 0; i < batch_size; ++i) {
      now += up_to(s.slide / 8 + 1);
      // Most records are a little behind, some far, also behind the watermark.
      const auto behind = up_to(9) == 0 ? up_to(3 * s.size + s.lateness) : up_to(s.slide);
      batch.push_back({{up_to(4), up_to(100), ++id}, now - behind});
    }
    r.push_timed(batch);
    gather();
    if (up_to(2) > 0) {
      const auto next = now - up_to(s.size / 2 + 1) + (up_to(15) == 0 ? 2 * s.size : 0);
      if (next > watermark) r.watermark(watermark = next);
      now = std::max(now, watermark - s.slide);
      gather();
    }
    if (const bool now_and_then = up_to(3) == 0; restart && now_and_then) restart(r);
  }
  r.watermark(std::numeric_limits<std::int64_t>::max());
  r.end();
  gather();
  all.dropped = r.counters["numLateRecordsDropped"].value();
  return all;
}

inline const std::vector<shape> shapes{
    {100, 100, 0, 0, false}, {100, 100, 30, 50, true}, {100, 10, 0, 0, true},    {100, 10, 3, 0, false},
    {100, 30, 0, 0, true},   {100, 30, 7, 0, false},   {100, 30, 7, 120, true},  {100, 10, 0, 250, false},
    {50, 80, 0, 0, true},    {50, 80, 10, 30, false},  {7, 3, 1, 0, true},       {1000, 7, 2, 0, false},
    {100, 99, 0, 20, true},  {3, 1, 0, 5, false},      {90, 30, 0, 1000, false},
};

} // namespace dataflow::test::histories
DATAFLOW_RECORD(dataflow::test::histories::event, key, value, id);
