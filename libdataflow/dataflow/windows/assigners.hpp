/// Window assigners: which windows a record belongs to.
///
/// An assigner is a value with
///   using window = time_window;                          // or global_window
///   using default_trigger = event_time_trigger;
///   static constexpr bool event_time, merging;           // merging: windows that touch become one (sessions)
///   static constexpr const char* name;                   // the operator's name in plans
///   void assign(const T& record, timestamp t, f);        // calls f(window) for each; t: event or processing time
/// so that one of your own fits, too. Windows come latest first, as in Flink.
/// Units: milliseconds. Threading: a copy per subtask.
/// Errors: errc::invalid_argument for sizes, slides and gaps that are not positive and for offsets as long as the
/// slide. Source: Flink's TumblingEventTimeWindows, SlidingEventTimeWindows, EventTimeSessionWindows and their
/// relatives.
#pragma once

#include <dataflow/windows/triggers.hpp>
#include <dataflow/windows/window.hpp>

#include <functional>
#include <type_traits>
#include <utility>

namespace dataflow {

namespace detail {

window_grid checked_grid(const char* name, std::chrono::milliseconds size, std::chrono::milliseconds slide,
                         std::chrono::milliseconds offset);
std::chrono::milliseconds checked_gap(const char* name, std::chrono::milliseconds gap);
std::int64_t checked_lateness(std::chrono::milliseconds lateness);
[[noreturn]] void fail_without_timestamp();

template <bool EventTime>
using time_trigger = std::conditional_t<EventTime, event_time_trigger, processing_time_trigger>;

/// What tumbling and sliding assigners share.
template <bool EventTime>
class grid_windows {
public:
  using window = time_window;
  using default_trigger = time_trigger<EventTime>;
  static constexpr bool event_time = EventTime, merging = false;
  explicit grid_windows(const window_grid& grid) noexcept : grid_(grid) {}
  const window_grid& grid() const noexcept { return grid_; }
  template <class T, class F>
  void assign(const T&, timestamp t, F&& f) const {
    const auto after = wide_ms(t) - grid_.size; // windows that begin later than this hold t
    for (auto k = grid_.index_of(t); grid_.start_of(k) > after; --k)
      f(grid_.at(k));
  }

private:
  window_grid grid_;
};

/// [t, t + gap), merged while they touch.
template <bool EventTime, class Gap>
class session_windows {
public:
  using window = time_window;
  using default_trigger = time_trigger<EventTime>;
  static constexpr bool event_time = EventTime, merging = true;
  template <class T, class F>
  void assign(const T& record, timestamp t, F&& f) const {
    f(time_window{t, saturating_add(t, gap_of(record))});
  }

protected:
  explicit session_windows(Gap gap) : gap_(std::move(gap)) {}

private:
  template <class T>
  std::chrono::milliseconds gap_of(const T& record) const {
    if constexpr (std::is_same_v<Gap, std::chrono::milliseconds>)
      return gap_;
    else if constexpr (std::is_integral_v<std::remove_cvref_t<std::invoke_result_t<const Gap&, const T&>>>)
      return checked_gap("dynamic session windows", std::chrono::milliseconds{std::invoke(gap_, record)});
    else
      return checked_gap("dynamic session windows", std::invoke(gap_, record));
  }
  Gap gap_;
};

} // namespace detail

/// Windows of one size, one after another, aligned to the epoch plus an offset.
struct tumbling_event_time_windows : detail::grid_windows<true> {
  static constexpr const char* name = "TumblingEventTimeWindows";
  explicit tumbling_event_time_windows(std::chrono::milliseconds size, std::chrono::milliseconds offset = {})
      : grid_windows(detail::checked_grid(name, size, size, offset)) {}
};
struct tumbling_processing_time_windows : detail::grid_windows<false> {
  static constexpr const char* name = "TumblingProcessingTimeWindows";
  explicit tumbling_processing_time_windows(std::chrono::milliseconds size, std::chrono::milliseconds offset = {})
      : grid_windows(detail::checked_grid(name, size, size, offset)) {}
};
/// A window every `slide`: overlapping where the slide is smaller than the size, with gaps where it is larger.
struct sliding_event_time_windows : detail::grid_windows<true> {
  static constexpr const char* name = "SlidingEventTimeWindows";
  sliding_event_time_windows(std::chrono::milliseconds size, std::chrono::milliseconds slide,
                             std::chrono::milliseconds offset = {})
      : grid_windows(detail::checked_grid(name, size, slide, offset)) {}
};
struct sliding_processing_time_windows : detail::grid_windows<false> {
  static constexpr const char* name = "SlidingProcessingTimeWindows";
  sliding_processing_time_windows(std::chrono::milliseconds size, std::chrono::milliseconds slide,
                                  std::chrono::milliseconds offset = {})
      : grid_windows(detail::checked_grid(name, size, slide, offset)) {}
};

/// A session ends when nothing came for `gap`; records exactly one gap apart are one session.
struct event_time_session_windows : detail::session_windows<true, std::chrono::milliseconds> {
  static constexpr const char* name = "EventTimeSessionWindows";
  explicit event_time_session_windows(std::chrono::milliseconds gap)
      : session_windows(detail::checked_gap(name, gap)) {}
};
struct processing_time_session_windows : detail::session_windows<false, std::chrono::milliseconds> {
  static constexpr const char* name = "ProcessingTimeSessionWindows";
  explicit processing_time_session_windows(std::chrono::milliseconds gap)
      : session_windows(detail::checked_gap(name, gap)) {}
};
/// gap(const T&) -> milliseconds (a duration, or a number of them); a gap that is not positive fails the record.
template <class Gap>
struct dynamic_event_time_session_windows : detail::session_windows<true, Gap> {
  static constexpr const char* name = "DynamicEventTimeSessionWindows";
  explicit dynamic_event_time_session_windows(Gap gap) : detail::session_windows<true, Gap>(std::move(gap)) {}
};
template <class Gap>
struct dynamic_processing_time_session_windows : detail::session_windows<false, Gap> {
  static constexpr const char* name = "DynamicProcessingTimeSessionWindows";
  explicit dynamic_processing_time_session_windows(Gap gap) : detail::session_windows<false, Gap>(std::move(gap)) {}
};

/// Everything in one window per key; nothing fires before a trigger is set. It belongs to neither time: no record is
/// late for it, and it is never cleaned up.
struct global_windows {
  using window = global_window;
  using default_trigger = never_trigger;
  static constexpr bool event_time = false, merging = false;
  static constexpr const char* name = "GlobalWindows";
  template <class T, class F>
  void assign(const T&, timestamp, F&& f) const {
    f(global_window{});
  }
};

} // namespace dataflow
