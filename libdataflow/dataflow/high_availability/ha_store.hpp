/// What survives a JobManager: submitted jobs, their artifacts, where their completed checkpoints are, their results.
///
/// Small values stand in a fenced_store, large ones in files beside it that it points to. Keys:
///
///   jobs/<job id>/graph              the submission, opaque; its presence means: recover this job
///   jobs/<job id>/checkpoints/<id>   where a completed checkpoint is
///   results/<job id>                 how the job ended, opaque
///   artifacts/<hash>                 a file that jobs need; its name in the directory of files
///
/// Threading: safe from any thread; calls block. Ownership: borrows the file system, shares the fenced store.
/// Errors: stale_message when the token is not the leader's; corrupt_state when stored bytes are not what was written;
/// those of disk and connection.
/// Source: Flink's JobGraphStore, CompletedCheckpointStore, JobResultStore, BlobStore.
#pragma once

#include <dataflow/high_availability/fenced_store.hpp>
#include <dataflow/util/file_system.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// Where a completed checkpoint of a job is.
struct checkpoint_pointer {
  std::uint64_t id = 0;
  std::string path;
  friend bool operator==(const checkpoint_pointer&, const checkpoint_pointer&) = default;
};

class ha_store {
public:
  /// `files_directory`: of large values, shared by all JobManagers. `inline_limit`: bytes; larger values become files.
  ha_store(std::shared_ptr<fenced_store> values, file_system& files, std::string files_directory,
           std::size_t inline_limit = 16 * 1024);

  // --- jobs
  /// False when the job is known: it stays as it is. REQUIRES: job ids hold no '/'.
  bool put_job(leader_token token, const std::string& job, std::string_view submission);
  /// Replaces what is known of the job, as when it was rescaled.
  void update_job(leader_token token, const std::string& job, std::string_view submission);
  std::optional<std::string> job(const std::string& job);
  std::vector<std::string> jobs();
  /// With its checkpoint pointers; the result stays. One that is not known is fine.
  void remove_job(leader_token token, const std::string& job);

  // --- completed checkpoints
  void add_checkpoint(leader_token token, const std::string& job, const checkpoint_pointer& checkpoint);
  void remove_checkpoint(leader_token token, const std::string& job, std::uint64_t id);
  /// The newest first.
  std::vector<checkpoint_pointer> checkpoints(const std::string& job);

  // --- results
  /// Before remove_job(): a job that has a result is not recovered, whatever else is stored of it.
  void put_result(leader_token token, const std::string& job, std::string_view result);
  std::optional<std::string> result(const std::string& job);
  std::vector<std::string> results();
  void remove_result(leader_token token, const std::string& job);

  // --- artifacts
  /// False when an artifact of that hash is there. REQUIRES: hashes hold no '/'.
  bool put_artifact(leader_token token, const std::string& hash, std::string_view bytes);
  std::optional<std::string> artifact(const std::string& hash);
  std::vector<std::string> artifacts();
  void remove_artifact(leader_token token, const std::string& hash);

  /// Removes files that no value points to: what a leader left that died in between. To be called once by a new leader.
  void clean(leader_token token);

private:
  bool put(leader_token token, const std::string& key, std::string_view bytes, bool replace, std::size_t limit);
  std::optional<std::string> get(const std::string& key);
  void remove(leader_token token, const std::string& key);
  std::vector<std::string> names(const std::string& prefix, std::string_view suffix);

  const std::shared_ptr<fenced_store> values_;
  file_system& files_;
  const std::string directory_;
  const std::size_t inline_limit_;
};

} // namespace dataflow
