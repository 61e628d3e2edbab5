/// Copies of what tasks put into checkpoints, on the disk of the machine where they run: a task that starts again there
/// reads its copy instead of the checkpoint's storage.
///
/// The storage stays the truth: a copy counts only when it has the size and the checksum that the checkpoint's metadata
/// says, under a name that no other attempt has used; else the storage is read, and nothing is lost but time. A copy
/// that cannot be written is given up. Of each task those are kept that its last three checkpoints name.
/// Threading: one thread at a time. Ownership: keeps its place, whose directory goes with it; borrows the objects.
/// Source: Flink's TaskLocalStateStoreImpl, LocalRecoveryConfig.
#pragma once

#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/state/declared_state.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace dataflow {

class local_copies {
public:
  /// `place`: where they go.
  explicit local_copies(state_place place);
  ~local_copies();
  local_copies(const local_copies&) = delete;

  /// Whatever is created through it is copied, whatever is opened comes from a copy where there is one. Not to be used
  /// when this is gone.
  std::unique_ptr<checkpoint_objects> in_front_of(checkpoint_objects& storage);
  /// The task has handed in this for the checkpoint in `directory`. Removes what its earlier ones no longer need.
  void handed_in(std::uint32_t task, const std::string& directory, const subtask_summary& part);
  /// How many opened objects came from copies, and how many copies were no good.
  std::uint64_t used() const noexcept { return used_; }
  std::uint64_t refused() const noexcept { return refused_; }

private:
  class objects;
  class writer;
  std::string new_file();
  std::unique_ptr<readable_file> open(const std::string& directory, const object_handle& object);
  void forget(const std::string& name) noexcept;

  state_place place_;
  std::uint64_t next_ = 0, used_ = 0, refused_ = 0;
  std::map<std::string, std::string> files_;                             // by whole name of the object: its copy
  std::map<std::uint32_t, std::deque<std::set<std::string>>> handed_in_; // by task: names, the last one in the end
};

} // namespace dataflow
