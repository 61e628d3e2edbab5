// Windows at the ends of time and with bad input: nothing wraps around, nothing hangs, and errors say what to do.
#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <tests/support/error_of.hpp>

#include "samples.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

using number = std::int64_t;
constexpr auto least = std::numeric_limits<number>::min();
constexpr auto most = std::numeric_limits<number>::max();

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

} // namespace

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
      auto plain = [](auto w) { return w; };
      auto general = [](auto w) { return w.evictor(count_evictor{10}); };
      auto continuous = [](auto w) { return w.trigger(continuous_event_time_trigger{100ms}); };
      for (const auto offset : {0ms, 300ms, -300ms}) {
        CHECK(fired(tumbling_event_time_windows{1s, offset}, plain) == all);
        CHECK(fired(sliding_event_time_windows{1s, 400ms, offset}, plain) == all);
        CHECK(fired(sliding_event_time_windows{1s, 400ms, offset}, general) == all);
      }
      CHECK(fired(tumbling_event_time_windows{std::chrono::milliseconds{most}}, plain) == all);
      CHECK(fired(event_time_session_windows{1s}, plain) == all);
      CHECK(fired(event_time_session_windows{std::chrono::milliseconds{most}}, plain) == all);
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
    const auto failed = error_of([&] { at_record.push<sample>({{1, -1}, {1, 1}}); });
    CHECK(failed.to_string().find("operator \"op\"") != std::string::npos);
    CHECK(failed.to_string().find("cannot evict") != std::string::npos);
    operator_runner at_watermark{windows_of([=](auto s) {
      return s.window(tumbling_event_time_windows{10ms}).evictor(failing_evictor{after}).aggregate(sum_of_values{});
    })};
    at_watermark.push_timed<sample>({{{1, -1}, 1}});
    const auto late = error_of([&] { at_watermark.watermark(9); });
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
  const auto failed = error_of([&] { r.watermark(9); });
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
      const auto e = error_of([&] { run(build, marked); });
      CHECK(e.code() == errc::missing_timestamp);
      CHECK(e.advice().find("assign_timestamps_and_watermarks()") != std::string::npos);
    };
    check([](auto s) { return s.window(tumbling_event_time_windows{1s}).aggregate(sum_of_values{}); });
    check([](auto s) { return s.window(sliding_event_time_windows{1s, 300ms}).aggregate(sum_of_values{}); });
    check([](auto s) { return s.window(event_time_session_windows{1s}).aggregate(sum_of_values{}); });
    check([](auto s) {
      return s.window(sliding_event_time_windows{1s, 1s}).evictor(count_evictor{1}).aggregate(sum_of_values{});
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
