#include <dataflow/state/state_change.hpp>
#include <dataflow/state/stored_rows.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>

#include <algorithm>
#include <bit>
#include <memory>
#include <new>
#include <set>

namespace dataflow::detail {

namespace {
constexpr std::size_t batch_bytes = 1 << 20;
constexpr std::size_t least_rows = 1024; // below that a cache is none
constexpr std::size_t least_counted_rows = 16;
constexpr std::size_t index_bytes = 16; // a cell of the index, which is at most half full

/// How rows of a database become canonical parts; needs neither the column nor the store.
struct part_writer {
  part_writer(const keyed_column& column, std::uint32_t t, key_group_range g)
      : table(t), groups(g), convert(column.stored_to_part()), keyed(column.parts_have_keys()),
        entries(column.has_entries()), life(column.snapshot_time_to_live()), now(column.now()) {}
  /// Source: state_database or database_view.
  template <class Source>
  void write(Source& from, state_writer& out) const {
    std::string room;
    from.scan(table, groups, [&](std::string_view key, std::string_view value) {
      if (life.count() > 0) {
        const auto left = unexpired(value, entries, life, now, room);
        if (!left) return true;
        value = *left;
      }
      auto& part = out.part_of(database_key_group(key));
      if (keyed) part.raw(key.data() + 2, key.size() - 2);
      convert(value, part);
      return true;
    });
  }

  std::uint32_t table;
  key_group_range groups;
  keyed_column::stored_writer convert;
  bool keyed, entries;
  std::chrono::milliseconds life; // 0: all of it is written
  std::int64_t now;
};

class frozen_column final : public frozen_state {
public:
  frozen_column(std::shared_ptr<const database_view> view, const part_writer& how)
      : view_(std::move(view)), how_(how) {}
  void write(state_writer& out) const override { how_.write(*view_, out); }

private:
  std::shared_ptr<const database_view> view_;
  part_writer how_;
};
} // namespace

stored_rows::stored_rows(keyed_store& store, std::unique_ptr<state_database> database, std::size_t memory_bytes)
    : store_(store), database_(std::move(database)), memory_bytes_(memory_bytes) {}

void stored_rows::add(const keyed_column& column) {
  state_table_options o;
  o.name = column.name();
  o.entries = column.has_entries();
  o.time_to_live = column.background_time_to_live();
  tables_.push_back(database_->open_table(o));
  counts_ = counts_ || column.is_counted();
}

std::size_t stored_rows::rows_in_memory_limit() const noexcept {
  const auto row = static_cast<double>(store_.layout_->stride + index_bytes) + content_bytes_;
  const auto bytes = memory_bytes_ > 0 ? memory_bytes_ : database_->row_memory();
  return std::max(least_rows, static_cast<std::size_t>(static_cast<double>(bytes) / row));
}

bool stored_rows::has_room(bool with_some_left) const noexcept {
  auto limit = rows_in_memory_limit();
  if (!counts_) return with_some_left ? store_.size_ <= limit - limit / 16 : store_.size_ < limit;
  if (store_.size_ <= least_counted_rows) return true;
  limit = memory_bytes_ > 0 ? memory_bytes_ : database_->row_memory();
  limit = std::max(limit, 4 * store_.segments_.size() * sizeof(row_segment)); // many key groups, and little memory
  return segment_bytes_ + store_.index_.size() * sizeof store_.index_[0] + counted_content_ <=
         limit - (with_some_left ? limit / 16 : 0);
}

void stored_rows::count_segment(std::size_t number) noexcept {
  auto& counted = marks_of(static_cast<std::uint32_t>(number * row_segment::rows)).bytes;
  const auto now = store_.segments_[number]->bytes() + sizeof store_.segments_[number];
  segment_bytes_ += now - counted;
  counted = now;
}

std::size_t stored_rows::counted_content_of(const std::byte* row) const noexcept {
  std::size_t bytes = 0;
  for (auto* c : store_.columns_)
    if (row_segment::mark(row) & c->bit_) bytes += c->content_bytes(row + c->offset_);
  return bytes;
}

std::string_view stored_rows::key_of(const row_segment& segment, const std::byte* row) {
  key_.clear();
  const auto group = segment.key_group;
  const char bytes[2] = {static_cast<char>(group >> 8), static_cast<char>(group & 0xff)};
  key_.raw(bytes, sizeof bytes);
  store_.encode_key(row + segment.layout().key_offset, key_);
  return key_.buffer();
}

void stored_rows::load() {
  make_room();
  if (appended_) { // perhaps to this row
    database_->write();
    appended_ = false;
  }
  store_.make_row();
  const auto& segment = *store_.segment_of(store_.position_);
  auto* const row = store_.row_;
  touch(store_.position_);
  const auto key = key_of(segment, row);
  std::size_t content = 0;
  for (auto* c : store_.columns_) {
    if (!database_->get(tables_[c->index_], key, read_)) continue;
    byte_reader in{read_};
    auto* const cell = row + c->offset_;
    if (c->stamped()) row_segment::stamp(cell) = in.fixed<std::int64_t>();
    c->decode_stored(cell, in);
    c->confirm(cell);
    content += read_.size();
  }
  content_bytes_ += (static_cast<double>(content) - content_bytes_) / 256;
  if (!counts_) return;
  counted_content_ += counted_content_of(row);
  count_segment(store_.position_ / row_segment::rows);
}

void stored_rows::write_back(const row_segment& segment, const std::byte* row) {
  const auto key = key_of(segment, row);
  std::size_t content = 0;
  for (auto* c : store_.columns_) {
    const auto table = tables_[c->index_];
    if (!(row_segment::mark(row) & c->bit_)) {
      database_->remove(table, key);
      continue;
    }
    value_.clear();
    const auto* const cell = row + c->offset_;
    if (c->stamped()) value_.fixed(row_segment::stamp(cell));
    c->encode_stored(cell, value_);
    database_->put(table, key, value_.buffer());
    content += value_.size();
  }
  content_bytes_ += (static_cast<double>(content) - content_bytes_) / 256;
  write_batch_if_large();
}

void stored_rows::write_batch_if_large() {
  if (database_->unwritten() >= batch_bytes) database_->write();
}

void stored_rows::make_room() {
  if (has_room(false)) return;
  store_.candidates_good_ = false;
  while (!has_room(true)) {
    if (hand_ >= store_.segments_.size()) hand_ = 0;
    const auto number = hand_++;
    auto& segment = *store_.segments_[number];
    auto& marks = marks_of(static_cast<std::uint32_t>(number * row_segment::rows));
    const bool was_full = segment.used == ~std::uint64_t{0};
    for (auto out = segment.used & ~marks.touched; out != 0; out &= out - 1) {
      const auto i = static_cast<unsigned>(std::countr_zero(out));
      const auto position = static_cast<std::uint32_t>(number * row_segment::rows + i);
      if (marks.changed & bit_of(position)) write_back(segment, segment.row(i));
      marks.changed &= ~bit_of(position);
      store_.index_erase(store_.hash_of(store_.key_at(position)), position);
      if (counts_) counted_content_ -= counted_content_of(segment.row(i));
      segment.destroy_row(i);
      --store_.size_;
    }
    marks.touched = 0;
    if (counts_ && segment.used == 0 && segment.capacity() > row_segment::least_capacity) {
      store_.replace(static_cast<std::uint32_t>(number), row_segment::least_capacity);
      count_segment(number);
    }
    if (was_full && store_.segments_[number]->used != ~std::uint64_t{0})
      store_.groups_[store_.segments_[number]->key_group - store_.states_->key_groups().first].with_room.push_back(
          static_cast<std::uint32_t>(number));
  }
  database_->write(); // before anybody asks for them
}

void stored_rows::append(const keyed_column& column, std::string_view entry) {
  key_.clear();
  const auto group = store_.current_key_group();
  const char bytes[2] = {static_cast<char>(group >> 8), static_cast<char>(group & 0xff)};
  key_.raw(bytes, sizeof bytes);
  store_.encode_current_key(key_);
  value_.clear();
  value_.text(entry);
  database_->append(tables_[column.index_], key_.buffer(), value_.buffer());
  appended_ = true;
  write_batch_if_large();
}

void stored_rows::flush() {
  for (std::size_t s = 0; s < marks_.size(); ++s) {
    for (auto changed = std::exchange(marks_[s].changed, 0); changed != 0; changed &= changed - 1)
      write_back(*store_.segments_[s], store_.segments_[s]->row(static_cast<unsigned>(std::countr_zero(changed))));
  }
  database_->write();
}

void stored_rows::rewrite(keyed_column& column, const state_change& change) {
  const auto to_part = column.stored_to_part();
  const auto type = column.type();
  const auto table = tables_[column.index_];
  const auto free = [&](std::byte* p) { ::operator delete (p, std::align_val_t{type.alignment}); };
  const std::unique_ptr<std::byte, decltype(free)> room{
      static_cast<std::byte*>(::operator new (type.size, std::align_val_t{type.alignment})), free};
  std::uint64_t values = 0;
  byte_writer bytes;
  // A scan sees what was there when it began, whatever is written meanwhile.
  database_->scan(table, store_.states_->key_groups(), [&](std::string_view key, std::string_view value) {
    bytes.clear();
    const auto of_key = column.parts_have_keys() ? key.size() - 2 : 0;
    if (of_key > 0) bytes.raw(key.data() + 2, of_key);
    to_part(value, bytes);
    const auto part = change.convert({database_key_group(key), bytes.take()});
    byte_reader in{part.bytes};
    in.raw(of_key);
    value_.clear();
    if (column.stamped()) value_.fixed(in.fixed<std::int64_t>());
    column.decode(room.get(), in);
    const auto destroy = [&](std::byte* cell) {
      if (!type.trivial) type.destroy(cell);
    };
    const std::unique_ptr<std::byte, decltype(destroy)> cell{room.get(), destroy};
    column.encode_stored(cell.get(), value_);
    database_->put(table, key, value_.buffer());
    write_batch_if_large();
    ++values;
    return true;
  });
  database_->write();
  log_info({"state"}, "state \"" + column.name() + "\" was stored with another record type: " + std::to_string(values) +
                          " values were rewritten");
}

void stored_rows::clear(const keyed_column& column) {
  const auto table = tables_[column.index_];
  database_->scan(table, store_.states_->key_groups(), [&](std::string_view key, std::string_view) {
    database_->remove(table, key);
    write_batch_if_large();
    return true;
  });
  database_->write();
}

void stored_rows::snapshot(const keyed_column& column, state_writer& out) {
  flush();
  part_writer{column, tables_[column.index_], store_.states_->key_groups()}.write(*database_, out);
}

std::shared_ptr<const frozen_state> stored_rows::frozen(const keyed_column& column,
                                                        std::shared_ptr<const database_view> view) const {
  return std::make_shared<frozen_column>(std::move(view),
                                         part_writer{column, tables_[column.index_], store_.states_->key_groups()});
}

void stored_rows::for_each_key(const std::function<void(byte_reader& key)>& f) {
  flush();
  const auto groups = store_.states_->key_groups();
  for (auto group = groups.first; group <= groups.last; ++group) {
    std::set<std::string, std::less<>> keys; // of one group: f may write while we walk
    for (auto table : tables_)
      database_->scan(table, {group, group}, [&](std::string_view key, std::string_view) {
        keys.emplace(key.substr(2));
        return true;
      });
    for (auto& key : keys) {
      byte_reader in{key};
      f(in);
    }
    // What f made belongs to keys that were there: it needs no second look.
  }
}

} // namespace dataflow::detail
