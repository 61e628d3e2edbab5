/// Event time: signed 64-bit milliseconds since 1970 UTC, as in Flink.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace dataflow {

/// A point in event time, in milliseconds.
using timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

/// "No watermark yet."
inline constexpr timestamp min_timestamp{std::chrono::milliseconds{std::numeric_limits<std::int64_t>::min()}};
/// "End of input": fires everything.
inline constexpr timestamp max_timestamp{std::chrono::milliseconds{std::numeric_limits<std::int64_t>::max()}};
/// The timestamp of a record that has none (Flink's Long.MIN_VALUE).
inline constexpr timestamp no_timestamp = min_timestamp;

} // namespace dataflow
