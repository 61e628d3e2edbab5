/// A savepoint or checkpoint that a job starts from, and what may be done with it.
///
/// Threading: values; functions read and write the file system, so not on a scheduler's worker.
/// Errors: open_restore_point() says what is wrong with the path: file_not_found (nothing there, or never completed, or
/// half deleted), corrupt_state, newer_format; storage_locked when it is to be claimed from a job that still runs.
/// Source: Flink's SavepointRestoreSettings, RestoreMode, Checkpoints.disposeSavepoint.
#pragma once

#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/util/file_system.hpp>

#include <string>

namespace dataflow {

class configuration;

enum class claim_mode : std::uint8_t {
  no_claim, ///< it is never removed, and not needed any more once the job has a checkpoint of its own
  claim,    ///< it belongs to the job, and is removed like a checkpoint of its own
};

struct restore_settings {
  std::string path; ///< of its directory or its _metadata; empty: the job begins with nothing
  bool allow_non_restored = false;
  claim_mode claim = claim_mode::no_claim;
  /// From execution.state-recovery.*.
  static restore_settings from(const configuration& config);
};

struct restore_point {
  std::string directory;
  checkpoint_metadata metadata;
  bool allow_non_restored = false;
  claim_mode claim = claim_mode::no_claim;
};

/// Reads the metadata, and looks whether all objects are there. REQUIRES: the path is not empty.
restore_point open_restore_point(file_system& files, const restore_settings& settings);

/// Removes a savepoint, or a checkpoint of a job that does not run any more, with the shared objects that no other
/// checkpoint of that job names. Errors: as above; invalid_argument for what is none of both; storage_locked.
void dispose_savepoint(file_system& files, const std::string& path);

} // namespace dataflow
