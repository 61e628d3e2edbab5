/// Files of a state backend in checkpoints: each is stored once, and named again by every later checkpoint that has it.
///
/// A file may only be named again when it is certain that the storage still has it: it belongs to a checkpoint of the
/// same job that is complete and not gone. So what counts is the last checkpoint that this subtask knows to be
/// complete; and where a later one, not known to be complete, has stored the same file once more, neither is certain,
/// and it is stored again. Threading: safe from any thread. Ownership: one per attempt of a subtask. Source: Flink's
/// RocksDBStateUploader, RocksIncrementalSnapshotStrategy (PreviousSnapshot), SharedStateRegistry.
#pragma once

#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/checkpoint/subtask_state.hpp>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace dataflow {

class shared_files {
public:
  using file_key = std::pair<std::string, std::string>; ///< operator's uid, name of the file there
  using file_map = std::map<file_key, object_handle>;

  /// What the subtask starts from; `directory`: of that checkpoint.
  void restored(file_map files, std::string_view directory);
  /// The object that has a file, if the checkpoint in `directory` may name it: shared objects are found beside their
  /// checkpoint, so that those of another job, which this one was started from, have to be stored again.
  std::optional<object_handle> find(const file_key& file, std::string_view directory) const;
  /// A checkpoint is about to be acknowledged with these.
  void stored(std::uint64_t checkpoint, file_map files);
  void completed(std::uint64_t checkpoint);
  void aborted(std::uint64_t checkpoint);

private:
  mutable std::mutex mutex_;
  file_map complete_;
  std::string restored_beside_; // the parent of the checkpoint that `complete_` was restored from; empty: it is ours
  std::map<std::uint64_t, file_map> open_; // by checkpoint
};

/// Stores what a subtask hands in: its object, and files of databases that are not in the storage yet. What was stored
/// is removed again when it throws. `hint` begins the names of objects. `known`: of the subtask; may be null.
subtask_summary store_subtask_state(const subtask_state& state, checkpoint_objects& objects,
                                    const std::string& directory, std::string_view hint, compression how,
                                    std::uint64_t checkpoint, shared_files* known);

/// Files of one database in a checkpoint, and the key groups that a subtask is to take from it.
struct stored_files {
  key_group_range groups;
  std::string store;                          ///< number among the operator's stores
  std::map<std::string, object_handle> files; ///< by the names that the database knows
};
/// Those of the databases of one operator of a subtask, by store; the key groups are left open.
std::vector<stored_files> files_of(const subtask_state_reader& reader, std::string_view uid);
/// Those of all databases that hold keys of the share.
std::vector<stored_files> files_of(const operator_restore& share, const object_opener& open);
/// Copies them to a directory on the local disk, which is made. Errors: corrupt_state when one is not what was written.
void fetch(const stored_files& files, const object_opener& open, const std::string& directory);

} // namespace dataflow
