/// Rows of a keyed store that are not in memory: the store keeps those that were used last, a database has the others.
///
/// A row in memory is complete: what it does not have, its key has not. It is read as a whole when its key is asked for
/// the first time and written back, if it has changed, when it has to make room for others or a snapshot is taken.
/// Threading: the task's own. Ownership: belongs to the keyed store; owns the database.
/// Source: Flink's RocksDBKeyedStateBackend, with a write-back cache in front.
#pragma once

#include <dataflow/state/keyed_store.hpp>
#include <dataflow/state/state_database.hpp>

namespace dataflow::detail {

class stored_rows {
public:
  /// `memory_bytes`: what the rows in memory may take, roughly; 0: what the database says.
  stored_rows(keyed_store& store, std::unique_ptr<state_database> database, std::size_t memory_bytes);

  void add(const keyed_column& column);
  /// Makes the current key's row in memory, with all that is stored of it. REQUIRES: it has none.
  void load();
  /// Room for one row more: writes rows back that were not used lately. REQUIRES: no row is current.
  void make_room();
  /// The row was used, respectively changed.
  void touch(std::uint32_t position) { marks_of(position).touched |= bit_of(position); }
  void change(std::uint32_t position) { marks_of(position).changed |= bit_of(position); }
  /// Adds an entry to a state of entries of the current key without reading it. REQUIRES: its row is not in memory.
  void append(const keyed_column& column, std::string_view entry);
  /// Writes all rows that have changed.
  void flush();
  /// The values of a state whose record type has changed since they were stored: each is read and written once.
  /// REQUIRES: no row is in memory. Errors: corrupt_state.
  void rewrite(keyed_column& column, const state_change& change);
  /// Removes all that the files have of a state. REQUIRES: no row is in memory.
  void clear(const keyed_column& column);
  /// One state as canonical parts, group by group.
  void snapshot(const keyed_column& column, state_writer& out);
  /// The same of what the database held when `view` was made; needs neither the column nor this.
  std::shared_ptr<const frozen_state> frozen(const keyed_column& column,
                                             std::shared_ptr<const database_view> view) const;
  /// Calls f(encoded key) for each key that has something stored, group by group. f may change and clear its states.
  void for_each_key(const std::function<void(byte_reader& key)>& f);
  std::size_t rows_in_memory_limit() const noexcept;
  /// Of counted columns.
  void account(std::ptrdiff_t bytes) noexcept { counted_content_ += static_cast<std::size_t>(bytes); }
  std::size_t counted_content() const noexcept { return counted_content_; }
  state_database& database() noexcept { return *database_; }

private:
  struct marks { // of one segment's rows
    std::uint64_t touched = 0, changed = 0;
    std::size_t bytes = 0; // of the segment, in segment_bytes_
  };
  static std::uint64_t bit_of(std::uint32_t position) noexcept {
    return std::uint64_t{1} << (position % row_segment::rows);
  }
  marks& marks_of(std::uint32_t position) {
    const auto segment = position / row_segment::rows;
    if (segment >= marks_.size()) marks_.resize(segment + 1);
    return marks_[segment];
  }
  std::string_view key_of(const row_segment& segment, const std::byte* row);
  bool has_room(bool with_some_left) const noexcept;
  void count_segment(std::size_t number) noexcept;
  std::size_t counted_content_of(const std::byte* row) const noexcept;
  void write_back(const row_segment& segment, const std::byte* row);
  void write_batch_if_large();

  keyed_store& store_;
  std::unique_ptr<state_database> database_;
  const std::size_t memory_bytes_;
  std::vector<state_database::table> tables_; // by column
  std::vector<marks> marks_;
  bool appended_ = false;           // the batch holds entries of rows that are not in memory
  std::size_t hand_ = 0;            // the segment that make_room() looks at next
  double content_bytes_ = 0;        // of a row, outside of it; a moving average of what was read and written
  bool counts_ = false;             // a column is counted
  std::size_t counted_content_ = 0; // of the rows in memory, outside of them
  std::size_t segment_bytes_ = 0;
  byte_writer key_, value_; // reused
  std::string read_;
};

} // namespace dataflow::detail
