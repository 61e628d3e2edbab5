/// Windows: a half-open interval of time, or the one window that holds everything.
///
/// Units: milliseconds. Arithmetic saturates at the ends of 64 bits: a window that would begin before the earliest or
/// end after the latest timestamp is cut there, so no timestamp wraps around. Threading: values. Source: Flink's
/// TimeWindow, GlobalWindow.
#pragma once

#include <dataflow/record/codecs.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/time/saturating.hpp>
#include <dataflow/time/timestamp.hpp>

#include <algorithm>
#include <compare>
#include <optional>

namespace dataflow {

namespace detail {
__extension__ using wide = __int128;
constexpr wide wide_ms(timestamp t) noexcept { return t.time_since_epoch().count(); }
/// The nearest timestamp.
constexpr timestamp clamped(wide ms) noexcept {
  constexpr wide least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
  return timestamp{std::chrono::milliseconds{static_cast<std::int64_t>(std::clamp(ms, least, most))}};
}
/// Rounds towards minus infinity. REQUIRES: b > 0.
constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
  const auto q = a / b;
  return a % b < 0 ? q - 1 : q;
}
constexpr std::int64_t floor_mod(std::int64_t a, std::int64_t b) noexcept {
  const auto r = a % b;
  return r < 0 ? r + b : r;
}
} // namespace detail

/// [start, end).
struct time_window {
  timestamp start{}, end{};

  /// The last timestamp that belongs to the window: end - 1 ms. Results carry it.
  constexpr timestamp max_timestamp() const noexcept {
    return end == min_timestamp ? end : end - std::chrono::milliseconds{1};
  }
  /// Ends are compared inclusively: windows that touch intersect.
  constexpr bool intersects(const time_window& other) const noexcept {
    return start <= other.end && other.start <= end;
  }
  constexpr time_window cover(const time_window& other) const noexcept {
    return {std::min(start, other.start), std::max(end, other.end)};
  }
  friend constexpr auto operator<=>(const time_window&, const time_window&) = default;
};

/// The one window of global_windows and count windows. It never ends.
struct global_window {
  constexpr timestamp max_timestamp() const noexcept { return dataflow::max_timestamp; }
  friend constexpr auto operator<=>(const global_window&, const global_window&) = default;
};

template <>
struct key_traits<time_window> {
  static std::uint64_t hash(const time_window& w) noexcept {
    return hash_combine(hash_word(static_cast<std::uint64_t>(w.start.time_since_epoch().count())),
                        static_cast<std::uint64_t>(w.end.time_since_epoch().count()));
  }
  static bool equal(const time_window& a, const time_window& b) noexcept { return a == b; }
};
template <>
struct key_traits<global_window> {
  static std::uint64_t hash(const global_window&) noexcept { return hash_word(1); }
  static bool equal(const global_window&, const global_window&) noexcept { return true; }
};

namespace detail {

/// Whether a timestamp belongs to a window, which may have been cut at the end of time.
constexpr bool holds(const time_window& w, timestamp t) noexcept {
  return w.start <= t && (t < w.end || w.end == max_timestamp);
}

/// The windows [offset + k slide, offset + k slide + size) for all integers k.
struct window_grid {
  std::int64_t size = 1, slide = 1;
  std::int64_t offset = 0; ///< in [0, slide)

  static constexpr window_grid of(std::int64_t size, std::int64_t slide, std::int64_t offset) noexcept {
    return {size, slide, floor_mod(offset, slide)};
  }
  /// The last k whose window begins at or before t, and how far t is into it.
  constexpr std::pair<std::int64_t, std::int64_t> position_of(timestamp t) const noexcept {
    const auto ms = t.time_since_epoch().count();
    const auto k = floor_div(ms, slide), rest = floor_mod(ms, slide);
    return rest >= offset ? std::pair{k, rest - offset} : std::pair{k - 1, rest - offset + slide};
  }
  constexpr wide index_of(timestamp t) const noexcept { return position_of(t).first; }
  constexpr wide start_of(wide k) const noexcept { return k * slide + offset; }
  constexpr wide end_of(wide k) const noexcept { return start_of(k) + size; }
  constexpr time_window at(wide k) const noexcept { return {clamped(start_of(k)), clamped(end_of(k))}; }
  /// The slice that t belongs to: time cut where a window begins or ends. Nothing between two windows.
  constexpr std::optional<time_window> slice_of(timestamp t) const noexcept {
    const auto [k, into] = position_of(t);
    const auto start = start_of(k);
    if (slide >= size) {
      if (into >= size) return {};
      return at(k);
    }
    const auto cut = size % slide; // a window may end within the slide of another one
    if (into < cut) return time_window{clamped(start), clamped(start + cut)};
    return time_window{clamped(start + cut), clamped(start + slide)};
  }
  /// The first k whose window ends after t.
  constexpr wide first_ending_after(timestamp t) const noexcept {
    const wide distance = wide_ms(t) - size - offset; // k slide > distance
    const wide q = distance / slide;
    return (distance % slide < 0 ? q - 1 : q) + 1;
  }
  /// The last k whose window is complete at a watermark, by its max_timestamp (cut at the ends of time).
  constexpr wide last_complete(timestamp watermark) const noexcept {
    if (watermark >= max_timestamp - std::chrono::milliseconds{1}) return wide{1} << 100;
    if (watermark == min_timestamp) return -(wide{1} << 100);
    return first_ending_after(watermark + std::chrono::milliseconds{1}) - 1;
  }
  /// The end of the last complete window.
  constexpr timestamp complete_until(timestamp watermark) const noexcept {
    if (watermark >= max_timestamp - std::chrono::milliseconds{1}) return max_timestamp;
    if (watermark == min_timestamp) return min_timestamp;
    return clamped(end_of(last_complete(watermark)));
  }
};

} // namespace detail
} // namespace dataflow
