#include <dataflow/state/state_database.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <cstring>

namespace dataflow {

namespace {

rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view view(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

[[noreturn]] void fail(const rocksdb::Status& status, std::string_view doing, const std::string& directory) {
  const auto cause = "cannot " + std::string{doing} + " the state database in " + directory + ": " + status.ToString();
  if (status.IsNoSpace())
    throw error{errc::disk_full, cause, "make room on that disk, or let io.tmp.dirs name another one"};
  if (status.IsCorruption())
    throw error{errc::io_failed, cause, "the local disk has damaged it: the job goes on from its last checkpoint"};
  throw error{errc::io_failed, cause, "see that the directory exists, may be written and belongs to this process"};
}

/// Appending is concatenating: entries carry their lengths.
class concatenate final : public rocksdb::AssociativeMergeOperator {
public:
  const char* Name() const override { return "dataflow.concatenate"; }
  bool Merge(const rocksdb::Slice&, const rocksdb::Slice* existing, const rocksdb::Slice& value, std::string* merged,
             rocksdb::Logger*) const override {
    merged->clear();
    if (existing) {
      merged->reserve(existing->size() + value.size());
      merged->assign(existing->data(), existing->size());
    }
    merged->append(value.data(), value.size());
    return true;
  }
};

/// Drops what has expired when files are merged.
class drop_expired final : public rocksdb::CompactionFilter {
public:
  drop_expired(const state_table_options& o, const dataflow::clock& clock)
      : life_(o.time_to_live.count()), entries_(o.entries), clock_(clock) {}
  const char* Name() const override { return "dataflow.drop_expired"; }
  Decision FilterV2(int, const rocksdb::Slice&, ValueType type, const rocksdb::Slice& value, std::string* changed,
                    std::string*) const override {
    const auto now = clock_.wall().count();
    if (!entries_) return type == ValueType::kValue && expired(view(value), now) ? Decision::kRemove : Decision::kKeep;
    // Operands of a merge are filtered, too: they are sequences of entries like the value.
    byte_reader in{view(value)};
    std::string living;
    bool any_expired = false;
    while (!in.at_end()) {
      const auto entry = in.text();
      if (expired(entry, now)) {
        any_expired = true;
        continue;
      }
      byte_writer out;
      out.text(entry);
      living += out.buffer();
    }
    if (!any_expired) return Decision::kKeep;
    if (living.empty() && type == ValueType::kValue) return Decision::kRemove;
    *changed = std::move(living);
    return Decision::kChangeValue;
  }

private:
  bool expired(std::string_view stamped, std::int64_t now) const {
    if (stamped.size() < sizeof(std::int64_t)) return false;
    std::int64_t stamp = 0;
    std::memcpy(&stamp, stamped.data(), sizeof stamp);
    return stamp <= now - life_; // as ttl::expired
  }
  const std::int64_t life_;
  const bool entries_;
  const dataflow::clock& clock_;
};

class hard_linked_files final : public database_files {
public:
  hard_linked_files(std::string directory, std::vector<file> files)
      : directory_(std::move(directory)), files_(std::move(files)) {}
  ~hard_linked_files() override {
    try {
      system_files().remove_all(directory_);
    } catch (const error&) { // a directory for temporary files: whoever cleans the disk removes it
    }
  }
  const std::vector<file>& files() const noexcept override { return files_; }

private:
  std::string directory_;
  std::vector<file> files_;
};

struct shared_memory {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
};

class rocksdb_database final : public state_database {
public:
  rocksdb_database(std::string directory, const shared_memory& memory, const rocksdb_options& options,
                   const dataflow::clock& clock)
      : directory_(std::move(directory)), clock_(clock), memory_(memory) {
    rocksdb::Options o;
    o.create_if_missing = true;
    o.error_if_exists = true;
    o.write_buffer_manager = memory.write_buffers;
    o.info_log_level = rocksdb::InfoLogLevel::HEADER_LEVEL;
    o.keep_log_file_num = 1;
    o.stats_dump_period_sec = 0;
    o.stats_persist_period_sec = 0;
    o.max_open_files = 256;
    o.avoid_flush_during_shutdown = true;
    o.avoid_unnecessary_blocking_io = !options.deterministic;
    rocksdb::BlockBasedTableOptions t;
    t.block_cache = memory.cache;
    t.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    t.cache_index_and_filter_blocks = true; // inside the budget
    t.pin_l0_filter_and_index_blocks_in_cache = true;
    t.format_version = 5;
    table_.write_buffer_size = std::max<std::size_t>(options.memory_bytes / 8, 1 << 20);
    table_.level_compaction_dynamic_level_bytes = true;
    table_.compression = rocksdb::kLZ4Compression;
    table_.disable_auto_compactions = options.deterministic;
    table_.table_factory.reset(rocksdb::NewBlockBasedTableFactory(t));
    static_cast<rocksdb::ColumnFamilyOptions&>(o) = table_;
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(o, directory_, &db);
    if (!status.ok()) fail(status, "open", directory_);
    db_.reset(db);
    writes_.disableWAL = true; // checkpoints are what survives
  }
  ~rocksdb_database() override {
    for (auto& t : tables_)
      db_->DestroyColumnFamilyHandle(t.handle);
    db_->Close();
    db_.reset();
    try {
      system_files().remove_all(directory_);
    } catch (const error&) { // as above
    }
  }

  table open_table(const state_table_options& options) override {
    auto o = table_;
    if (options.entries) o.merge_operator = std::make_shared<concatenate>();
    std::unique_ptr<drop_expired> filter;
    if (options.time_to_live.count() > 0) {
      filter = std::make_unique<drop_expired>(options, clock_);
      o.compaction_filter = filter.get();
    }
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    const auto status = db_->CreateColumnFamily(o, options.name, &handle);
    if (!status.ok()) fail(status, "add state \"" + options.name + "\" to", directory_);
    tables_.push_back({handle, std::move(filter)});
    return static_cast<table>(tables_.size() - 1);
  }

  bool get(table t, std::string_view key, std::string& value) override {
    rocksdb::PinnableSlice found(&value);
    const auto status = db_->Get(reads_, tables_[t].handle, slice(key), &found);
    if (status.IsNotFound()) return false;
    if (!status.ok()) fail(status, "read", directory_);
    if (found.IsPinned()) value.assign(found.data(), found.size());
    return true;
  }
  void put(table t, std::string_view key, std::string_view value) override {
    batch_.Put(tables_[t].handle, slice(key), slice(value));
  }
  void remove(table t, std::string_view key) override { batch_.Delete(tables_[t].handle, slice(key)); }
  void append(table t, std::string_view key, std::string_view added) override {
    batch_.Merge(tables_[t].handle, slice(key), slice(added));
  }
  std::size_t unwritten() const noexcept override { return batch_.Count() == 0 ? 0 : batch_.GetDataSize(); }
  void write() override {
    if (batch_.Count() == 0) return;
    const auto status = db_->Write(writes_, &batch_);
    batch_.Clear();
    if (!status.ok()) fail(status, "write to", directory_);
  }

  void scan(table t, key_group_range groups,
            const std::function<bool(std::string_view, std::string_view)>& f) override {
    const auto first = database_key(groups.first, {});
    std::string behind = groups.last == 0xffff ? std::string{} : database_key(groups.last + 1, {});
    const rocksdb::Slice bound{behind};
    auto o = reads_;
    if (!behind.empty()) o.iterate_upper_bound = &bound;
    const std::unique_ptr<rocksdb::Iterator> it{db_->NewIterator(o, tables_[t].handle)};
    for (it->Seek(first); it->Valid(); it->Next())
      if (!f(view(it->key()), view(it->value()))) return;
    if (!it->status().ok()) fail(it->status(), "read", directory_);
  }

  std::shared_ptr<const database_files> snapshot(const std::string& directory) override {
    write();
    rocksdb::Checkpoint* made = nullptr;
    auto status = rocksdb::Checkpoint::Create(db_.get(), &made);
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint{made};
    if (status.ok()) status = checkpoint->CreateCheckpoint(directory, 0);
    if (!status.ok()) fail(status, "take a snapshot (to " + directory + ") of", directory_);
    std::vector<database_files::file> files;
    for (auto& e : system_files().list(directory)) {
      const bool table_file = e.name.size() > 4 && e.name.compare(e.name.size() - 4, 4, ".sst") == 0;
      files.push_back({join_path(directory, e.name), e.name, e.status.size, table_file});
    }
    return std::make_shared<hard_linked_files>(directory, std::move(files));
  }

  void compact() override {
    write();
    for (auto& t : tables_) {
      rocksdb::CompactRangeOptions o;
      o.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
      auto status = db_->Flush({}, t.handle);
      if (status.ok()) status = db_->CompactRange(o, t.handle, nullptr, nullptr);
      if (!status.ok()) fail(status, "compact", directory_);
    }
  }
  usage used() const override {
    std::uint64_t disk = 0;
    for (auto& t : tables_) {
      std::uint64_t bytes = 0;
      db_->GetIntProperty(t.handle, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes);
      disk += bytes;
    }
    return {memory_.cache->GetUsage(), disk};
  }

private:
  struct opened {
    rocksdb::ColumnFamilyHandle* handle;
    std::unique_ptr<drop_expired> filter; // lives as long as the database may compact
  };
  const std::string directory_;
  const dataflow::clock& clock_;
  const shared_memory memory_;
  rocksdb::ColumnFamilyOptions table_;
  std::vector<opened> tables_;
  std::unique_ptr<rocksdb::DB> db_; // before what it borrows goes
  rocksdb::ReadOptions reads_;
  rocksdb::WriteOptions writes_;
  rocksdb::WriteBatch batch_;
};

class factory final : public state_database_factory {
public:
  explicit factory(rocksdb_options o) : options_(o) {
    if (o.memory_bytes < (1 << 20))
      throw error{errc::invalid_argument, "state databases with " + std::to_string(o.memory_bytes) + " bytes of memory",
                  "give them at least 1 MiB"};
    memory_.cache = rocksdb::NewLRUCache(o.memory_bytes);
    memory_.write_buffers = std::make_shared<rocksdb::WriteBufferManager>(
        static_cast<std::size_t>(static_cast<double>(o.memory_bytes) * o.write_buffer_ratio), memory_.cache);
  }
  std::unique_ptr<state_database> open(const std::string& directory, const dataflow::clock& clock) override {
    auto& files = system_files();
    files.create_directories(directory);
    const auto status = rocksdb::DestroyDB(directory, {}); // asks for its lock
    if (!status.ok()) fail(status, "remove what is left of", directory);
    files.create_directories(directory);
    return std::make_unique<rocksdb_database>(directory, memory_, options_, clock);
  }

private:
  rocksdb_options options_;
  shared_memory memory_;
};

} // namespace

std::shared_ptr<state_database_factory> rocksdb_databases(rocksdb_options options) {
  return std::make_shared<factory>(options);
}

std::string database_key(std::uint32_t key_group, std::string_view key) {
  std::string bytes;
  bytes.reserve(2 + key.size());
  bytes.push_back(static_cast<char>(key_group >> 8));
  bytes.push_back(static_cast<char>(key_group & 0xff));
  bytes.append(key);
  return bytes;
}

} // namespace dataflow
