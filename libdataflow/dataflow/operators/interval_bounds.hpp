/// Which pairs an interval join joins, and how long a record waits for its partners: arithmetic without overflow.
///
/// A pair is joined when right's timestamp lies in [left's + lower, left's + upper]. Bounds are whole milliseconds; an
/// exclusive bound is the next inclusive one.
/// Threading: a value. Source: Flink's IntervalJoinOperator.
#pragma once

#include <dataflow/time/timestamp.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace dataflow {

class interval_bounds {
public:
  /// Throws error{errc::invalid_argument} when no timestamp lies between the bounds.
  interval_bounds(std::chrono::milliseconds lower, std::chrono::milliseconds upper, bool lower_inclusive = true,
                  bool upper_inclusive = true);

  using range = std::optional<std::pair<timestamp, timestamp>>; ///< both inclusive; nothing when it is empty
  /// The partners of a record of the first or second input.
  range partners_of(unsigned side, timestamp t) const noexcept {
    return side == 0 ? between(t, lower_, upper_) : between(t, -wide{upper_}, -wide{lower_});
  }
  /// From the watermark on at which a record of this side has no partner to wait for.
  timestamp expiry(unsigned side, timestamp t) const noexcept {
    return clamped(wide{t.time_since_epoch().count()} + wait_[side]);
  }
  /// At this watermark, records of this side up to the result (inclusive) have expired.
  timestamp expired_until(unsigned side, timestamp watermark) const noexcept {
    return watermark == max_timestamp ? max_timestamp
                                      : clamped(wide{watermark.time_since_epoch().count()} - wait_[side]);
  }
  /// How long records wait at most, in milliseconds.
  std::int64_t longest_wait() const noexcept { return wait_[0] > wait_[1] ? wait_[0] : wait_[1]; }

private:
  __extension__ using wide = __int128;
  static timestamp clamped(wide t) noexcept;
  static range between(timestamp t, wide lower, wide upper) noexcept;
  std::int64_t lower_, upper_;
  std::int64_t wait_[2]; // never negative
};

} // namespace dataflow
