/// Java's hashCode for the types that Flink jobs key by: with these, key groups agree with Flink's.
#pragma once

#include <cstdint>
#include <string_view>

namespace dataflow {

/// Integer, Short, Byte and Character: the value itself.
constexpr std::int32_t java_hash(std::int32_t value) noexcept { return value; }
constexpr std::int32_t java_hash(bool value) noexcept { return value ? 1231 : 1237; }
constexpr std::int32_t java_hash(std::int64_t value) noexcept {
  auto bits = static_cast<std::uint64_t>(value);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(bits ^ (bits >> 32)));
}
std::int32_t java_hash(double value) noexcept;
std::int32_t java_hash(float value) noexcept;
/// String.hashCode over the UTF-16 units of UTF-8 text; what is no UTF-8 counts as U+FFFD, byte by byte.
std::int32_t java_hash(std::string_view utf8) noexcept;
inline std::int32_t java_hash(const char* utf8) noexcept { return java_hash(std::string_view{utf8}); }
/// Flink's Tuple2, Tuple3 ...: 31 * hash so far + next.
template <class First, class... Rest>
constexpr std::int32_t java_hash_tuple(const First& first, const Rest&... rest) noexcept {
  auto h = static_cast<std::uint32_t>(java_hash(first));
  ((h = h * 31 + static_cast<std::uint32_t>(java_hash(rest))), ...);
  return static_cast<std::int32_t>(h);
}

} // namespace dataflow
