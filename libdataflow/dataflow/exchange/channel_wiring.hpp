/// Which subtasks of an edge talk to each other, and under which channel numbers.
///
/// Every subtask's partners are a contiguous range, so nothing is stored per channel. Channel k of a producer leads
/// to the k-th consumer of its range; channel k of a consumer comes from the k-th producer of its range.
/// Threading: a value. Source: Flink's VertexInputInfoComputationUtils (pointwise and all-to-all).
#pragma once

#include <cstdint>

namespace dataflow {

/// Subtask indexes [begin, end).
struct subtask_range {
  std::uint32_t begin = 0, end = 0;
  std::uint32_t size() const noexcept { return end - begin; }
  bool contains(std::uint32_t i) const noexcept { return i >= begin && i < end; }
  bool operator==(const subtask_range&) const = default;
};

enum class distribution_pattern : std::uint8_t {
  all_to_all, ///< every producer has a channel to every consumer
  pointwise,  ///< producers and consumers are matched in proportion; equal numbers one to one
};

class channel_wiring {
public:
  /// REQUIRES: producers > 0, consumers > 0, both at most 2^31.
  channel_wiring(distribution_pattern pattern, std::uint32_t producers, std::uint32_t consumers) noexcept
      : pattern_(pattern), producers_(producers), consumers_(consumers) {}

  std::uint32_t producers() const noexcept { return producers_; }
  std::uint32_t consumers() const noexcept { return consumers_; }
  distribution_pattern pattern() const noexcept { return pattern_; }

  /// Whom producer p sends to.
  subtask_range consumers_of(std::uint32_t p) const noexcept {
    if (pattern_ == distribution_pattern::all_to_all) return {0, consumers_};
    if (producers_ >= consumers_) {
      const auto c = narrow((wide{p + 1} * consumers_ - 1) / producers_);
      return {c, c + 1};
    }
    return {first_of(p, consumers_, producers_), first_of(p + 1, consumers_, producers_)};
  }
  /// Whom consumer c receives from.
  subtask_range producers_of(std::uint32_t c) const noexcept {
    if (pattern_ == distribution_pattern::all_to_all) return {0, producers_};
    if (producers_ >= consumers_)
      return {narrow(wide{c} * producers_ / consumers_), narrow(wide{c + 1} * producers_ / consumers_)};
    const auto p = narrow(wide{c} * producers_ / consumers_);
    return {p, p + 1};
  }
  /// The number of the channel p -> c at the producer. REQUIRES: they are connected.
  std::uint32_t channel_at_producer(std::uint32_t p, std::uint32_t c) const noexcept {
    return c - consumers_of(p).begin;
  }
  /// The number of the channel p -> c at the consumer, within this edge. REQUIRES: they are connected.
  std::uint32_t channel_at_consumer(std::uint32_t p, std::uint32_t c) const noexcept {
    return p - producers_of(c).begin;
  }

private:
  using wide = std::uint64_t;
  static std::uint32_t narrow(wide x) noexcept { return static_cast<std::uint32_t>(x); }
  /// ceil(i * n / d)
  static std::uint32_t first_of(std::uint32_t i, std::uint32_t n, std::uint32_t d) noexcept {
    return narrow((wide{i} * n + d - 1) / d);
  }

  distribution_pattern pattern_;
  std::uint32_t producers_, consumers_;
};

} // namespace dataflow
