/// The completed checkpoints of a job: which are kept, which one a restart uses, and when objects go.
///
/// The newest whole one counts: a damaged one is passed over, and the caller is told which and why. Shared objects are
/// counted by the checkpoints that name them; the counts are rebuilt from the metadata at every start.
/// Threading: one thread at a time; calls read and write the storage, so not on a scheduler's worker. Ownership:
/// borrows the storage. Errors: those of the storage.
/// Source: Flink's CompletedCheckpointStore, CheckpointSubsumeHelper, SharedStateRegistry, CheckpointProperties.
#pragma once

#include <dataflow/checkpoint/checkpoint_coordinator.hpp>
#include <dataflow/checkpoint/checkpoint_storage.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

struct completed_checkpoint {
  std::uint64_t id = 0;
  std::string directory;
  std::shared_ptr<const checkpoint_metadata> metadata;
};

/// A checkpoint that is there and cannot be used.
struct skipped_checkpoint {
  std::uint64_t id = 0;
  std::string directory;
  error why;
};

enum class job_end : std::uint8_t {
  finished,
  failed,
  canceled,
  suspended, ///< the job master stops, the job is to go on elsewhere
};
/// Whether the kept checkpoints are removed when a job ends like that.
bool removes_checkpoints(externalized_retention retention, job_end end) noexcept;

class completed_checkpoint_store {
public:
  completed_checkpoint_store(checkpoint_storage& storage, std::uint32_t num_retained);

  struct recovery {
    std::optional<completed_checkpoint> latest;
    std::vector<skipped_checkpoint> skipped; ///< newer than `latest`, the newest first: to be reported loudly
    std::uint64_t next_id = 1;               ///< for the coordinator: above everything that is or was there
    std::vector<std::string> removed;        ///< what earlier runs left and nothing refers to
  };
  /// Takes the job's directory over and finds out what is there. `token`: of this leader. Errors: newer_format when a
  /// checkpoint was written by a later version: going back to an older one must be asked for.
  recovery recover(std::uint64_t token, verification how = verification::objects);
  /// A checkpoint was published: those that are too many are removed. What cannot be removed now is tried again later.
  void add(std::uint64_t id, const std::string& directory, checkpoint_metadata metadata);
  /// A restore found this one damaged; latest() is the one before from now on. Its shared objects stay as long as it
  /// does: tasks that have not failed may go on from what they know to be in it.
  void reject(std::uint64_t id, const error& why);
  std::optional<completed_checkpoint> latest() const;
  /// A checkpoint or savepoint of another directory that the job was started from and has claimed: it counts as the
  /// oldest of the kept ones and is removed with them. latest() is never this one.
  void claim(completed_checkpoint c);
  /// The oldest first.
  const std::vector<completed_checkpoint>& retained() const noexcept { return retained_; }
  const std::vector<skipped_checkpoint>& rejected() const noexcept { return rejected_; }

  /// Of an action of the coordinator.
  void discard(const checkpoint_actions::discard& what, std::uint64_t leader);
  /// How many of the kept checkpoints name a shared object.
  std::uint32_t references(const std::string& shared_object) const;
  /// Things that should be gone and could not be removed.
  std::size_t left_over() const noexcept { return left_over_.size(); }
  /// The job is at its end.
  void shut_down(job_end end, externalized_retention retention);

private:
  void hold(const checkpoint_metadata& metadata);
  void remove(const completed_checkpoint& c);
  void release(const checkpoint_metadata& metadata);
  void remove(const skipped_checkpoint& c);
  void remove_claimed();
  template <class F>
  bool try_to(F&& f);
  void retry();

  checkpoint_storage& storage_;
  const std::uint32_t num_retained_;
  std::vector<completed_checkpoint> retained_; // by id
  std::optional<completed_checkpoint> claimed_;
  std::vector<skipped_checkpoint> rejected_;
  std::map<std::uint64_t, std::shared_ptr<const checkpoint_metadata>> damaged_; // of these, what could be read
  std::map<std::string, std::uint32_t> references_;                             // of shared objects
  struct leftover {
    std::string directory; // empty: a shared object
    std::string shared;
  };
  std::vector<leftover> left_over_;
};

} // namespace dataflow
