/// The index of a subtask's object: what stands where. Shared by its writer and its reader; see docs/checkpoints.md.
///
/// Threading: values; pure functions. Errors: corrupt_state, newer_format.
#pragma once

#include <dataflow/checkpoint/subtask_state.hpp>

namespace dataflow::detail {

/// "Do not change": the first and last bytes of every object, and the sizes of what stands there.
inline constexpr std::string_view subtask_magic = "DFSUBTSK";
inline constexpr std::string_view subtask_end_magic = "DFSUBEND";
inline constexpr std::uint32_t subtask_format_version = 3; // the highest
/// The version of an object: the lowest that can say what is in it, so that other checkpoints stay as they were.
inline constexpr std::uint32_t subtask_version(bool in_flight, bool increments) noexcept {
  return increments ? 3 : in_flight ? 2 : 1;
}
inline constexpr std::size_t subtask_header_size = 16;  // magic, version (4), zero (4)
inline constexpr std::size_t subtask_trailer_size = 40; // offset, size and checksum of the index, checksum, end magic
/// Items of lists are put together into parts of about this size.
inline constexpr std::size_t item_block_bytes = 64 * 1024;

/// One part: where it lies, and what is in it.
struct index_entry {
  std::uint32_t key_group = 0; ///< of keyed states
  std::uint64_t items = 1;     ///< of others: how many items are in the part
  std::uint32_t object = 0;    ///< 0: this one; else position + 1 in subtask_index::objects
  std::uint64_t offset = 0, stored = 0, size = 0, checksum = 0;
  compression how = compression::none;
  part_form form = part_form::plain; ///< of keyed states, since version 3
};
struct index_state {
  state_info info;
  std::vector<index_entry> parts;
  state_summary summary() const;
};
struct index_element {
  key_group_range key_groups;
  index_entry where;
};
struct index_channel {
  std::uint32_t edge = 0, channel = 0;
  std::vector<index_element> elements;
  std::string peer, schema; ///< since version 2
};
struct index_operator {
  std::string uid;
  std::vector<index_state> states;
  std::vector<index_channel> inputs, outputs;
  std::vector<std::pair<std::string, object_handle>> files;
  std::vector<in_flight_summary> in_flight() const;
};
struct subtask_index {
  std::vector<object_handle> objects; ///< others that parts lie in
  std::vector<index_operator> operators;

  /// Visits every entry, in the order in which parts of this object were written.
  template <class F>
  void for_each_entry(F&& f) const {
    for (auto& op : operators) {
      for (auto& state : op.states)
        for (auto& part : state.parts)
          f(part);
      for (auto* channels : {&op.inputs, &op.outputs})
        for (auto& channel : *channels)
          for (auto& element : channel.elements)
            f(element.where);
    }
  }
};

std::string encode_index(const subtask_index& index, std::uint32_t version);
subtask_index decode_index(std::string_view bytes, std::uint32_t version);

std::string subtask_header(std::uint32_t version);
std::string subtask_trailer(std::string_view header, std::uint64_t index_offset, std::string_view index);
struct index_place {
  std::uint64_t offset, size, checksum;
  std::uint32_t version;
};
/// Checks both against each other. Throws corrupt_state, newer_format.
index_place check_ends(std::string_view header, std::string_view trailer, std::uint64_t object_size);

/// corrupt_state, with advice.
[[noreturn]] void fail_corrupt(std::string what);

} // namespace dataflow::detail
