/// A map for one key's map_state: small when it is small, a hash index once it has more than a few entries.
///
/// Entries lie densely; an erased one is replaced by the last, so that the order is the same wherever the same calls
/// were made, and never that of a hash table.
/// Threading: not shared for writing. Ownership: owns its entries.
#pragma once

#include <dataflow/record/hash.hpp>

#include <cstdint>
#include <vector>

namespace dataflow {

template <class K, class V>
class entry_map {
public:
  struct entry {
    K key;
    V value;
  };
  static constexpr std::size_t none = ~std::size_t{0};

  std::size_t size() const noexcept { return entries_.size(); }
  const entry& at(std::size_t i) const noexcept { return entries_[i]; }
  V& value(std::size_t i) noexcept { return entries_[i].value; }
  /// Times of last access, where the state has a time to live; else empty.
  std::vector<std::int64_t> stamps;

  std::size_t find(const K& key) const {
    if (index_.empty()) {
      for (std::size_t i = 0; i < entries_.size(); ++i)
        if (key_equal<K>{}(entries_[i].key, key)) return i;
      return none;
    }
    const auto mask = index_.size() - 1;
    for (auto c = key_hash(key) & mask; index_[c] != 0; c = (c + 1) & mask)
      if (key_equal<K>{}(entries_[index_[c] - 1].key, key)) return index_[c] - 1;
    return none;
  }
  /// REQUIRES: the key is not there.
  void insert(K key, V value) {
    entries_.push_back({std::move(key), std::move(value)});
    if (entries_.size() <= unindexed) return;
    if (entries_.size() * 2 > index_.size())
      build_index();
    else
      put(entries_.size() - 1);
  }
  /// The last entry takes the place of this one.
  void erase(std::size_t i) {
    const auto last = entries_.size() - 1;
    if (!index_.empty()) {
      forget(i);
      if (i != last) {
        forget(last);
        entries_[i] = std::move(entries_[last]);
        put(i);
      }
    } else if (i != last) {
      entries_[i] = std::move(entries_[last]);
    }
    entries_.pop_back();
    if (!stamps.empty()) {
      stamps[i] = stamps.back();
      stamps.pop_back();
    }
  }

private:
  static constexpr std::size_t unindexed = 8;

  void build_index() {
    std::size_t cells = 32;
    while (cells < entries_.size() * 4)
      cells *= 2;
    index_.assign(cells, 0);
    for (std::size_t i = 0; i < entries_.size(); ++i)
      put(i);
  }
  void put(std::size_t i) {
    const auto mask = index_.size() - 1;
    auto c = key_hash(entries_[i].key) & mask;
    while (index_[c] != 0)
      c = (c + 1) & mask;
    index_[c] = static_cast<std::uint32_t>(i + 1);
  }
  /// Takes entry i out of the index; what follows moves up.
  void forget(std::size_t i) {
    const auto mask = index_.size() - 1;
    auto hole = key_hash(entries_[i].key) & mask;
    while (index_[hole] != i + 1)
      hole = (hole + 1) & mask;
    for (auto c = (hole + 1) & mask; index_[c] != 0; c = (c + 1) & mask) {
      const auto home = key_hash(entries_[index_[c] - 1].key) & mask;
      if (((c - home) & mask) < ((c - hole) & mask)) continue;
      index_[hole] = index_[c];
      hole = c;
    }
    index_[hole] = 0;
  }

  std::vector<entry> entries_;
  std::vector<std::uint32_t> index_; // positions + 1; empty while there are few entries
};

} // namespace dataflow
