/// Keyed state that may be larger than memory: ordered bytes on the local disk, a table for each state of an operator.
///
/// A key in every table is, and this must not change, for snapshots of database files contain it:
///
///   key group   2 bytes, big endian: a range of key groups is a range of keys
///   key         as its codec writes it, prefix-free (with the namespace behind it where there is one)
///
/// but for what is ordered by time: see time_index.hpp.
/// Writes gather in a batch; a read sees only what has been written with write(), so that whoever keeps a cache in
/// front (stored_rows does) calls write() before it asks for what it has given away. Values of a table with `entries`
/// are sequences of entries, each with its length in front (a varint): append() adds one without reading. A database is
/// a cache of what checkpoints hold: it has no log of its own and is empty when it is opened. Threading: one task at a
/// time, but for database_files and database_view, which any thread may read. Ownership: owns its directory and removes
/// it in the end, when no view of it is left.
/// Errors: errc::io_failed, errc::disk_full, ... with the directory in the cause.
/// Source: Flink's EmbeddedRocksDBStateBackend.
#pragma once

#include <dataflow/record/key_groups.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

class clock;

/// What a table does with its values besides keeping them.
struct state_table_options {
  std::string name; ///< unique in the database
  /// Values are sequences of entries that append() extends.
  bool entries = false;
  /// Positive: a value (with `entries`: an entry) begins with the time of its last access, 8 bytes, little endian,
  /// milliseconds of wall time, and is dropped in the background so long after it.
  std::chrono::milliseconds time_to_live{0};
};

/// What is left at `now` (milliseconds of wall time) of a value of such a table: all of it, or what `room` has then;
/// nothing when all of it has expired.
std::optional<std::string_view> unexpired(std::string_view value, bool entries, std::chrono::milliseconds time_to_live,
                                          std::int64_t now, std::string& room);

/// The files of a database at one moment, for as long as this lives. They never change.
class database_files {
public:
  struct file {
    std::string path; ///< where it can be read
    std::string name; ///< the same name in two snapshots of one database: the same content
    std::uint64_t size = 0;
    bool shared = false; ///< of the kind that later snapshots probably contain, too
  };
  virtual ~database_files() = default;
  virtual const std::vector<file>& files() const noexcept = 0;
};

/// What a database held at one moment, while it goes on.
class database_view {
public:
  virtual ~database_view() = default;
  /// As state_database::scan().
  virtual void scan(std::uint32_t table, key_group_range groups,
                    const std::function<bool(std::string_view key, std::string_view value)>& f) const = 0;
};

class state_database {
public:
  using table = std::uint32_t;

  virtual ~state_database() = default;
  /// In a database that was opened from files, the table of that name, if there is one.
  virtual table open_table(const state_table_options& options) = 0;

  /// Whether there is a value; then `value` is it.
  virtual bool get(table t, std::string_view key, std::string& value) = 0;

  // Into the batch.
  virtual void put(table t, std::string_view key, std::string_view value) = 0;
  virtual void remove(table t, std::string_view key) = 0;
  /// REQUIRES: the table has `entries`; `added` is one or more entries with their lengths.
  virtual void append(table t, std::string_view key, std::string_view added) = 0;
  /// Bytes in the batch.
  virtual std::size_t unwritten() const noexcept = 0;
  /// Applies the batch.
  virtual void write() = 0;

  /// Calls f(key, value) for the keys of these key groups, ascending, until it returns false.
  virtual void scan(table t, key_group_range groups,
                    const std::function<bool(std::string_view key, std::string_view value)>& f) = 0;
  /// The same from `first`, a whole key, to the end of a key group.
  virtual void scan_from(table t, std::string_view first, std::uint32_t last_group,
                         const std::function<bool(std::string_view key, std::string_view value)>& f) = 0;
  /// Files that hold everything that has been written. `directory` is made by the call, on the same disk. Tables that
  /// nobody has opened are dropped: their states are gone.
  virtual std::shared_ptr<const database_files> snapshot(const std::string& directory) = 0;
  /// Everything that has been written, to be read later.
  virtual std::shared_ptr<const database_view> freeze() = 0;
  /// Drops the keys of all other key groups, of the tables that it was opened with.
  virtual void keep_only(key_group_range groups) = 0;
  /// What a cache of its contents may take.
  virtual std::size_t row_memory() const noexcept = 0;

  /// Merges all files now, which drops what has expired. For tests and simulations.
  virtual void compact() = 0;

  struct usage {
    std::uint64_t memory_bytes = 0; ///< caches and write buffers
    std::uint64_t disk_bytes = 0;
  };
  virtual usage used() const = 0;
};

/// Makes databases that share one budget of memory: one of these for each task manager.
class state_database_factory {
public:
  virtual ~state_database_factory() = default;
  /// Safe from any thread. The directory is made; what an earlier database left in it is
  /// removed. Throws error{errc::io_failed} when another process has it open. `clock`: what times to live go by.
  /// `from`: a directory on the same disk with the files of a snapshot, which it begins with; empty: with nothing.
  virtual std::unique_ptr<state_database> open(const std::string& directory, const dataflow::clock& clock,
                                               const std::string& from = {}) = 0;
};

/// Calls f(key, value) for the keys of these key groups in one table of the database whose files lie in `directory`,
/// ascending; nothing when it has no such table. Nobody may have the database open for writing.
void read_database_files(const std::string& directory, const std::string& table, key_group_range groups,
                         const std::function<void(std::string_view key, std::string_view value)>& f);

struct rocksdb_options {
  std::uint64_t memory_bytes = 64 << 20; ///< block cache and write buffers of all databases together
  std::uint64_t row_bytes = 16 << 20;    ///< rows that are kept in front of them, all databases together
  /// Share of the memory for what is not yet on the disk.
  double write_buffer_ratio = 0.5;
  /// Nothing happens in the background: compactions and flushes only when they are asked for. For simulations.
  bool deterministic = false;
};
std::shared_ptr<state_database_factory> rocksdb_databases(rocksdb_options options = {});

/// The key of a row in every table, and its key group.
std::string database_key(std::uint32_t key_group, std::string_view key);
inline std::uint32_t database_key_group(std::string_view key) noexcept {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(key[0]) << 8 | static_cast<unsigned char>(key[1]));
}

} // namespace dataflow
