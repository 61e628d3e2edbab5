// Which windows a timestamp belongs to, up to the ends of 64 bits; and what assigners refuse.
#include <dataflow/util/error.hpp>
#include <dataflow/windows/assigners.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {
constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
timestamp at(std::int64_t ms) { return timestamp{std::chrono::milliseconds{ms}}; }
using bounds = std::vector<std::pair<std::int64_t, std::int64_t>>;
template <class Assigner>
bounds windows_of(const Assigner& a, std::int64_t t) {
  bounds all;
  a.assign(0, at(t), [&](const time_window& w) {
    all.emplace_back(w.start.time_since_epoch().count(), w.end.time_since_epoch().count());
  });
  return all;
}
template <class F>
errc code_of(F&& f) {
  try {
    f();
  } catch (const error& e) {
    CHECK_FALSE(e.advice().empty());
    return e.code();
  }
  return errc::none;
}
} // namespace

TEST_CASE("tumbling windows begin at multiples of the size plus the offset, below zero, too") {
  const tumbling_event_time_windows a{10s};
  CHECK(windows_of(a, 0) == bounds{{0, 10'000}});
  CHECK(windows_of(a, 9'999) == bounds{{0, 10'000}});
  CHECK(windows_of(a, -1) == bounds{{-10'000, 0}});
  CHECK(windows_of(a, -10'000) == bounds{{-10'000, 0}});
  CHECK(windows_of(a, -10'001) == bounds{{-20'000, -10'000}});
  const tumbling_event_time_windows shifted{10s, -3s};
  CHECK(windows_of(shifted, 6'999) == bounds{{-3'000, 7'000}});
  CHECK(windows_of(shifted, 7'000) == bounds{{7'000, 17'000}});
}

TEST_CASE("sliding windows come latest first; with a slide above the size there are gaps") {
  CHECK(windows_of(sliding_event_time_windows{10s, 4s, 1s}, 5'000) ==
        bounds{{5'000, 15'000}, {1'000, 11'000}, {-3'000, 7'000}});
  CHECK(windows_of(sliding_event_time_windows{10s, 5s}, -1) == bounds{{-5'000, 5'000}, {-10'000, 0}});
  const sliding_event_time_windows gaps{2s, 5s};
  CHECK(windows_of(gaps, 5'000) == bounds{{5'000, 7'000}});
  CHECK(windows_of(gaps, 6'999) == bounds{{5'000, 7'000}});
  CHECK(windows_of(gaps, 7'000).empty());
  CHECK(windows_of(gaps, 4'999).empty());
}

TEST_CASE("windows at the ends of time are cut there and never wrap around") {
  const tumbling_event_time_windows a{10s, 5s};
  CHECK(windows_of(a, most).size() == 1);
  CHECK(windows_of(a, most)[0].second == most);
  CHECK(windows_of(a, most)[0].first > most - 10'000);
  CHECK(windows_of(a, least + 1)[0].first == least);
  CHECK(windows_of(a, least + 1)[0].second < least + 10'001);
  const tumbling_event_time_windows huge{std::chrono::milliseconds{most}};
  CHECK(windows_of(huge, most)[0] == std::pair{most, most}); // begins there, and cannot end later
  CHECK(windows_of(huge, -1)[0] == std::pair{-most, std::int64_t{0}});
  for (auto t : {least + 1, least + 5'000, most - 5'000, most})
    for (auto& [start, end] : windows_of(sliding_event_time_windows{10s, 3s, 1s}, t)) {
      CHECK(start <= t);
      CHECK((t < end || end == most));
    }
  CHECK(windows_of(event_time_session_windows{10s}, most) == bounds{{most, most}});
  CHECK(time_window{at(least), at(least)}.max_timestamp() == at(least));
}

TEST_CASE("the grid knows which windows a watermark completes") {
  const auto grid = detail::window_grid::of(10, 4, 1);
  for (std::int64_t watermark = -50; watermark < 50; ++watermark) {
    const auto k = grid.last_complete(at(watermark));
    CHECK(grid.at(k).max_timestamp() <= at(watermark));
    CHECK(grid.at(k + 1).max_timestamp() > at(watermark));
    CHECK(grid.complete_until(at(watermark)) == grid.at(k).end);
    CHECK(grid.at(grid.first_ending_after(at(watermark))).end > at(watermark));
    CHECK(grid.at(grid.first_ending_after(at(watermark)) - 1).end <= at(watermark));
  }
  CHECK(grid.complete_until(max_timestamp) == max_timestamp);
  CHECK(grid.complete_until(min_timestamp) == min_timestamp);
}

TEST_CASE("windows that touch intersect, and cover each other") {
  const time_window a{at(0), at(10)}, b{at(10), at(20)}, c{at(11), at(20)};
  CHECK(a.intersects(b));
  CHECK(b.intersects(a));
  CHECK_FALSE(a.intersects(c));
  CHECK(a.cover(c) == time_window{at(0), at(20)});
}

TEST_CASE("assigners refuse sizes, slides, offsets and gaps that make no windows") {
  CHECK(code_of([] { tumbling_event_time_windows{0s}; }) == errc::invalid_argument);
  CHECK(code_of([] { tumbling_processing_time_windows{-1s}; }) == errc::invalid_argument);
  CHECK(code_of([] { tumbling_event_time_windows{10s, 10s}; }) == errc::invalid_argument);
  CHECK(code_of([] { tumbling_event_time_windows{10s, -10s}; }) == errc::invalid_argument);
  CHECK(code_of([] { sliding_event_time_windows{10s, 0s}; }) == errc::invalid_argument);
  CHECK(code_of([] { sliding_event_time_windows{0s, 1s}; }) == errc::invalid_argument);
  CHECK(code_of([] { sliding_processing_time_windows{10s, 5s, 5s}; }) == errc::invalid_argument);
  CHECK(code_of([] { event_time_session_windows{0s}; }) == errc::invalid_argument);
  CHECK(code_of([] { processing_time_session_windows{-1ms}; }) == errc::invalid_argument);
  CHECK(code_of([] { sliding_event_time_windows{1s, 10s, -9s}; }) == errc::none);
  const dynamic_event_time_session_windows dynamic{[](int gap) { return std::chrono::seconds{gap}; }};
  CHECK(code_of([&] { dynamic.assign(0, at(0), [](const time_window&) {}); }) == errc::invalid_argument);
  CHECK(code_of([&] { dynamic.assign(-5, at(0), [](const time_window&) {}); }) == errc::invalid_argument);
  CHECK(code_of([&] { dynamic.assign(5, at(0), [](const time_window&) {}); }) == errc::none);
  CHECK(code_of([] { count_trigger{0}; }) == errc::invalid_argument);
  CHECK(code_of([] { continuous_event_time_trigger{0s}; }) == errc::invalid_argument);
}
