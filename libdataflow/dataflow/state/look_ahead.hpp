/// Look-ups over a batch, kept some records ahead of the one at hand, so that the memory that later records need is
/// loaded while earlier ones are worked on. What is loaded never outruns the first cache.
///
///   look_ahead<table> ahead{table, hashes, begin, end};
///   for (at = begin; at < end; at = next) {
///     next = ahead.advance(at, [&](std::size_t i) { __builtin_prefetch(records + i); });
///     for (i = at; i < next; ++i) table.find_or_insert(key(i), hashes[i], ahead[i]);
///   }
/// At most one insertion per record. Threading: not shared. Ownership: borrows the table and the hashes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dataflow {

/// Table: flat_table, keyed_table or keyed_store.
template <class Table>
class look_ahead {
public:
  static constexpr std::size_t stride = 32; ///< records between two advances

  look_ahead(Table& table, const std::uint64_t* hashes, std::size_t begin, std::size_t end) noexcept
      : table_(table), hashes_(hashes), looked_up_(begin), end_(end) {
    const auto first = std::min(end, begin + homes_ahead);
    for (auto i = begin; i < first; ++i)
      table.prefetch_home(hashes[i]);
  }

  /// Makes the look-ups of the records [at, result) available; result <= at + stride. touch(i) is called for each
  /// record when its entry starts to be loaded: it may start loading the record, which another core may have written.
  template <class Touch>
  [[gnu::always_inline]] std::size_t advance(std::size_t at, Touch&& touch) {
    const auto until = std::min(end_, at + stride + entries_ahead);
    auto from = looked_up_;
    if (table_.make_room(until - at)) [[unlikely]]
      from = at; // everything has moved
    const auto& table = table_;
    const auto last_home = end_ > homes_ahead ? end_ - homes_ahead : 0;
    for (auto i = from; i < until; ++i) {
      if (i < last_home) table.prefetch_home(hashes_[i + homes_ahead]);
      __builtin_prefetch(hashes_ + i + hashes_ahead);
      touch(i);
      candidates_[i % ring] = table.candidate(hashes_[i]);
    }
    looked_up_ = std::max(looked_up_, until);
    return std::min(end_, at + stride);
  }
  /// Where record i's key probably is. REQUIRES: advance() has made it available.
  std::uint32_t operator[](std::size_t i) const noexcept { return candidates_[i % ring]; }

private:
  static constexpr std::size_t entries_ahead = 96, homes_ahead = 24, hashes_ahead = 96, ring = 128;
  static_assert(stride + entries_ahead <= ring);

  Table& table_;
  const std::uint64_t* hashes_;
  std::size_t looked_up_, end_;
  std::uint32_t candidates_[ring];
};

} // namespace dataflow
