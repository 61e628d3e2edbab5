/// Durations and memory sizes as people write them in configuration: "100 ms", "1 min", "64mb".
///
/// Threading: pure functions. Source: Flink's TimeUtils.parseDuration and MemorySize.parse; units are the same, in
/// any case, with or without a blank.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dataflow {

/// A non-negative number with a unit of d, h, min (m), s, ms, us (µs), ns or their long names, singular or plural; no
/// unit means milliseconds. Empty when the text is none, or the value does not fit.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
/// Bytes: a non-negative whole number with a unit of b, k (kb, kib), m, g, t or their long names, all powers of 1024;
/// no unit means bytes. Empty when the text is none, or the value does not fit.
std::optional<std::uint64_t> parse_memory_size(std::string_view text);
/// "true" or "false" in any case, as in Flink.
std::optional<bool> parse_bool(std::string_view text);
/// A whole decimal number, all of the text.
std::optional<std::int64_t> parse_integer(std::string_view text);
/// A finite decimal number, all of the text.
std::optional<double> parse_real(std::string_view text);

/// The shortest exact form that parse_duration reads: "100 ms", "1 min", "-1 ms".
std::string format_duration(std::chrono::nanoseconds d);
/// The shortest exact form that parse_memory_size reads: "64 mb".
std::string format_memory_size(std::uint64_t bytes);

} // namespace dataflow
