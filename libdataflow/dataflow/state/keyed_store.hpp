/// A keyed store: all keyed states of one operator in one subtask, a row per key.
///
/// An index finds the row of a key once per record; every state of the operator is a column of that row. Rows lie in
/// segments of one key group each (row_segment.hpp); a snapshot reads them while the task goes on (held_rows.hpp), and
/// knows how many of them have changed. A row goes when its last value is cleared. Walking visits key groups in
/// ascending order and rows by their positions: no hash decides an order that anybody sees.
/// Threading: the task's own, but for keyed_snapshot. Ownership: owns keys and values; borrows its columns.
/// Errors: errc::no_current_key when a state is used while no key is set.
/// Source: Flink's HeapKeyedStateBackend and CopyOnWriteStateMap.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/held_rows.hpp>
#include <dataflow/state/row_changes.hpp>
#include <dataflow/state/row_segment.hpp>
#include <dataflow/util/huge_pages.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

class clock;
class database_view;
class keyed_store;
class state_database;
namespace detail {
struct row_writer;
class stored_rows;
} // namespace detail

/// One state of a keyed store. Implemented by the typed states (keyed_states.hpp).
class keyed_column : public declared_state {
public:
  explicit keyed_column(std::string name) : name_(std::move(name)) {}
  keyed_column(const keyed_column&) = delete;
  ~keyed_column() override = default;
  const std::string& name() const noexcept { return name_; }

  /// The current key's value, or null. Throws error{errc::no_current_key}.
  inline std::byte* find();
  /// The same, to be written to.
  inline std::byte* find_to_write();
  /// The same where that takes nothing but a look; null also when it takes more.
  inline std::byte* find_writable() const noexcept;
  /// Memory for the current key's value: the value that is there, or where one is to be constructed, then confirm().
  inline std::byte* make(bool& there);
  void confirm(std::byte* cell) noexcept;
  /// Destroys the current key's value, if there is one.
  void clear();
  std::int64_t now() const noexcept;
  keyed_store& store() noexcept { return *store_; }

  // declared_state
  state_info info() const override;
  void snapshot(state_writer& out) const override;
  std::shared_ptr<const frozen_state> freeze() const override;
  void restore(const state_part& part) override;

  // The typed part.
  virtual detail::cell_type type() const = 0;
  virtual bool stamped() const = 0; ///< keeps the time of the last access in front of each value
  virtual std::string value_schema() const = 0;
  /// Writes a value, also when this column is gone.
  using cell_writer = std::function<void(const std::byte* cell, byte_writer& out)>;
  virtual cell_writer writer() const = 0;
  /// Of states whose snapshots have nothing that has expired at `now`: the same without that, and whether all of a
  /// value has; else empty.
  virtual cell_writer writer_of_living(std::int64_t /*now*/) const { return {}; }
  virtual std::function<bool(const std::byte* cell)> has_gone(std::int64_t /*now*/) const { return {}; }
  virtual std::chrono::milliseconds snapshot_time_to_live() const { return std::chrono::milliseconds{0}; }
  virtual void encode(const std::byte* cell, byte_writer& out) const = 0;
  virtual void decode(std::byte* cell, byte_reader& in) = 0; ///< constructs
  // In a database: as above, or as entries with their lengths, to which append() adds one.
  virtual bool has_entries() const { return false; }
  virtual void encode_stored(const std::byte* cell, byte_writer& out) const { encode(cell, out); }
  virtual void decode_stored(std::byte* cell, byte_reader& in) { decode(cell, in); }
  /// What is stored, as a part of a snapshot has it behind the key.
  using stored_writer = void (*)(std::string_view stored, byte_writer& part);
  virtual stored_writer stored_to_part() const {
    return [](std::string_view stored, byte_writer& part) { part.raw(stored.data(), stored.size()); };
  }
  /// Of values whose memory outside of their rows is counted, instead of estimated by what is written of them: how much
  /// it is. Whoever changes such a value says so with keyed_store::account().
  virtual bool is_counted() const { return false; }
  virtual std::size_t content_bytes(const std::byte* /*cell*/) const { return 0; }
  /// Whether a part of a snapshot has the key in front of each value; else restore() finds it in the value.
  virtual bool parts_have_keys() const { return true; }
  virtual std::chrono::milliseconds background_time_to_live() const { return std::chrono::milliseconds{0}; }
  /// Adds an entry without reading the others, where that is possible; else false.
  bool append_unread(std::string_view entry);
  /// Of states with a time to live that are cleaned up in the background: how much of a value has expired.
  enum class expiry : std::uint8_t { none, part, all };
  virtual bool expires() const { return false; }
  virtual expiry expiry_of(const std::byte* /*cell*/, std::int64_t /*now*/) const { return expiry::none; }
  /// Of expiry::part.
  virtual void remove_expired(std::byte* /*cell*/, std::int64_t /*now*/) {}

private:
  friend class keyed_store;
  friend class keyed_snapshot;
  friend class detail::stored_rows;
  [[noreturn]] void fail_no_key() const;
  detail::row_writer row_writer() const;

  const std::string name_;

protected:
  keyed_store* store_ = nullptr;

private:
  unsigned index_ = 0;
  std::size_t offset_ = 0;
  std::uint64_t bit_ = 0;
};

namespace detail {
/// How one column of a segment's rows is written; needs neither the column nor the store.
struct row_writer {
  unsigned index;
  bool stamped, keyed;
  void (*key)(const std::byte* key, byte_writer& out);
  keyed_column::cell_writer cell;
  std::function<bool(const std::byte* cell)> gone; // empty: nothing goes
  void write(const rows_then& rows, state_writer& out) const;
  /// The same in entries; with `removes` also of keys that have no value.
  void write_entries(const rows_then& rows, bool removes, state_writer& out, byte_writer& scratch) const;
};
} // namespace detail

/// The rows of a store at one moment. May be written out and destroyed on any thread, also when the store is gone.
class keyed_snapshot {
public:
  keyed_snapshot() = default;
  keyed_snapshot(keyed_snapshot&&) = default;
  keyed_snapshot& operator=(keyed_snapshot&&) = delete;
  ~keyed_snapshot() {
    if (rows_) rows_->give_up();
  }
  std::size_t segments() const noexcept { return rows_ ? rows_->segments() : 0; }
  /// Segments that had changed since the snapshot before.
  std::size_t changed() const noexcept { return changed_; }
  /// The keyed parts of one state, group by group.
  void write(const keyed_column& column, state_writer& out) const;

private:
  friend class keyed_store;
  std::shared_ptr<detail::held_rows> rows_; // the store's, too
  std::size_t changed_ = 0;
};

class keyed_store {
public:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  keyed_store(const keyed_store&) = delete;
  virtual ~keyed_store();

  /// Before the first key. The clock is the one that states with a time to live go by.
  void open(state_registry& states, const dataflow::clock& clock);
  /// Adds states. What an earlier run stored for them is taken in at once.
  void add(const std::vector<keyed_column*>& columns);
  void add(keyed_column& column) { add(std::vector<keyed_column*>{&column}); }
  bool has_columns() const noexcept { return !columns_.empty(); }

  bool has_key() const noexcept { return has_key_; }
  /// No key is current any more.
  void clear_key() {
    leave();
    has_key_ = false;
    row_ = nullptr;
    writable_ = false;
  }
  /// Keys with at least one value; with a database, the rows in memory.
  std::size_t size() const noexcept { return size_; }
  /// Null: all rows are in memory.
  detail::stored_rows* stored() const noexcept { return stored_.get(); }
  /// Bytes that rows and index take, without what values hold elsewhere.
  std::size_t memory_bytes() const noexcept;

  template <class F>
  void for_each_column(F&& f) const {
    for (const keyed_column* c : columns_)
      f(*c);
  }
  /// Clears all states of the current key.
  void clear_values() {
    for (auto* c : columns_)
      c->clear();
  }
  /// All rows as they are now. With the number of a checkpoint, and when checkpoints are incremental, it holds what it
  /// has to write; else all rows are marked as unchanged. REQUIRES: no database.
  keyed_snapshot freeze(std::optional<std::int64_t> checkpoint = {});
  void checkpoint_completed(std::int64_t checkpoint) { changes_.completed(checkpoint); }
  void checkpoint_aborted(std::int64_t checkpoint) { changes_.aborted(checkpoint); }
  /// Snapshots in progress may then hold no more than state_place::snapshot_bytes each. `wake` may be called by any
  /// thread.
  void set_wake_up(std::function<void()> wake) { wake_ = std::move(wake); }
  /// Whether they do hold more: then the task should change nothing until it is woken.
  bool must_wait() { return !live_.empty() && holds_too_much(); }
  /// Bytes that snapshots in progress hold.
  std::size_t held_bytes() const noexcept;
  /// Until end_freeze(), the columns' freeze() gives what the store holds now. When it is `incremental`: with a
  /// database, gives the files that hold all of it, and the columns give nothing; without one, gives null, and the
  /// columns may leave out what is stored already. Else null.
  std::shared_ptr<const database_files> begin_freeze(bool incremental, std::optional<std::int64_t> checkpoint);
  void end_freeze() noexcept;
  /// Looks at up to `rows` rows, from where the last call stopped, and removes what has expired.
  void clean_up(std::size_t rows);
  bool has_expiring_columns() const noexcept { return expiring_; }

  // Of counted columns, with a database.

  /// The current row's value has become larger, or smaller.
  void account(std::ptrdiff_t bytes) noexcept;
  /// Rows are written back until those in memory take no more than they may. REQUIRES: no key is current.
  void make_room_for_growth();
  /// What rows, index and counted values take.
  std::size_t counted_bytes() const noexcept;

  // Tables of the operator's own, in the same database as the rows.

  /// The database. From now on snapshots hold it also when there are no columns. REQUIRES: stored().
  state_database& share_database() noexcept;
  /// What the operator's parts have of a row of its table.
  using table_writer = void (*)(std::string_view key, std::string_view value, byte_writer& part);
  /// For freeze() of a declared state: null when nothing is being frozen.
  std::shared_ptr<const frozen_state> freeze_table(std::uint32_t table, table_writer convert) const;
  /// For snapshot() of a declared state.
  void write_table(std::uint32_t table, table_writer convert, state_writer& out) const;
  /// Calls f(key, value) for what files that are restored have in the table of the state of that name, and the database
  /// has not.
  void read_restored(const std::string& table, const std::function<void(std::string_view, std::string_view)>& f) const;

  // Batched look-ups: look_ahead.hpp.

  /// True: rows have gone since candidates were given, which must be looked for again.
  bool make_room(std::size_t) noexcept { return !std::exchange(candidates_good_, true); }
  void prefetch_home(std::uint64_t hash) const noexcept { __builtin_prefetch(&index_[tag_of(hash) & mask_]); }
  /// Where the row of a hash probably is, or none; starts loading it.
  [[gnu::always_inline]] std::uint32_t candidate(std::uint64_t hash) const noexcept {
    const auto tag = tag_of(hash);
    const auto home = tag & mask_;
    const auto first = index_[home], second = index_[(home + 1) & mask_];
    auto position = second.tag == tag ? second.position_plus_one : 0;
    position = first.tag == tag ? first.position_plus_one : position;
    if (position != 0) __builtin_prefetch(row_at(position - 1));
    return position - 1;
  }

  const state_registry& states() const { return *states_; }
  virtual std::string key_schema() const = 0;
  virtual void encode_key(const std::byte* key, byte_writer& out) const = 0;
  /// encode_key(), for who outlives the store.
  using key_writer = void (*)(const std::byte* key, byte_writer& out);
  virtual key_writer writer_of_keys() const = 0;
  /// Throws error{errc::no_current_key}; `what` names who asks.
  [[noreturn]] static void fail_no_key(const std::string& what);

protected:
  explicit keyed_store(detail::cell_type key);

  /// The current key as encode_key() writes it, and its key group.
  virtual void encode_current_key(byte_writer& out) const = 0;
  virtual std::uint32_t current_key_group() const = 0;
  /// Reads a key and makes it the current one. REQUIRES: what is restored belongs to this subtask.
  virtual void enter_stored_key(byte_reader& in) = 0;
  /// A position for the current key, its key constructed.
  virtual std::uint32_t insert_current_key() = 0;
  /// The hash of a key in a row.
  virtual std::uint64_t hash_of(const std::byte* key) const = 0;

  struct cell {
    std::uint32_t tag = 0;               // low half of the hash: grows without asking keys
    std::uint32_t position_plus_one = 0; // 0: empty
  };
  static std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }
  std::byte* row_at(std::uint32_t position) const noexcept {
    return segments_[position / detail::row_segment::rows]->row(position % detail::row_segment::rows, stride_);
  }
  const std::byte* key_at(std::uint32_t position) const noexcept { return row_at(position) + key_offset_; }
  /// Makes the row at `position` the current one; none: the key has no row yet.
  void enter(std::uint64_t hash, std::uint32_t position) noexcept {
    enter(hash, position, position == none ? nullptr : row_at(position));
  }
  void enter(std::uint64_t hash, std::uint32_t position, std::byte* row) noexcept {
    hash_ = hash;
    position_ = position;
    row_ = row;
    has_key_ = true;
    // Before the first snapshot all segments count as changed; with a database no row has this version.
    writable_ = row_ != nullptr && (!frozen_ || detail::row_segment::version(row_) == version_);
    if (frozen_ && stored_ && row_) touch_stored();
  }
  void touch_stored() noexcept;
  /// Of the row that was current, before another key becomes it.
  void leave() {
    if (emptied_) [[unlikely]]
      drop_empty_row();
  }
  /// Room for a row; the key is to be constructed there, then occupy() called.
  std::uint32_t allocate(std::uint32_t key_group);
  void occupy(std::uint32_t position);
  void index_insert(std::uint64_t hash, std::uint32_t position);

  huge_vector<cell> index_; // a power of two, at most half full
  std::size_t mask_;
  std::uint64_t hash_ = 0; // of the current key
  std::size_t key_offset_;
  std::size_t stride_; // of the rows of all segments
  std::size_t size_ = 0;
  /// No row has gone since make_room(): candidates still hold keys.
  bool candidates_good_ = false;

  /// Makes each key that has something stored the current one, calls f(), and no key current in the end.
  void for_each_stored_key(detail::stored_rows& rows, const std::function<void()>& f);
  /// Positions of all rows, by key group.
  std::vector<std::uint32_t> positions() const;

private:
  friend class keyed_column;
  friend class keyed_snapshot;
  friend class detail::stored_rows;
  std::byte* find_stored(keyed_column& column);
  void read_databases(keyed_column& column, const state_change& change);
  std::shared_ptr<const frozen_state> freeze_column(const keyed_column& column) const;
  struct group {
    std::vector<std::uint32_t> segments;  // indices of segments_
    std::vector<std::uint32_t> with_room; // of these, those with a free row
    std::size_t rows = 0;
  };
  void make_writable();
  /// Before a row comes or goes. The segment may be another one then.
  void protect(std::uint32_t segment, unsigned row) {
    if (!live_.empty()) save(segment, row, false);
  }
  /// `content`: the row stays, and only what is in it changes.
  void save(std::uint32_t segment, unsigned row, bool content);
  void note_removed();
  bool holds_too_much();
  void make_row();
  void drop_empty_row();
  void index_erase(std::uint64_t hash, std::uint32_t position) noexcept;
  void grow_index();
  detail::row_segment*& segment_of(std::uint32_t position) noexcept {
    return segments_[position / detail::row_segment::rows];
  }
  void replace(std::uint32_t segment, unsigned capacity);

  std::byte* row_ = nullptr; // of the current key
  std::uint32_t position_ = none;
  bool has_key_ = false;
  bool writable_ = false;     // snapshots do not need the current row any more, and its segment is marked as changed
  std::uint32_t version_ = 1; // of the state: one more with each snapshot. Rows that have it are marked and put aside
  bool emptied_ = false;      // the current row may have lost its last value
  bool expiring_ = false;
  bool frozen_ = false; // a snapshot has been taken, or rows are stored: each has to be marked when it changes
  std::vector<detail::row_segment*> segments_;
  std::shared_ptr<detail::segment_directory> directory_; // the same, for snapshots
  std::vector<std::shared_ptr<detail::held_rows>> live_; // snapshots in progress
  detail::row_changes changes_;
  std::function<void()> wake_;
  std::vector<group> groups_; // of the subtask's key groups
  std::shared_ptr<const detail::row_layout> layout_;
  std::vector<keyed_column*> columns_;
  std::size_t clean_at_ = 0; // position that clean_up looks at next
  state_registry* states_ = nullptr;
  const dataflow::clock* clock_ = nullptr;
  std::unique_ptr<detail::stored_rows> stored_;
  bool from_files_ = false;                     // the database began with files of a snapshot
  std::string stored_directory_;                // beginning of the names of directories for snapshots
  std::vector<const stored_database*> to_read_; // of a restore
  unsigned snapshots_ = 0;                      // directories of files that were made
  // Between begin_freeze() and end_freeze().
  std::shared_ptr<const keyed_snapshot> rows_now_;
  std::shared_ptr<const database_view> stored_now_;
  bool in_files_now_ = false;
  bool has_tables_ = false; // besides those of columns
};

inline std::byte* keyed_column::find() {
  if (!store_->has_key_) [[unlikely]]
    fail_no_key();
  auto* row = store_->row_;
  if (row) return detail::row_segment::mark(row) & bit_ ? row + offset_ : nullptr;
  return store_->stored_ ? store_->find_stored(*this) : nullptr;
}
inline std::byte* keyed_column::find_to_write() {
  if (!find()) return nullptr;
  if (!store_->writable_) store_->make_writable();
  return store_->row_ + offset_;
}
inline std::byte* keyed_column::find_writable() const noexcept {
  // A row that may be written to is there, and so is the key.
  return store_->writable_ && (detail::row_segment::mark(store_->row_) & bit_) ? store_->row_ + offset_ : nullptr;
}
inline std::byte* keyed_column::make(bool& there) {
  there = find() != nullptr;
  if (!store_->writable_) [[unlikely]] {
    if (!store_->row_) store_->make_row();
    store_->make_writable();
    if (!there) store_->emptied_ = true; // until confirm(), and if constructing the value throws
  }
  return store_->row_ + offset_;
}
inline void keyed_column::confirm(std::byte* cell) noexcept { detail::row_segment::mark(cell - offset_) |= bit_; }

} // namespace dataflow
