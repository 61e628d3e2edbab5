/// What sliced windows store that are in memory: an item for each slice of each key.
///
/// An item is its flags (1 byte), the slice's start and end (8 each), the key's place in the order of the results
/// (varint), the key and the contents. Threading: not shared. Ownership: written items borrow keys and contents.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/windows/window.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace dataflow::detail {

/// is_open: not complete; is_kept: complete, for late records; is_merged: complete, part of windows that are not;
/// is_emitted: the result of the window that was being fired is out.
enum slice_flags : std::uint8_t { is_open = 1, is_kept = 2, is_merged = 4, is_emitted = 8 };

template <class K, class Stored>
class slice_items {
public:
  void add(std::uint32_t key_group, std::uint8_t flags, const time_window& slice, std::uint64_t rank, const K& key,
           const Stored& contents) {
    items_.push_back({key_group, flags, slice, rank, &key, &contents});
  }
  /// By key group, in the order in which they came.
  void write(state_writer& out) {
    std::stable_sort(items_.begin(), items_.end(),
                     [](const item& a, const item& b) { return a.key_group < b.key_group; });
    for (auto& i : items_) {
      auto& bytes = out.part_of(i.key_group);
      bytes.fixed(i.flags);
      bytes.fixed(i.slice);
      bytes.varint(i.rank);
      codec<K>::encode(*i.key, bytes);
      codec<Stored>::encode(*i.contents, bytes);
    }
  }

private:
  struct item {
    std::uint32_t key_group;
    std::uint8_t flags;
    time_window slice;
    std::uint64_t rank; // in the order of the keys
    const K* key;
    const Stored* contents;
  };
  std::vector<item> items_;
};

template <class K, class Stored>
struct restored_slice {
  std::uint8_t flags = 0;
  time_window slice;
  std::uint64_t rank = 0;
  K key{};
  Stored contents{};
};
template <class K, class Stored>
void read_slices(const state_part& part, std::vector<restored_slice<K, Stored>>& into) {
  for (byte_reader in{part.bytes}; !in.at_end();) {
    auto& r = into.emplace_back();
    r.flags = in.fixed<std::uint8_t>();
    r.slice = in.fixed<time_window>();
    r.rank = in.varint();
    codec<K>::decode(r.key, in);
    codec<Stored>::decode(r.contents, in);
  }
}

} // namespace dataflow::detail
