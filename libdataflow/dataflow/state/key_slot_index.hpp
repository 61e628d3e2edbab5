/// An index from hashes to slot numbers whose entries can be erased: for operators that keep something per key for a
/// while and must not grow with keys that are never seen again.
///
/// The slots are the caller's; the index knows only their hashes. Open addressing with linear probing; an erased cell
/// is closed by moving later ones up, so nothing is left behind. No order of the index is ever visible. Threading: not
/// shared. Ownership: a value that owns its cells.
#pragma once

#include <dataflow/util/huge_pages.hpp>

#include <cstdint>

namespace dataflow {

class key_slot_index {
public:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  key_slot_index() : cells_(64), mask_(63) {}

  std::size_t size() const noexcept { return size_; }
  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&cells_[hash & mask_]); }
  /// A slot that probably has this hash, or none.
  std::uint32_t candidate(std::uint64_t hash) const noexcept {
    for (auto i = hash & mask_; cells_[i].slot_plus_one != 0; i = (i + 1) & mask_)
      if (cells_[i].tag == tag_of(hash)) return cells_[i].slot_plus_one - 1;
    return none;
  }
  /// The slot of this hash for which is(slot) holds, or none.
  template <class Is>
  std::uint32_t find(std::uint64_t hash, Is&& is) const {
    for (auto i = hash & mask_; cells_[i].slot_plus_one != 0; i = (i + 1) & mask_)
      if (cells_[i].tag == tag_of(hash) && is(cells_[i].slot_plus_one - 1)) return cells_[i].slot_plus_one - 1;
    return none;
  }
  /// REQUIRES: `slot` is not in the index.
  void insert(std::uint64_t hash, std::uint32_t slot) {
    if ((size_ + 1) * 2 > cells_.size()) grow();
    put({slot + 1, tag_of(hash)});
    ++size_;
  }
  /// REQUIRES: `slot` is in the index, with this hash.
  void erase(std::uint64_t hash, std::uint32_t slot) noexcept {
    auto hole = hash & mask_;
    while (cells_[hole].slot_plus_one != slot + 1)
      hole = (hole + 1) & mask_;
    for (auto i = (hole + 1) & mask_; cells_[i].slot_plus_one != 0; i = (i + 1) & mask_) {
      const auto home = cells_[i].tag & mask_;
      if (((i - home) & mask_) < ((i - hole) & mask_)) continue; // it lies between its home and itself: stays
      cells_[hole] = cells_[i];
      hole = i;
    }
    cells_[hole] = {};
    --size_;
  }

private:
  struct cell {
    std::uint32_t slot_plus_one = 0; // 0: empty
    std::uint32_t tag = 0;           // the low half of the hash: enough to find its home again
  };
  static std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }
  void put(cell c) noexcept {
    auto i = c.tag & mask_;
    while (cells_[i].slot_plus_one != 0)
      i = (i + 1) & mask_;
    cells_[i] = c;
  }
  void grow() {
    huge_vector<cell> old(cells_.size() * 2);
    old.swap(cells_);
    mask_ = cells_.size() - 1;
    for (auto& c : old)
      if (c.slot_plus_one != 0) put(c);
  }

  huge_vector<cell> cells_; // a power of two, at most half full
  std::size_t mask_;
  std::size_t size_ = 0;
};

} // namespace dataflow
