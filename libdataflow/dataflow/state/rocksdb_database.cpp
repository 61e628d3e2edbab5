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
#include <atomic>
#include <cstring>
#include <map>
#include <optional>

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
  drop_expired(std::int64_t life, bool entries, const dataflow::clock& clock)
      : life_(life), entries_(entries), clock_(clock) {}
  const char* Name() const override { return "dataflow.drop_expired"; }
  Decision FilterV2(int, const rocksdb::Slice&, ValueType type, const rocksdb::Slice& value, std::string* changed,
                    std::string*) const override {
    if (!entries_ && type != ValueType::kValue) return Decision::kKeep;
    // Operands of a merge are filtered, too: they are sequences of entries like the value.
    const auto left =
        unexpired(view(value), entries_, std::chrono::milliseconds{life_}, clock_.wall().count(), *changed);
    if (left && left->data() == value.data()) return Decision::kKeep;
    if (!left && type == ValueType::kValue) return Decision::kRemove;
    if (!left) changed->clear();
    return Decision::kChangeValue;
  }

private:
  const std::int64_t life_;
  const bool entries_;
  const dataflow::clock& clock_;
};

/// Makes filters once the table's time to live is known: a database that is opened from files may merge them before.
class drop_expired_factory final : public rocksdb::CompactionFilterFactory {
public:
  explicit drop_expired_factory(const dataflow::clock& clock) : clock_(clock) {}
  const char* Name() const override { return "dataflow.drop_expired"; }
  void use(const state_table_options& o) noexcept {
    entries_.store(o.entries, std::memory_order_relaxed);
    life_.store(o.time_to_live.count(), std::memory_order_release);
  }
  std::unique_ptr<rocksdb::CompactionFilter>
  CreateCompactionFilter(const rocksdb::CompactionFilter::Context&) override {
    const auto life = life_.load(std::memory_order_acquire);
    if (life <= 0) return nullptr;
    return std::make_unique<drop_expired>(life, entries_.load(std::memory_order_relaxed), clock_);
  }

private:
  const dataflow::clock& clock_;
  std::atomic<std::int64_t> life_{0};
  std::atomic<bool> entries_{false};
};

void remove_quietly(const std::string& directory) noexcept {
  try {
    system_files().remove_all(directory);
  } catch (const error&) { // a directory for temporary files: whoever cleans the disk removes it
  }
}

class hard_linked_files final : public database_files {
public:
  hard_linked_files(std::string directory, std::vector<file> files)
      : directory_(std::move(directory)), files_(std::move(files)) {}
  ~hard_linked_files() override { remove_quietly(directory_); }
  const std::vector<file>& files() const noexcept override { return files_; }

private:
  std::string directory_;
  std::vector<file> files_;
};

struct shared_memory {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
  std::uint64_t row_bytes = 0;
  std::atomic<std::uint32_t> databases{0}; // that are open
};

rocksdb::BlockBasedTableOptions table_format(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions t;
  t.block_cache = cache;
  t.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  t.cache_index_and_filter_blocks = true; // inside the budget
  t.pin_l0_filter_and_index_blocks_in_cache = true;
  // In pieces: the filter of a large file would not fit into a small cache, and be read again for every key.
  t.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  t.partition_filters = true;
  t.format_version = 5;
  return t;
}

void scan_table(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* table, rocksdb::ReadOptions reads,
                const std::string& directory, std::string_view first, std::uint32_t last_group,
                const std::function<bool(std::string_view, std::string_view)>& f) {
  const std::string behind = last_group == 0xffff ? std::string{} : database_key(last_group + 1, {});
  const rocksdb::Slice bound{behind};
  if (!behind.empty()) reads.iterate_upper_bound = &bound;
  const std::unique_ptr<rocksdb::Iterator> it{db.NewIterator(reads, table)};
  for (it->Seek(slice(first)); it->Valid(); it->Next())
    if (!f(view(it->key()), view(it->value()))) return;
  if (!it->status().ok()) fail(it->status(), "read", directory);
}
void scan_table(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* table, const rocksdb::ReadOptions& reads,
                const std::string& directory, key_group_range groups,
                const std::function<bool(std::string_view, std::string_view)>& f) {
  scan_table(db, table, reads, directory, database_key(groups.first, {}), groups.last, f);
}

/// An open database and its directory, until the last who reads it has gone.
struct open_database {
  open_database(std::string d, std::shared_ptr<shared_memory> m) : directory(std::move(d)), memory(std::move(m)) {
    memory->databases.fetch_add(1, std::memory_order_relaxed);
  }
  open_database(const open_database&) = delete;
  ~open_database() {
    for (auto* t : handles)
      db->DestroyColumnFamilyHandle(t);
    if (db) db->Close();
    db.reset();
    if (memory) memory->databases.fetch_sub(1, std::memory_order_relaxed);
    if (!directory.empty()) remove_quietly(directory);
  }

  std::string directory;
  std::shared_ptr<shared_memory> memory;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles; // of all tables; the task's alone until the end
};

class view_of_database final : public database_view {
public:
  view_of_database(std::shared_ptr<open_database> in, std::vector<rocksdb::ColumnFamilyHandle*> tables)
      : in_(std::move(in)), tables_(std::move(tables)), at_(in_->db->GetSnapshot()) {}
  ~view_of_database() override { in_->db->ReleaseSnapshot(at_); }
  void scan(std::uint32_t t, key_group_range groups,
            const std::function<bool(std::string_view, std::string_view)>& f) const override {
    rocksdb::ReadOptions o;
    o.snapshot = at_;
    o.fill_cache = false; // what is read once must not push out what the task needs
    scan_table(*in_->db, tables_.at(t), o, in_->directory, groups, f);
  }

private:
  std::shared_ptr<open_database> in_;
  std::vector<rocksdb::ColumnFamilyHandle*> tables_;
  const rocksdb::Snapshot* at_;
};

class rocksdb_database final : public state_database {
public:
  /// Its directory holds the files that it begins with, or none.
  rocksdb_database(const std::string& directory, const std::shared_ptr<shared_memory>& memory,
                   const rocksdb_options& options, const dataflow::clock& clock, bool from_files)
      : clock_(clock), memory_(*memory), opened_(std::make_shared<open_database>(directory, memory)) {
    rocksdb::DBOptions o;
    o.create_if_missing = !from_files;
    o.error_if_exists = !from_files;
    o.write_buffer_manager = memory->write_buffers;
    o.info_log_level = rocksdb::InfoLogLevel::HEADER_LEVEL;
    o.keep_log_file_num = 1;
    o.stats_dump_period_sec = 0;
    o.stats_persist_period_sec = 0;
    o.max_open_files = 256;
    o.avoid_flush_during_shutdown = true;
    o.avoid_unnecessary_blocking_io = !options.deterministic;
    table_.write_buffer_size = std::max<std::size_t>(options.memory_bytes / 8, 1 << 20);
    table_.level_compaction_dynamic_level_bytes = true;
    table_.memtable_prefix_bloom_size_ratio = 0.1; // most of what is asked for has not been written lately
    table_.memtable_whole_key_filtering = true;
    table_.compression = rocksdb::kLZ4Compression;
    table_.disable_auto_compactions = options.deterministic;
    table_.merge_operator = std::make_shared<concatenate>();
    table_.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_format(memory->cache)));
    std::vector<std::string> names{rocksdb::kDefaultColumnFamilyName};
    if (from_files) {
      const auto status = rocksdb::DB::ListColumnFamilies(o, directory, &names);
      if (!status.ok()) fail(status, "open", directory);
    }
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    std::vector<std::shared_ptr<drop_expired_factory>> filters;
    for (auto& name : names) {
      filters.push_back(std::make_shared<drop_expired_factory>(clock_));
      families.emplace_back(name, table_options(filters.back()));
    }
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(o, directory, families, &opened_->handles, &db);
    if (!status.ok()) {
      opened_->directory.clear(); // it may be somebody else's
      fail(status, "open", directory);
    }
    opened_->db.reset(db);
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] != rocksdb::kDefaultColumnFamilyName) known_[names[i]] = {opened_->handles[i], filters[i]};
    writes_.disableWAL = true; // checkpoints are what survives
  }

  table open_table(const state_table_options& options) override {
    auto found = known_.find(options.name);
    if (found == known_.end()) {
      known t{nullptr, std::make_shared<drop_expired_factory>(clock_)};
      const auto status = db().CreateColumnFamily(table_options(t.filter), options.name, &t.handle);
      if (!status.ok()) fail(status, "add state \"" + options.name + "\" to", directory());
      opened_->handles.push_back(t.handle);
      found = known_.emplace(options.name, std::move(t)).first;
    }
    if (options.time_to_live.count() > 0) found->second.filter->use(options);
    tables_.push_back(found->second.handle);
    return static_cast<table>(tables_.size() - 1);
  }

  bool get(table t, std::string_view key, std::string& value) override {
    rocksdb::PinnableSlice found(&value);
    const auto status = db().Get(reads_, tables_[t], slice(key), &found);
    if (status.IsNotFound()) return false;
    if (!status.ok()) fail(status, "read", directory());
    if (found.IsPinned()) value.assign(found.data(), found.size());
    return true;
  }
  void put(table t, std::string_view key, std::string_view value) override {
    batch_.Put(tables_[t], slice(key), slice(value));
  }
  void remove(table t, std::string_view key) override { batch_.Delete(tables_[t], slice(key)); }
  void append(table t, std::string_view key, std::string_view added) override {
    batch_.Merge(tables_[t], slice(key), slice(added));
  }
  std::size_t unwritten() const noexcept override { return batch_.Count() == 0 ? 0 : batch_.GetDataSize(); }
  void write() override {
    if (batch_.Count() == 0) return;
    const auto status = db().Write(writes_, &batch_);
    batch_.Clear();
    if (!status.ok()) fail(status, "write to", directory());
  }

  void scan(table t, key_group_range groups,
            const std::function<bool(std::string_view, std::string_view)>& f) override {
    scan_table(db(), tables_[t], reads_, directory(), groups, f);
  }
  void scan_from(table t, std::string_view first, std::uint32_t last_group,
                 const std::function<bool(std::string_view, std::string_view)>& f) override {
    scan_table(db(), tables_[t], reads_, directory(), first, last_group, f);
  }

  std::shared_ptr<const database_files> snapshot(const std::string& to) override {
    write();
    drop_unopened();
    rocksdb::Checkpoint* made = nullptr;
    auto status = rocksdb::Checkpoint::Create(&db(), &made);
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint{made};
    if (status.ok()) status = checkpoint->CreateCheckpoint(to, 0);
    if (!status.ok()) fail(status, "take a snapshot (to " + to + ") of", directory());
    std::vector<database_files::file> files;
    for (auto& e : system_files().list(to)) {
      const bool table_file = e.name.size() > 4 && e.name.compare(e.name.size() - 4, 4, ".sst") == 0;
      files.push_back({join_path(to, e.name), e.name, e.status.size, table_file});
    }
    return std::make_shared<hard_linked_files>(to, std::move(files));
  }

  std::shared_ptr<const database_view> freeze() override {
    write();
    return std::make_shared<view_of_database>(opened_, tables_);
  }

  void keep_only(key_group_range groups) override {
    const auto begin = database_key(groups.first, {}), end = database_key(groups.last + 1, {});
    const std::string last(16, '\xff');
    for (auto& [name, t] : known_) {
      const std::unique_ptr<rocksdb::Iterator> it{db().NewIterator(reads_, t.handle)};
      rocksdb::Status status;
      it->SeekToFirst(); // mostly nothing is to be done, and deleting ranges makes reading slower
      if (it->Valid() && view(it->key()) < begin) status = db().DeleteRange(writes_, t.handle, slice({}), slice(begin));
      if (status.ok() && groups.last < 0xffff) {
        it->Seek(slice(end));
        if (it->Valid()) status = db().DeleteRange(writes_, t.handle, slice(end), slice(last));
      }
      if (status.ok()) status = it->status();
      if (!status.ok()) fail(status, "write to", directory());
    }
  }

  void compact() override {
    write();
    for (auto* t : tables_) {
      rocksdb::CompactRangeOptions o;
      o.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
      auto status = db().Flush({}, t);
      if (status.ok()) status = db().CompactRange(o, t, nullptr, nullptr);
      if (!status.ok()) fail(status, "compact", directory());
    }
  }
  usage used() const override {
    std::uint64_t disk = 0;
    for (auto* t : tables_) {
      std::uint64_t bytes = 0;
      opened_->db->GetIntProperty(t, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes);
      disk += bytes;
    }
    return {memory_.cache->GetUsage(), disk};
  }
  std::size_t row_memory() const noexcept override {
    const auto sharing = std::max<std::uint32_t>(memory_.databases.load(std::memory_order_relaxed), 1);
    return static_cast<std::size_t>(memory_.row_bytes / sharing);
  }

private:
  struct known {
    rocksdb::ColumnFamilyHandle* handle;
    std::shared_ptr<drop_expired_factory> filter;
  };
  rocksdb::DB& db() noexcept { return *opened_->db; }
  /// Tables of states that the job has no more: a snapshot does not name them, so that they must not come back with it.
  void drop_unopened() {
    std::erase_if(known_, [&](auto& k) {
      auto* const handle = k.second.handle;
      if (std::find(tables_.begin(), tables_.end(), handle) != tables_.end()) return false;
      const auto status = db().DropColumnFamily(handle);
      if (!status.ok()) fail(status, "remove state \"" + k.first + "\" from", directory());
      return true;
    });
  }
  const std::string& directory() const noexcept { return opened_->directory; }
  rocksdb::ColumnFamilyOptions table_options(const std::shared_ptr<drop_expired_factory>& filter) const {
    auto o = table_;
    o.compaction_filter_factory = filter;
    return o;
  }

  const dataflow::clock& clock_;
  const shared_memory& memory_; // opened_ has it
  std::shared_ptr<open_database> opened_;
  rocksdb::ColumnFamilyOptions table_;
  std::map<std::string, known> known_;
  std::vector<rocksdb::ColumnFamilyHandle*> tables_;
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
    int shard_bits = 0; // each shard must have room for the largest blocks
    while (shard_bits < 6 && (o.memory_bytes >> (shard_bits + 1)) >= (8 << 20))
      ++shard_bits;
    memory_->cache = rocksdb::NewLRUCache(o.memory_bytes, shard_bits);
    memory_->write_buffers = std::make_shared<rocksdb::WriteBufferManager>(
        static_cast<std::size_t>(static_cast<double>(o.memory_bytes) * o.write_buffer_ratio), memory_->cache);
    memory_->row_bytes = o.row_bytes;
  }
  std::unique_ptr<state_database> open(const std::string& directory, const dataflow::clock& clock,
                                       const std::string& from) override {
    auto& files = system_files();
    files.create_directories(directory);
    const auto status = rocksdb::DestroyDB(directory, {}); // asks for its lock
    if (!status.ok()) fail(status, "remove what is left of", directory);
    files.create_directories(directory);
    if (!from.empty())
      for (auto& e : files.list(from))
        if (!files.link(join_path(from, e.name), join_path(directory, e.name)))
          throw error{errc::io_failed, "'" + join_path(directory, e.name) + "' is there already",
                      "remove the directory, or let io.tmp.dirs name another one"};
    return std::make_unique<rocksdb_database>(directory, memory_, options_, clock, !from.empty());
  }

private:
  rocksdb_options options_;
  std::shared_ptr<shared_memory> memory_ = std::make_shared<shared_memory>();
};

} // namespace

std::shared_ptr<state_database_factory> rocksdb_databases(rocksdb_options options) {
  return std::make_shared<factory>(options);
}

void read_database_files(const std::string& directory, const std::string& table, key_group_range groups,
                         const std::function<void(std::string_view, std::string_view)>& f) {
  rocksdb::DBOptions o;
  o.max_open_files = 256;
  o.info_log_level = rocksdb::InfoLogLevel::HEADER_LEVEL;
  std::vector<std::string> names;
  auto status = rocksdb::DB::ListColumnFamilies(o, directory, &names);
  if (!status.ok()) fail(status, "open", directory);
  if (std::find(names.begin(), names.end(), table) == names.end()) return;
  rocksdb::ColumnFamilyOptions family;
  family.merge_operator = std::make_shared<concatenate>();
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_format(rocksdb::NewLRUCache(4 << 20))));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  status = rocksdb::DB::OpenForReadOnly(o, directory, {{rocksdb::kDefaultColumnFamilyName, family}, {table, family}},
                                        &handles, &db);
  if (!status.ok()) fail(status, "open", directory);
  const std::unique_ptr<rocksdb::DB> owned{db};
  struct closing {
    rocksdb::DB& db;
    std::vector<rocksdb::ColumnFamilyHandle*>& handles;
    ~closing() {
      for (auto* h : handles)
        db.DestroyColumnFamilyHandle(h);
    }
  } closing{*db, handles};
  rocksdb::ReadOptions reads;
  reads.fill_cache = false;
  scan_table(*db, handles[1], reads, directory, groups, [&](std::string_view key, std::string_view value) {
    f(key, value);
    return true;
  });
}

std::optional<std::string_view> unexpired(std::string_view value, bool entries, std::chrono::milliseconds time_to_live,
                                          std::int64_t now, std::string& room) {
  const auto expired = [&](std::string_view stamped) {
    if (stamped.size() < sizeof(std::int64_t)) return false;
    std::int64_t stamp = 0;
    std::memcpy(&stamp, stamped.data(), sizeof stamp);
    return stamp <= now - time_to_live.count(); // as ttl::expired
  };
  if (!entries) return expired(value) ? std::nullopt : std::optional{value};
  byte_writer living;
  bool any_expired = false;
  for (byte_reader in{value}; !in.at_end();) {
    const auto entry = in.text();
    if (expired(entry))
      any_expired = true;
    else
      living.text(entry);
  }
  if (!any_expired) return value;
  if (living.size() == 0) return std::nullopt;
  room = living.take();
  return room;
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
