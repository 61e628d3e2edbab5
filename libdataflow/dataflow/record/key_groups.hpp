/// Key groups: the unit in which keyed state and its traffic are spread over subtasks. Flink's formulas.
///
/// key group = murmur(32 bits of the key's hash) mod max parallelism; subtask = key group * parallelism / max
/// parallelism. The 32 bits are the high half of key_hash(key). "Do not change": stored state is laid out by it.
/// Threading: pure functions; a router is immutable. Source: Flink's KeyGroupRangeAssignment, MathUtils.murmurHash.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dataflow {

inline constexpr std::uint32_t least_max_parallelism = 128;      ///< of default_max_parallelism
inline constexpr std::uint32_t upper_max_parallelism = 1u << 15; ///< of any job

/// Flink's murmur step over a 32-bit hash; never negative.
constexpr std::uint32_t murmur_step(std::uint32_t code) noexcept {
  code *= 0xcc9e2d51u;
  code = std::rotl(code, 15);
  code *= 0x1b873593u;
  code = std::rotl(code, 13);
  code = code * 5 + 0xe6546b64u;
  code ^= 4;
  code ^= code >> 16;
  code *= 0x85ebca6bu;
  code ^= code >> 13;
  code *= 0xc2b2ae35u;
  code ^= code >> 16;
  // |code|, and 0 for the smallest integer, without a branch
  auto sign = static_cast<std::uint32_t>(static_cast<std::int32_t>(code) >> 31);
  return ((code ^ sign) - sign) & 0x7FFFFFFFu;
}

/// Of a 32-bit hash, for example java_hash(key). REQUIRES: max_parallelism > 0.
constexpr std::uint32_t key_group_of_hash32(std::uint32_t hash, std::uint32_t max_parallelism) noexcept {
  return murmur_step(hash) % max_parallelism;
}
/// Of a key_hash. REQUIRES: max_parallelism > 0.
constexpr std::uint32_t key_group_of(std::uint64_t hash, std::uint32_t max_parallelism) noexcept {
  return key_group_of_hash32(static_cast<std::uint32_t>(hash >> 32), max_parallelism);
}
/// The subtask that owns a key group. REQUIRES: key_group < max_parallelism, 0 < parallelism <= max_parallelism.
constexpr std::uint32_t subtask_of(std::uint32_t key_group, std::uint32_t parallelism,
                                   std::uint32_t max_parallelism) noexcept {
  return static_cast<std::uint32_t>(std::uint64_t{key_group} * parallelism / max_parallelism);
}

/// Key groups [first, last], both included; empty when last < first.
struct key_group_range {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  constexpr std::uint32_t size() const noexcept { return last + 1 - first; }
  constexpr bool contains(std::uint32_t group) const noexcept { return first <= group && group <= last; }
  friend constexpr bool operator==(const key_group_range&, const key_group_range&) = default;
};
/// The key groups of a subtask. REQUIRES: subtask < parallelism <= max_parallelism.
constexpr key_group_range range_of(std::uint32_t subtask, std::uint32_t parallelism,
                                   std::uint32_t max_parallelism) noexcept {
  const std::uint64_t i = subtask, m = max_parallelism, p = parallelism;
  return {static_cast<std::uint32_t>((i * m + p - 1) / p), static_cast<std::uint32_t>(((i + 1) * m - 1) / p)};
}
/// 1.5 x parallelism rounded up to a power of two, between 128 and 32768.
constexpr std::uint32_t default_max_parallelism(std::uint32_t parallelism) noexcept {
  if (parallelism > upper_max_parallelism) return upper_max_parallelism;
  auto wanted = std::bit_ceil(parallelism + parallelism / 2);
  return wanted < least_max_parallelism   ? least_max_parallelism
         : wanted > upper_max_parallelism ? upper_max_parallelism
                                          : wanted;
}

/// out[i] = key group of hashes[i], for i in [0, n). REQUIRES: 0 < max_parallelism <= upper_max_parallelism.
void key_groups_of(const std::uint64_t* hashes, std::size_t n, std::uint32_t max_parallelism,
                   std::uint32_t* out) noexcept;

/// From hashes to channels in bulk, without divisions: a table from key group to subtask.
class key_group_router {
public:
  /// Throws error{errc::invalid_argument} unless 0 < parallelism <= max_parallelism <= upper_max_parallelism.
  key_group_router(std::uint32_t parallelism, std::uint32_t max_parallelism);
  std::uint32_t parallelism() const noexcept { return parallelism_; }
  std::uint32_t max_parallelism() const noexcept { return max_parallelism_; }
  std::uint32_t channel_of_group(std::uint32_t key_group) const noexcept { return channel_[key_group]; }
  std::uint32_t channel_of(std::uint64_t hash) const noexcept { return channel_[key_group_of(hash, max_parallelism_)]; }
  /// channels[i] = subtask of hashes[i], for i in [0, n).
  void route(const std::uint64_t* hashes, std::size_t n, std::uint32_t* channels) const noexcept;

private:
  std::uint32_t parallelism_;
  std::uint32_t max_parallelism_;
  std::vector<std::uint16_t> channel_; // by key group
};

} // namespace dataflow
