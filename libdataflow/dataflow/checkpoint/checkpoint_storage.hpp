/// Where checkpoints are kept, behind a small interface that a file system and an object store can both fulfil.
///
/// Names are final and unique, nothing is renamed or changed. A checkpoint exists exactly when its metadata does, which
/// is published by one atomic put-if-absent. The layout and its names are Flink's:
///
///   <execution.checkpointing.dir>/<job id>/chk-<N>/_metadata   and the checkpoint's own objects
///                                         /shared/             objects of incremental checkpoints
///                                         /taskowned/          objects that the engine never removes
///                                         /_lock               held while a job works here
///                                         /_leader-<token>     which leader went on from which checkpoint
///                                         /_published-<N>      what sinks have published
///   <execution.checkpointing.savepoint-dir>/savepoint-<job>-<random>/_metadata   self-contained
///
/// Threading: safe from any thread. Ownership: borrows the file system. Errors: those of the file system, and
/// storage_locked, corrupt_state, newer_format, stale_message (a later leader has taken over).
/// Source: Flink's AbstractFsCheckpointStorageAccess, FsCheckpointMetadataOutputStream, CheckpointStorage.
#pragma once

#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/checkpoint/published_output.hpp>
#include <dataflow/util/file_system.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// "Do not change" names.
inline constexpr std::string_view metadata_file_name = "_metadata";
inline constexpr std::string_view checkpoint_directory_prefix = "chk-";
inline constexpr std::string_view shared_directory_name = "shared";
inline constexpr std::string_view task_owned_directory_name = "taskowned";
inline constexpr std::string_view savepoint_directory_prefix = "savepoint-";
inline constexpr std::string_view storage_lock_name = "_lock";

/// One entry of a job's directory.
struct stored_checkpoint {
  std::uint64_t id = 0;
  std::string directory;
  bool published = false; ///< the metadata is there (its content may still turn out to be damaged)
  friend bool operator==(const stored_checkpoint&, const stored_checkpoint&) = default;
};

/// The objects of checkpoints: what tasks need of the storage.
class checkpoint_objects {
public:
  virtual ~checkpoint_objects() = default;
  /// A new object of the checkpoint in `directory`, which exists. `hint` begins its name, for people. In scope
  /// `exclusive`, one that stays small becomes an inlined one.
  virtual std::unique_ptr<object_writer> create(const std::string& directory, object_scope scope,
                                                std::string_view hint) = 0;
  /// Errors: corrupt_state when it has not the size that the handle says.
  virtual std::unique_ptr<readable_file> open(const std::string& directory, const object_handle& object) = 0;
  /// One that does not exist is fine. Objects of scope task_owned stay.
  virtual void remove(const std::string& directory, const object_handle& object) = 0;
  /// For subtask_state_reader.
  object_opener opener(std::string directory);
};

class checkpoint_storage : public checkpoint_objects {
public:
  /// Makes the job's directory and takes it over: no other job may, until this storage is destroyed, and what leaders
  /// with a smaller token publish from now on is ignored; what they would begin, remove or note is refused with
  /// stale_message. `token`: of this leader. Returns what is there, the newest first, without what stale leaders left.
  /// Errors: storage_locked when a job works there already.
  virtual std::vector<stored_checkpoint> take_over(std::uint64_t token) = 0;
  /// The directory of a new checkpoint, made. A left-over of an unpublished one of that id is emptied. Errors:
  /// checkpoint_failed when one of that id is complete.
  virtual std::string begin(std::uint64_t id) = 0;
  /// The directory of a savepoint, made; `random` makes its name unique.
  virtual std::string begin_savepoint(const std::string& parent, std::string_view job_id, std::uint64_t random) = 0;
  /// The checkpoint exists from now on. Errors: checkpoint_failed when one is there, stale_message when a later leader
  /// has taken over.
  virtual void publish(const std::string& directory, const checkpoint_metadata& metadata) = 0;
  /// `path`: of a checkpoint's directory or of its metadata.
  virtual checkpoint_metadata read(const std::string& path) = 0;
  /// Metadata first: a checkpoint that is removed half-way is none. One that does not exist is fine.
  virtual void remove_checkpoint(const std::string& directory) = 0;
  /// What an aborted attempt left. A checkpoint that another leader has published there in the meantime stays.
  virtual void discard(const std::string& directory, std::uint64_t leader) = 0;
  /// The job is at its end: the lock is given up, and the directory removed if it holds no checkpoint.
  virtual void release() = 0;
  /// All that is in the job's directory, the newest first.
  virtual std::vector<stored_checkpoint> list() = 0;
  /// Names in the directory of shared objects.
  virtual std::vector<std::string> shared_objects() = 0;
  virtual void remove_shared(const std::string& name) = 0;
  /// Durable on return; replaces what was noted before.
  virtual void note_published(const published_output& published) = 0;
  /// What was noted last. When the note is damaged, the highest checkpoint is known by its name, the sinks are not.
  virtual published_output published() = 0;
  /// The job's directory.
  virtual const std::string& directory() const noexcept = 0;
};

/// How much of a checkpoint is looked at.
enum class verification : std::uint8_t {
  objects, ///< every object is there and has its size, and its index is good
  content, ///< every byte is what was written
};
/// Throws error{errc::corrupt_state, ...} naming the first object that is not right.
void verify_checkpoint(checkpoint_objects& storage, const std::string& directory, const checkpoint_metadata& metadata,
                       verification how);

/// The directory of a checkpoint, from what people write: itself, its _metadata, with or without "file://".
std::string checkpoint_directory_of(std::string_view path);
/// Reads a checkpoint's metadata, also without a storage of the job. Errors say what is wrong with the path: not there,
/// not a checkpoint, not complete (objects without metadata), damaged.
checkpoint_metadata read_checkpoint_metadata(file_system& files, std::string_view path);

/// What gives a leader the right to a job's directory.
enum class takeover : std::uint8_t {
  when_unlocked, ///< whoever worked there has ended
  by_token, ///< an election has given this leader a larger token: the one before may still stand somewhere, stopped
};

class file_checkpoint_storage final : public checkpoint_storage {
public:
  /// `root`: execution.checkpointing.dir. `seed`: makes names unique among all processes that write there. `outside`:
  /// where savepoints are, when the job's checkpoints are kept somewhere else, as in memory; null: in `files`, too.
  file_checkpoint_storage(file_system& files, std::string_view root, std::string_view job_id, std::uint64_t seed,
                          std::uint64_t inline_threshold = 20 * 1024, file_system* outside = nullptr,
                          takeover right = takeover::when_unlocked);
  ~file_checkpoint_storage() override;

  std::unique_ptr<object_writer> create(const std::string& directory, object_scope scope,
                                        std::string_view hint) override;
  std::unique_ptr<readable_file> open(const std::string& directory, const object_handle& object) override;
  void remove(const std::string& directory, const object_handle& object) override;
  std::vector<stored_checkpoint> take_over(std::uint64_t token) override;
  std::string begin(std::uint64_t id) override;
  std::string begin_savepoint(const std::string& parent, std::string_view job_id, std::uint64_t random) override;
  void publish(const std::string& directory, const checkpoint_metadata& metadata) override;
  checkpoint_metadata read(const std::string& path) override;
  void remove_checkpoint(const std::string& directory) override;
  void discard(const std::string& directory, std::uint64_t leader) override;
  void release() override;
  std::vector<stored_checkpoint> list() override;
  std::vector<std::string> shared_objects() override;
  void remove_shared(const std::string& name) override;
  void note_published(const published_output& published) override;
  published_output published() override;
  const std::string& directory() const noexcept override { return directory_; }

private:
  struct leader_note {
    std::uint64_t token = 0;
    std::uint64_t after = 0; ///< the newest checkpoint that was there when the leader took over
  };
  std::vector<leader_note> leaders();
  /// Throws stale_message when a later leader has taken over. Before each change in the job's directory.
  void must_lead();
  /// False: somebody else has the lock.
  bool lock_directory();
  bool is_stale(const stored_checkpoint& c, const std::vector<leader_note>& notes);
  /// Of a checkpoint's directory.
  file_system& files_of(const std::string& directory) const;

  file_system& files_;
  file_system& outside_;
  const std::string directory_;
  const std::uint64_t seed_;
  const std::uint64_t inline_threshold_;
  const takeover right_;
  std::atomic<std::uint64_t> next_name_{0};
  std::atomic<std::uint64_t> token_{0}; // 0: it has not taken over
  std::mutex mutex_;                    // guards all below: tasks remove what they have written in vain
  std::unique_ptr<file_lock> lock_;
  bool released_ = false;
};

} // namespace dataflow
