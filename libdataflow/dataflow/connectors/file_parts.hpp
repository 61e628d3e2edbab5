/// The files behind a file sink: parts in progress, pending and finished, without the records' type.
///
/// Names ("do not change": they are in checkpoints and on people's disks):
///   <directory>/.in-progress/<part>.in-progress   in progress, and pending: closed, but not yet published
///   <directory>/<bucket>/<part>                   finished; made by a hard link, then the other name goes
///   <part> = <prefix>-<job and operator>-<subtask>-<attempt>-<number><suffix>; no two attempts share a name
///
/// Threading: one task. Ownership: owns open files; the file system is borrowed from the context.
/// Errors: those of the file system; corrupt_state when a part of the checkpoint is not on the disk.
/// Source: Flink's FileWriter, FileWriterBucket, InProgressFileWriter, FileCommitter, CompactService.
#pragma once

#include <dataflow/connectors/committing_sink.hpp>
#include <dataflow/record/record.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

class file_system;
class writable_file;

/// When a part is closed and the next one begun. Flink's defaults.
struct rolling_policy {
  std::uint64_t size = 128 << 20;               ///< it has so many bytes
  std::chrono::milliseconds interval{60'000};   ///< it was begun so long ago
  std::chrono::milliseconds inactivity{60'000}; ///< it was not written to for so long
  bool on_checkpoint = false;                   ///< a barrier has come
};

/// Small parts of a bucket become one before they are published. Parts of different subtasks are not put together.
struct compaction_policy {
  std::uint64_t size = 0;        ///< until they have so many bytes together; 0: no compaction
  std::uint32_t checkpoints = 1; ///< but no longer than so many
};

struct file_sink_settings {
  std::string directory = {};
  rolling_policy rolling = {};
  compaction_policy compaction = {};
  std::string prefix = "part", suffix = {};
  bool clean_up = true;
};

/// A part to be published: its present name, its final one, and files that it takes the place of.
struct file_committable {
  std::string from, to;
  std::uint64_t size = 0;
  std::vector<std::string> obsolete;
};

/// A part that goes on.
struct file_writer_state {
  std::string bucket, from, to;
  std::uint64_t size = 0;
  std::int64_t created = 0, written = 0; ///< milliseconds since 1970 UTC: its first and its last record
  bool closed = false;                   ///< waits to be put together with others
};

} // namespace dataflow

DATAFLOW_RECORD(dataflow::file_committable, from, to, size, obsolete);
DATAFLOW_RECORD(dataflow::file_writer_state, bucket, from, to, size, created, written, closed);

namespace dataflow::detail {

/// A bucket that is written to.
struct file_bucket {
  std::string id;
  std::string text;              ///< records that are not in a file yet
  std::vector<std::size_t> ends; ///< where in `text` a part ends
  std::uint64_t part_bytes = 0;  ///< of the part in progress, those in `text` included
  std::int64_t created = 0, written = 0;
  bool dirty = false; ///< to be looked at by flush()

  // the part in progress, once it has a file
  std::unique_ptr<writable_file> file;
  std::unique_ptr<file_lock> lock; ///< of the file: says that somebody may still write to it
  std::string from, to;
  std::string copied_from; ///< a part that it takes the place of, if any
  std::uint64_t size = 0;  ///< in the file
  bool unsynced = false;
};

class file_parts {
public:
  file_parts(file_sink_settings settings, delivery_guarantee guarantee);
  ~file_parts();
  void open(runtime_context& context, const restored_sink<file_committable, file_writer_state>& restored);
  void begin_batch(std::int64_t wall) noexcept { wall_ = wall; }
  /// Throws error{errc::invalid_argument} for a bucket that would lie outside the directory.
  file_bucket& in(const std::string& id) {
    if (last_ && last_->id == id) [[likely]]
      return *last_;
    return find(id);
  }
  /// A record was put behind the first `before` bytes of the bucket's text.
  void wrote(file_bucket& b, std::size_t before) {
    if (b.part_bytes == 0) begin_part(b);
    b.part_bytes += b.text.size() - before;
    b.written = wall_;
    if (!b.dirty) {
      b.dirty = true;
      dirty_.push_back(&b);
    }
    if (b.part_bytes >= settings_.rolling.size) {
      b.ends.push_back(b.text.size());
      b.part_bytes = 0;
    }
  }
  void flush();
  void barrier();
  void finish();
  std::vector<file_committable> prepare_commit();
  std::vector<file_writer_state> snapshot() const;
  std::optional<std::chrono::milliseconds> next_wake() const noexcept;
  void wake(std::int64_t wall);
  void close() noexcept;

private:
  struct closed_part {
    std::string bucket, from, to;
    std::uint64_t size;
    std::vector<std::string> obsolete; // once it is published
  };
  struct held_parts {
    std::vector<closed_part> parts;
    std::uint64_t bytes = 0;
    std::uint32_t barriers = 0; // seen by the oldest
  };
  file_bucket& find(const std::string& id);
  void begin_part(file_bucket& b);
  std::unique_ptr<writable_file> new_file(const std::string& bucket, std::string& from, std::string& to);
  void append(file_bucket& b, std::string_view bytes);
  void write_out(file_bucket& b);
  void close_part(file_bucket& b);
  void drop_empty();
  void restore(const file_writer_state& s);
  void go_on_with_copy(file_bucket& b, const file_writer_state& s);
  void remove_strays(const restored_sink<file_committable, file_writer_state>& restored);
  void copy(const std::string& from, std::uint64_t size, writable_file& to);
  file_committable merged(const held_parts& held);
  bool durable() const noexcept { return guarantee_ != delivery_guarantee::none; }
  void sync_names();

  const file_sink_settings settings_;
  const delivery_guarantee guarantee_;
  const std::string staging_;
  file_system* files_ = nullptr;
  std::string job_, task_, family_, writer_; // for logs; parts of names
  std::uint32_t subtask_ = 0, parallelism_ = 1;
  std::uint64_t next_part_ = 0;
  std::int64_t wall_ = 0;
  std::map<std::string, file_bucket, std::less<>> buckets_;
  file_bucket* last_ = nullptr;
  std::vector<file_bucket*> dirty_;
  std::vector<closed_part> closed_;
  std::map<std::string, held_parts> held_; // by bucket
  std::int64_t next_check_ = INT64_MAX;
  bool names_changed_ = false; // in the directory of parts in progress, since it was synchronised
  bool barrier_passed_ = false, finished_ = false;
};

class file_committer final : public committer<file_committable> {
public:
  file_committer(std::string directory, delivery_guarantee guarantee);
  void open(runtime_context& context) override;
  void commit(std::vector<commit_request<file_committable>>& requests) override;

private:
  void make_directory(const std::string& path);

  const std::string directory_;
  const bool durable_;
  file_system* files_ = nullptr;
  std::string job_, task_;
  std::set<std::string> made_; // directories whose own names are on the disk
};

} // namespace dataflow::detail
