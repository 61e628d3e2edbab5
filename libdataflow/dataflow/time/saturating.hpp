/// Arithmetic on timestamps that stops at the limits of 64 bits instead of overflowing.
///
/// Units: milliseconds. Errors: none.
#pragma once

#include <dataflow/time/timestamp.hpp>

namespace dataflow {

/// t + d, or the limit that the sum would pass.
constexpr timestamp saturating_add(timestamp t, std::chrono::milliseconds d) noexcept {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(t.time_since_epoch().count(), static_cast<std::int64_t>(d.count()), &sum))
    return d.count() < 0 ? min_timestamp : max_timestamp;
  return timestamp{std::chrono::milliseconds{sum}};
}

/// t - d, or the limit that the difference would pass.
constexpr timestamp saturating_subtract(timestamp t, std::chrono::milliseconds d) noexcept {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(t.time_since_epoch().count(), static_cast<std::int64_t>(d.count()), &difference))
    return d.count() < 0 ? max_timestamp : min_timestamp;
  return timestamp{std::chrono::milliseconds{difference}};
}

} // namespace dataflow
