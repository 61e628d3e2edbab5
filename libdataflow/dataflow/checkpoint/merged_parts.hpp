/// Parts of keyed state in entries: what incremental checkpoints of state in memory consist of.
///
/// An entry is a key (text) and 0, which removes the key, or the length of its value + 1 (varint) and the value. A
/// later entry of a key replaces an earlier one, in the same part and in those before it. "Do not change". Threading:
/// one thread at a time. Ownership: values; a part_objects borrows the storage, the directory and the hint. Errors:
/// corrupt_state with the state and the key group; errors of the storage as they are.
#pragma once

#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/subtask_state.hpp>
#include <dataflow/state/row_changes.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// What a key group's parts come to, from the first to the last: keys and values one behind the other, as a part that
/// has everything has them. Keys stand where they were met first.
std::string merged(const std::vector<std::string>& parts, std::string_view state, std::uint32_t key_group);

part_location location_of(const stored_piece& piece);

/// Writes parts one behind the other into shared objects, and begins another one when an object is large: objects go
/// when no part in them is wanted any more.
class part_objects {
public:
  static constexpr std::uint64_t large = std::uint64_t{32} << 20;

  /// `made` is called with each object that is complete.
  part_objects(checkpoint_objects& objects, const std::string& directory, std::string_view hint, compression how,
               std::function<void(const object_handle&)> made);
  part_objects(const part_objects&) = delete;
  /// Where it is, with an object that is named when finish() is over.
  stored_piece add(std::string_view part);
  void finish();

private:
  checkpoint_objects& objects_;
  const std::string& directory_;
  const std::string_view hint_;
  const compression how_;
  const std::function<void(const object_handle&)> made_;
  std::unique_ptr<object_writer> out_;
  std::shared_ptr<object_handle> handle_; // of `out_`
  std::string scratch_;
};

namespace detail {
/// Compresses `bytes` into `scratch`, and `bytes` is that then, if that makes it smaller; says what it did.
compression pack(compression how, std::string_view& bytes, std::string& scratch);
} // namespace detail

} // namespace dataflow
