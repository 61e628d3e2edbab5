/// What sliced windows store that are in memory: an item for each slice of each key.
///
/// An item is its flags (1 byte), the slice's start and end (8 each), the key's place in the order of the results
/// (varint), the key and the contents. Threading: functions.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/windows/window.hpp>

#include <cstdint>
#include <vector>

namespace dataflow::detail {

/// is_open: not complete; is_kept: complete, for late records; is_merged: complete, part of windows that are not;
/// is_emitted: the result of the window that was being fired is out.
enum slice_flags : std::uint8_t { is_open = 1, is_kept = 2, is_merged = 4, is_emitted = 8 };

/// What is in front of key and contents. rank: in the order of the keys.
inline void begin_slice_item(unsigned flags, const time_window& slice, std::uint64_t rank, byte_writer& out) {
  out.fixed(static_cast<std::uint8_t>(flags));
  out.fixed(slice);
  out.varint(rank);
}

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
