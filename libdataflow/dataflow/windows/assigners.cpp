#include <dataflow/util/error.hpp>
#include <dataflow/windows/assigners.hpp>
#include <dataflow/windows/window_operator.hpp>

namespace dataflow::detail {

namespace {
std::string text_of(std::chrono::milliseconds d) { return std::to_string(d.count()) + " ms"; }
} // namespace

window_grid checked_grid(const char* name, std::chrono::milliseconds size, std::chrono::milliseconds slide,
                         std::chrono::milliseconds offset) {
  if (size.count() <= 0)
    throw error{errc::invalid_argument, std::string{name} + ": a window size of " + text_of(size),
                "a window must be longer than 0 ms"};
  if (slide.count() <= 0)
    throw error{errc::invalid_argument, std::string{name} + ": a slide of " + text_of(slide),
                "windows must begin more than 0 ms apart"};
  if (offset >= slide || offset <= -slide)
    throw error{errc::invalid_argument,
                std::string{name} + ": an offset of " + text_of(offset) + " where windows begin every " +
                    text_of(slide),
                "choose an offset that is smaller than that, in either direction"};
  return window_grid::of(size.count(), slide.count(), offset.count());
}

std::chrono::milliseconds checked_gap(const char* name, std::chrono::milliseconds gap) {
  if (gap.count() <= 0)
    throw error{errc::invalid_argument, std::string{name} + ": a session gap of " + text_of(gap),
                "a session gap must be longer than 0 ms"};
  return gap;
}

std::int64_t checked_lateness(std::chrono::milliseconds lateness) {
  if (lateness.count() < 0)
    throw error{errc::invalid_argument, "an allowed lateness of " + text_of(lateness),
                "the allowed lateness cannot be negative"};
  return lateness.count();
}

std::int64_t checked_count(const char* what, std::int64_t n) {
  if (n <= 0)
    throw error{errc::invalid_argument, std::string{what} + " of " + std::to_string(n), "it must be at least 1"};
  return n;
}

std::int64_t checked_interval(const char* what, std::chrono::milliseconds interval) {
  if (interval.count() <= 0)
    throw error{errc::invalid_argument, std::string{what} + ": an interval of " + text_of(interval),
                "it must be longer than 0 ms"};
  return interval.count();
}

void fail_without_timestamp() {
  throw error{errc::missing_timestamp, "a record without a timestamp in an event-time window",
              "call assign_timestamps_and_watermarks() before the window, or use processing-time windows"};
}

void fail_state_of_merging_windows() {
  throw error{errc::invalid_argument, "a function of windows that merge declares state per window",
              "session windows merge, and what would become of their states is not known: declare it with state(), per "
              "key"};
}

void fail_merged_window_is_late(const char* clock) {
  throw error{errc::invalid_argument,
              std::string{"merging windows gave one that ends at or before the current "} + clock,
              "a merging assigner must give windows that end after their records"};
}

void fail_lost_window() {
  throw error{errc::corrupt_state, "a window's timer is stored, but not the window",
              "the local disk has damaged it, or the snapshot: restore from another one"};
}

} // namespace dataflow::detail
