#include <dataflow/state/frozen_table.hpp>
#include <dataflow/state/keyed_store.hpp>
#include <dataflow/state/state_change.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/state/stored_rows.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <bit>

namespace dataflow {

using detail::row_segment;

namespace {
constexpr std::size_t most_columns = 32;
} // namespace

std::int64_t keyed_column::now() const noexcept { return store_->clock_->wall().count(); }

void keyed_column::clear() {
  auto* at = find_to_write();
  if (!at) return;
  auto type = this->type();
  if (!type.trivial) type.destroy(at);
  row_segment::mark(store_->row_) &= ~bit_;
  if (row_segment::is_empty(store_->row_)) store_->emptied_ = true;
}

state_info keyed_column::info() const {
  return {name_, state_kind::keyed, store_->key_schema() + " -> " + value_schema()};
}

void keyed_column::fail_no_key() const { keyed_store::fail_no_key("state \"" + name_ + "\""); }

namespace {

/// One column of a snapshot.
class frozen_rows final : public frozen_state {
public:
  frozen_rows(std::shared_ptr<const keyed_snapshot> snapshot, std::shared_ptr<detail::held_rows> rows,
              detail::row_writer how)
      : snapshot_(std::move(snapshot)), rows_(std::move(rows)), how_(std::move(how)) {
    rows_->add_reader();
    if (rows_->increment()) increment_.emplace(rows_->increment(), how_.index);
  }
  void write(state_writer& out) const override { rows_->read(false, writing(out)); }
  void write_last(state_writer& out) const override { rows_->read_for_the_last_time(writing(out)); }
  const state_increment* increment() const override { return increment_ ? &*increment_ : nullptr; }

private:
  std::function<void(const detail::rows_then&)> writing(state_writer& out) const {
    if (!increment_) return [&](const detail::rows_then& r) { how_.write(r, out); };
    // `group`: whose part has been begun. `removes`: keys may be stored that have to go.
    return [&, group = std::int64_t{-1}, removes = false, scratch = byte_writer{}](const detail::rows_then& r) mutable {
      const auto& what = increment_->store();
      const auto of = r.segment->key_group;
      const auto form = what.form_of(of);
      if (std::exchange(group, of) != of) {
        removes = form == detail::group_form::changes && increment_->has_earlier(of);
        const auto& gone = what.removed[of - what.groups.first];
        if (removes && !gone.empty()) out.part_of(of).raw(gone.data(), gone.size());
      }
      if (form != detail::group_form::nothing) how_.write_entries(r, removes, out, scratch);
    };
  }
  std::shared_ptr<const keyed_snapshot> snapshot_; // gives the rows up with the last column
  std::shared_ptr<detail::held_rows> rows_;
  detail::row_writer how_;
  std::optional<state_increment> increment_;
};

/// What stands in the files of a database.
class in_files final : public frozen_state {
public:
  void write(state_writer&) const override {}
};

} // namespace

/// One segment's share of its key group's part.
void detail::row_writer::write(const rows_then& rows, state_writer& out) const {
  const auto& layout = rows.segment->layout();
  if (index >= layout.cells.size()) return; // declared after the segment was held
  const auto offset = layout.cells[index].offset;
  const auto bit = std::uint64_t{1} << index;
  for (auto used = rows.used; used != 0; used &= used - 1) {
    const auto* row = rows.row(static_cast<unsigned>(std::countr_zero(used)));
    if (!(row_segment::mark(row) & bit) || (gone && gone(row + offset))) continue;
    auto& part = out.part_of(rows.segment->key_group);
    if (keyed) key(row + layout.key_offset, part);
    if (stamped) part.fixed(row_segment::stamp(row + offset));
    cell(row + offset, part);
  }
}

void detail::row_writer::write_entries(const rows_then& rows, bool removes, state_writer& out,
                                       byte_writer& scratch) const {
  const auto& layout = rows.segment->layout();
  if (index >= layout.cells.size()) return;
  const auto offset = layout.cells[index].offset;
  const auto bit = std::uint64_t{1} << index;
  for (auto used = rows.used & rows.needed; used != 0; used &= used - 1) {
    const auto* row = rows.row(static_cast<unsigned>(std::countr_zero(used)));
    const bool there = (row_segment::mark(row) & bit) && !(gone && gone(row + offset));
    if (!there && !removes) continue;
    auto& part = out.part_of(rows.segment->key_group);
    scratch.clear();
    key(row + layout.key_offset, scratch);
    part.text(scratch.buffer());
    if (!there) {
      part.varint(0);
      continue;
    }
    scratch.clear();
    if (stamped) scratch.fixed(row_segment::stamp(row + offset));
    cell(row + offset, scratch);
    part.varint(scratch.size() + 1);
    part.raw(scratch.buffer().data(), scratch.size());
  }
}

detail::row_writer keyed_column::row_writer() const {
  const auto living = writer_of_living(now());
  return {index_, stamped(), parts_have_keys(), store_->writer_of_keys(), living ? living : writer(), has_gone(now())};
}

void keyed_column::snapshot(state_writer& out) const {
  if (store_->stored_) return store_->stored_->snapshot(*this, out);
  const auto how = row_writer();
  for (auto& group : store_->groups_)
    for (auto s : group.segments) {
      detail::rows_then now;
      now.segment = store_->segments_[s];
      now.used = now.segment->used;
      how.write(now, out);
    }
}

std::shared_ptr<const frozen_state> keyed_column::freeze() const { return store_->freeze_column(*this); }

std::shared_ptr<const frozen_state> keyed_store::freeze_column(const keyed_column& column) const {
  if (in_files_now_) return std::make_shared<in_files>();
  if (stored_now_) return stored_->frozen(column, stored_now_);
  if (rows_now_) return std::make_shared<frozen_rows>(rows_now_, rows_now_->rows_, column.row_writer());
  return nullptr;
}

std::shared_ptr<const database_files> keyed_store::begin_freeze(bool incremental,
                                                                std::optional<std::int64_t> checkpoint) {
  leave();
  if (!has_columns() && !has_tables_) return nullptr;
  if (!stored_) {
    rows_now_ = std::make_shared<const keyed_snapshot>(freeze(incremental ? checkpoint : std::nullopt));
    return nullptr;
  }
  stored_->flush();
  in_files_now_ = incremental;
  if (incremental) return stored_->database().snapshot(stored_directory_ + "-" + std::to_string(++snapshots_));
  stored_now_ = stored_->database().freeze();
  return nullptr;
}

void keyed_store::account(std::ptrdiff_t bytes) noexcept {
  if (stored_) stored_->account(bytes);
}
void keyed_store::make_room_for_growth() {
  if (stored_) stored_->make_room();
}
std::size_t keyed_store::counted_bytes() const noexcept {
  return memory_bytes() + (stored_ ? stored_->counted_content() : 0);
}

state_database& keyed_store::share_database() noexcept {
  has_tables_ = true;
  return stored_->database();
}

std::shared_ptr<const frozen_state> keyed_store::freeze_table(std::uint32_t table, table_writer convert) const {
  if (in_files_now_) return std::make_shared<in_files>();
  if (!stored_now_) return nullptr;
  return std::make_shared<detail::frozen_table>(stored_now_, table, states_->key_groups(), convert);
}

void keyed_store::write_table(std::uint32_t table, table_writer convert, state_writer& out) const {
  auto& database = stored_->database();
  database.write();
  detail::write_table(database, table, states_->key_groups(), convert, out);
}

void keyed_store::read_restored(const std::string& table,
                                const std::function<void(std::string_view, std::string_view)>& f) const {
  if (!states_->is_stored(table)) return;
  for (const auto* from : to_read_)
    read_database_files(from->directory, table, from->groups, f);
}

void keyed_store::end_freeze() noexcept {
  rows_now_.reset();
  stored_now_.reset();
  in_files_now_ = false;
}

void keyed_column::restore(const state_part& part) {
  byte_reader in{part.bytes};
  while (!in.at_end()) {
    store_->enter_stored_key(in);
    bool there = false;
    auto* at = make(there);
    if (there)
      throw error{errc::malformed_record, "state \"" + name_ + "\" was stored with two values for one key",
                  "the stored state is damaged: restore from another snapshot"};
    if (stamped()) row_segment::stamp(at) = in.fixed<std::int64_t>();
    decode(at, in);
    confirm(at);
  }
  store_->clear_key();
}

void keyed_snapshot::write(const keyed_column& column, state_writer& out) const {
  if (rows_) rows_->read(false, [&, how = column.row_writer()](const detail::rows_then& r) { how.write(r, out); });
}

keyed_store::keyed_store(detail::cell_type key)
    : index_(64), mask_(63), directory_(std::make_shared<detail::segment_directory>()),
      layout_(std::make_shared<const detail::row_layout>(key)) {
  key_offset_ = layout_->key_offset;
  stride_ = layout_->stride;
}

keyed_store::~keyed_store() = default;

void keyed_store::open(state_registry& states, const dataflow::clock& clock) {
  states_ = &states;
  clock_ = &clock;
  groups_.resize(states.key_groups().size());
  changes_.open(states.key_groups());
  auto opened = states.add_store(*this, clock);
  to_read_ = std::move(opened.restored);
  from_files_ = opened.from_files;
  if (!opened.database) return;
  const auto& place = states.place();
  stored_directory_ = place.directory + "/snapshot-" + opened.name;
  stored_ = std::make_unique<detail::stored_rows>(*this, std::move(opened.database), place.memory_bytes);
  frozen_ = true;
}

bool keyed_column::append_unread(std::string_view entry) {
  if (!store_->stored_ || !store_->has_key_ || store_->row_) return false;
  store_->stored_->append(*this, entry);
  return true;
}

void keyed_store::touch_stored() noexcept { stored_->touch(position_); }

std::byte* keyed_store::find_stored(keyed_column& column) {
  stored_->load();
  return row_segment::mark(row_) & column.bit_ ? row_ + column.offset_ : nullptr;
}

void keyed_store::add(const std::vector<keyed_column*>& columns) {
  if (columns.empty()) return;
  if (columns_.size() + columns.size() > most_columns)
    throw error{errc::invalid_argument, "an operator with more than " + std::to_string(most_columns) + " keyed states",
                "put what belongs together into one state of a struct"};
  auto layout = *layout_;
  for (auto* c : columns) {
    layout = layout.with(c->type(), c->stamped());
    c->store_ = this;
    c->index_ = static_cast<unsigned>(columns_.size());
    c->bit_ = std::uint64_t{1} << c->index_;
    columns_.push_back(c);
    expiring_ = expiring_ || (c->expires() && !stored_); // a database drops them when it merges its files
    if (stored_) stored_->add(*c);
  }
  layout_ = std::make_shared<const detail::row_layout>(std::move(layout));
  for (std::size_t i = 0; i < columns_.size(); ++i)
    columns_[i]->offset_ = layout_->cells[i].offset;
  for (std::uint32_t s = 0; s < segments_.size(); ++s)
    replace(s, segments_[s]->capacity());
  stride_ = layout_->stride;
  if (has_key_) { // declared while a record is processed
    row_ = position_ == none ? nullptr : row_at(position_);
    writable_ = false;
  }
  if (has_key_ && states_->is_restored())
    throw error{errc::invalid_argument, "state \"" + columns[0]->name() + "\" is declared while a record is processed",
                "declare states in open() or as members: what was stored must be known before the first record"};
  std::vector<state_change> changes;
  for (auto* c : columns)
    changes.push_back(states_->change_of(c->info()));
  // Declaring a state may make rows, and a row is read from all tables: they have to be right before.
  for (std::size_t i = 0; from_files_ && i < columns.size(); ++i) {
    if (!states_->is_stored(columns[i]->name()))
      stored_->clear(*columns[i]);
    else if (!changes[i].is_none())
      stored_->rewrite(*columns[i], changes[i]);
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    states_->declare(*columns[i]);
    if (states_->is_stored(columns[i]->name())) read_databases(*columns[i], changes[i]);
  }
}

/// Takes in what files of databases hold of a state.
void keyed_store::read_databases(keyed_column& column, const state_change& change) {
  constexpr std::size_t enough = 64 * 1024;
  const auto convert = column.stored_to_part();
  for (const auto* from : to_read_) {
    state_part part;
    byte_writer bytes;
    const auto take = [&] {
      if (bytes.size() == 0) return;
      part.bytes = bytes.take();
      bytes.clear();
      column.restore(change.is_none() ? part : change.convert(part));
    };
    read_database_files(from->directory, column.name(), from->groups,
                        [&](std::string_view key, std::string_view value) {
                          const auto group = database_key_group(key);
                          if (group != part.key_group || bytes.size() >= enough) take();
                          part.key_group = group;
                          if (column.parts_have_keys()) bytes.raw(key.data() + 2, key.size() - 2);
                          convert(value, bytes);
                        });
    take();
  }
}

std::uint32_t keyed_store::allocate(std::uint32_t key_group) {
  auto& group = groups_[key_group - states_->key_groups().first];
  if (group.with_room.empty()) {
    group.segments.push_back(static_cast<std::uint32_t>(segments_.size()));
    group.with_room.push_back(group.segments.back());
    segments_.push_back(row_segment::make(layout_, key_group, row_segment::least_capacity));
    directory_->add(segments_.back());
    changes_.add_segment();
  }
  const auto s = group.with_room.back();
  auto* segment = segments_[s];
  const auto free = static_cast<unsigned>(std::countr_one(segment->used));
  if (free >= segment->capacity())
    replace(s, std::min(row_segment::rows, segment->capacity() * 2));
  else
    protect(s, free);
  row_segment::mark(segments_[s]->row(free)) = 0;
  return s * row_segment::rows + free;
}

void keyed_store::occupy(std::uint32_t position) {
  auto& segment = *segment_of(position);
  segment.used |= std::uint64_t{1} << (position % row_segment::rows);
  changes_.mark(position / row_segment::rows, position % row_segment::rows);
  auto& group = groups_[segment.key_group - states_->key_groups().first];
  ++group.rows;
  if (segment.used == ~std::uint64_t{0}) group.with_room.pop_back();
}

void keyed_store::replace(std::uint32_t segment, unsigned capacity) {
  auto*& s = segments_[segment];
  for (auto& snapshot : live_)
    snapshot->prepare_to_leave();
  auto* const copy = s->clone(capacity, layout_);
  for (auto& snapshot : live_)
    snapshot->leave(segment, *s);
  directory_->replace(segment, copy);
  s->release();
  s = copy;
}

void keyed_store::save(std::uint32_t segment, unsigned row, bool content) {
  for (std::size_t i = 0; i < live_.size();) {
    if (live_[i]->memory().over()) {
      live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(i));
    } else if ((content && !live_[i]->needs(segment, row)) || live_[i]->save(segment, row, *segments_[segment])) {
      ++i;
    } else {
      return replace(segment, segments_[segment]->capacity()); // for all of them
    }
  }
}

bool keyed_store::holds_too_much() {
  const auto most = states_->place().snapshot_bytes;
  return wake_ && std::any_of(live_.begin(), live_.end(),
                              [&](auto& snapshot) { return snapshot->memory().is_more_than(most, wake_); });
}

std::size_t keyed_store::held_bytes() const noexcept {
  std::size_t bytes = 0;
  for (auto& snapshot : live_)
    bytes += snapshot->memory().bytes();
  return bytes;
}

void keyed_store::make_row() {
  position_ = insert_current_key();
  row_ = row_at(position_);
}

void keyed_store::make_writable() {
  const auto segment = position_ / row_segment::rows;
  if (!live_.empty()) {
    save(segment, position_ % row_segment::rows, true);
    row_ = row_at(position_);
  }
  changes_.mark(segment, position_ % row_segment::rows);
  writable_ = true;
  if (stored_)
    stored_->change(position_);
  else
    row_segment::set_version(row_, version_);
}

void keyed_store::drop_empty_row() {
  emptied_ = false;
  if (!row_ || !row_segment::is_empty(row_) || stored_) return; // what is stored of it is still to be removed
  candidates_good_ = false;
  make_writable();
  protect(position_ / row_segment::rows, position_ % row_segment::rows);
  row_ = row_at(position_);
  auto* segment = segment_of(position_);
  auto& group = groups_[segment->key_group - states_->key_groups().first];
  --group.rows;
  if (changes_.has_begun()) note_removed();
  if (segment->used == ~std::uint64_t{0}) group.with_room.push_back(position_ / row_segment::rows);
  index_erase(hash_, position_);
  segment->destroy_row(position_ % row_segment::rows);
  --size_;
  row_ = nullptr;
  position_ = none;
  writable_ = false;
}

void keyed_store::note_removed() {
  byte_writer key, entry;
  writer_of_keys()(key_at(position_), key);
  entry.text(key.buffer());
  entry.varint(0);
  const auto group = segment_of(position_)->key_group;
  changes_.remove(group, entry.buffer(), groups_[group - states_->key_groups().first].rows);
}

void keyed_store::index_insert(std::uint64_t hash, std::uint32_t position) {
  if ((size_ + 1) * 2 > mask_ + 1) grow_index();
  auto i = tag_of(hash) & mask_;
  while (index_[i].position_plus_one != 0)
    i = (i + 1) & mask_;
  index_[i] = {tag_of(hash), position + 1};
  ++size_;
}

void keyed_store::index_erase(std::uint64_t hash, std::uint32_t position) noexcept {
  auto hole = tag_of(hash) & mask_;
  while (index_[hole].position_plus_one != position + 1)
    hole = (hole + 1) & mask_;
  // What follows moves up, unless it would move in front of its home.
  for (auto i = (hole + 1) & mask_; index_[i].position_plus_one != 0; i = (i + 1) & mask_) {
    const auto home = index_[i].tag & mask_;
    if (((i - home) & mask_) < ((i - hole) & mask_)) continue;
    index_[hole] = index_[i];
    hole = i;
  }
  index_[hole] = {};
}

void keyed_store::grow_index() {
  const auto mask = (mask_ + 1) * 2 - 1;
  huge_vector<cell> fresh(mask + 1);
  for (auto& c : index_) {
    if (c.position_plus_one == 0) continue;
    auto i = c.tag & mask;
    while (fresh[i].position_plus_one != 0)
      i = (i + 1) & mask;
    fresh[i] = c;
  }
  index_.swap(fresh);
  mask_ = mask;
}

std::vector<std::uint32_t> keyed_store::positions() const {
  std::vector<std::uint32_t> all;
  all.reserve(size_);
  for (auto& group : groups_)
    for (auto s : group.segments)
      for (auto used = segments_[s]->used; used != 0; used &= used - 1)
        all.push_back(s * row_segment::rows + static_cast<std::uint32_t>(std::countr_zero(used)));
  return all;
}

void keyed_store::for_each_stored_key(detail::stored_rows& rows, const std::function<void()>& f) {
  rows.for_each_key([&](byte_reader& key) {
    enter_stored_key(key);
    f();
  });
  clear_key();
}

keyed_snapshot keyed_store::freeze(std::optional<std::int64_t> checkpoint) {
  leave();
  std::erase_if(live_, [](auto& other) { return other->memory().over(); });
  keyed_snapshot snapshot;
  snapshot.changed_ = frozen_ ? changes_.changed_segments() : segments_.size();
  std::shared_ptr<const detail::store_increment> increment;
  // Entries have keys.
  if (checkpoint && std::all_of(columns_.begin(), columns_.end(), [](auto* c) { return c->parts_have_keys(); }))
    increment = changes_.begin(*checkpoint, [&](std::uint32_t key_group) {
      auto& group = groups_[key_group - states_->key_groups().first];
      return detail::row_changes::group_rows{group.segments, group.rows};
    });
  else if (!states_->place().incremental)
    changes_.forget();
  snapshot.rows_ =
      std::make_shared<detail::held_rows>(directory_, layout_, states_->key_groups(), std::move(increment));
  live_.push_back(snapshot.rows_);
  ++version_;
  frozen_ = true;
  writable_ = false;
  return snapshot;
}

void keyed_store::clean_up(std::size_t rows) {
  if (!expiring_ || segments_.empty()) return;
  const auto now = clock_->wall().count();
  clear_key();
  for (; rows > 0; --rows, ++clean_at_) {
    if (clean_at_ / row_segment::rows >= segments_.size()) clean_at_ = 0;
    const auto& segment = *segments_[clean_at_ / row_segment::rows];
    const auto left = segment.used >> (clean_at_ % row_segment::rows);
    if (left == 0) { // the last of this segment: the next one, in the next step
      clean_at_ |= row_segment::rows - 1;
      continue;
    }
    clean_at_ += static_cast<unsigned>(std::countr_zero(left));
    const auto position = static_cast<std::uint32_t>(clean_at_);
    enter(0, position);
    for (auto* c : columns_)
      if (c->expires())
        if (auto* at = c->find()) switch (c->expiry_of(at, now)) {
          case keyed_column::expiry::none:
            break;
          case keyed_column::expiry::part:
            c->remove_expired(c->find_to_write(), now);
            break;
          case keyed_column::expiry::all:
            hash_ = hash_of(key_at(position));
            c->clear();
          }
    clear_key();
  }
}

std::size_t keyed_store::memory_bytes() const noexcept {
  auto bytes = index_.size() * sizeof(cell);
  for (auto* s : segments_)
    bytes += s->bytes() + sizeof s;
  return bytes;
}

void keyed_store::fail_no_key(const std::string& what) {
  throw error{errc::no_current_key, what + " is used where there is no key",
              "use keyed state and timers only while a record or a timer of a keyed stream is handled: key_by first, "
              "and not in open(), close() or on a stream without keys"};
}

} // namespace dataflow
