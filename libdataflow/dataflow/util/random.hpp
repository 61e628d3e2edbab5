/// Randomness as the engine sees it: one seedable generator; nothing outside random.cpp reads a random device.
#pragma once

#include <cstdint>

namespace dataflow {

/// splitmix64 (Steele, Lea, Flood 2014): fast, seedable, the same on every machine. Not for cryptography.
/// Threading: not shared. Satisfies std::uniform_random_bit_generator.
class random_source {
public:
  using result_type = std::uint64_t;
  explicit random_source(std::uint64_t seed) noexcept : state_(seed) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() noexcept {
    auto z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound). REQUIRES: bound > 0.
  std::uint64_t below(std::uint64_t bound) noexcept {
    __extension__ using wide = unsigned __int128;
    return static_cast<std::uint64_t>((wide{(*this)()} * bound) >> 64);
  }
  /// Uniform in [0, 1).
  double unit() noexcept { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

private:
  std::uint64_t state_;
};

/// A seed from the operating system's random device.
std::uint64_t random_seed();

} // namespace dataflow
