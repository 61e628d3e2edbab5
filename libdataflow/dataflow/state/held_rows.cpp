#include <dataflow/state/held_rows.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <thread>
#include <utility>

namespace dataflow::detail {

segment_directory::~segment_directory() {
  for (std::size_t i = 0; i < size_; ++i)
    at(i).load(std::memory_order_acquire)->release();
}

void segment_directory::add(row_segment* s) {
  if (size_ == blocks_.size() * block_size) blocks_.push_back(std::make_unique<block>());
  blocks_.back()->key_groups[size_ % block_size] = s->key_group;
  at(size_).store(s, std::memory_order_release);
  ++size_;
}

/// In front of a row's bytes.
struct held_rows::copied_row {
  copied_row* next;
  unsigned number;
  static std::size_t offset(const row_layout& layout) noexcept {
    return std::max<std::size_t>(sizeof(copied_row), layout.alignment);
  }
  std::byte* row(const row_layout& layout) noexcept { return reinterpret_cast<std::byte*>(this) + offset(layout); }
};

held_rows::held_rows(std::shared_ptr<segment_directory> segments, std::shared_ptr<const row_layout> layout,
                     key_group_range groups, std::shared_ptr<const store_increment> increment)
    : directory_(std::move(segments)), layout_(std::move(layout)), size_(directory_->size_),
      increment_(std::move(increment)), slots_(size_), saved_(size_),
      shelves_(groups, std::max<std::size_t>(bits + 1, layout_->alignment), memory_) {
  blocks_.reserve(directory_->blocks_.size());
  for (auto& b : directory_->blocks_)
    blocks_.push_back(b.get());
}

// ---- the task's side

held_rows::copied_row* held_rows::copy_of(const std::byte* row, unsigned i, copied_row* next, std::uint32_t key_group) {
  auto* copy = ::new (shelves_.take(key_group, copied_row::offset(*layout_) + layout_->stride)) copied_row{next, i};
  copy_row(*layout_, row, *layout_, copy->row(*layout_));
  return copy;
}

bool held_rows::save_first(std::size_t segment, unsigned row, const row_segment& now) {
  auto slot = at(segment);
  auto v = slot.load(std::memory_order_acquire);
  do {
    if (v & (done | left)) { // what is in the directory is of no interest
      saved_[segment] = ~std::uint64_t{0};
      return true;
    }
    if (v & being_read) return false;
  } while (!slot.compare_exchange_weak(v, v | being_saved, std::memory_order_acquire));
  const auto key_group = key_group_of(segment);
  try {
    auto* k = pointer<kept>(v);
    if (!k) {
      k = ::new (shelves_.take(key_group, sizeof *k)) kept{now.used};
      v = reinterpret_cast<detail::held_rows::slot>(k);
    }
    if (k->used >> row & 1) k->rows = copy_of(now.row(row), row, k->rows, key_group);
  } catch (...) {
    slot.store(v, std::memory_order_release);
    throw;
  }
  slot.store(v, std::memory_order_release);
  saved_[segment] |= std::uint64_t{1} << row;
  return true;
}

void held_rows::prepare_to_leave() {
  if (!next_left_) next_left_ = std::make_unique<left_segment>();
}

void held_rows::leave(std::size_t segment, row_segment& old) noexcept {
  if (segment >= size_) return;
  saved_[segment] = ~std::uint64_t{0};
  auto slot = at(segment);
  auto v = slot.load(std::memory_order_acquire);
  if (v & (done | left)) return;
  old.hold();
  const auto bytes = sizeof(left_segment) + old.bytes();
  memory_.add(bytes);
  next_left_->segment = &old;
  const auto what = reinterpret_cast<detail::held_rows::slot>(next_left_.get());
  do {
    if (v & done) { // it has just been given up
      memory_.remove(bytes);
      return old.release();
    }
    next_left_->changed = pointer<kept>(v);
  } while (!slot.compare_exchange_weak(v, what | left | (v & being_read), std::memory_order_acq_rel,
                                       std::memory_order_acquire));
  next_left_.release();
}

// ---- the reader's side

rows_then held_rows::begin_reading(std::size_t segment) {
  auto slot = at(segment);
  auto v = slot.load(std::memory_order_acquire);
  for (;;) {
    if (v & being_saved) { // for as long as it takes to copy a row
      std::this_thread::yield();
      v = slot.load(std::memory_order_acquire);
    } else if (slot.compare_exchange_weak(v, v | being_read, std::memory_order_acq_rel, std::memory_order_acquire)) {
      break;
    }
  }
  // In this order: a segment that is not the one of then is put there after the one of then was left to us.
  const auto* in_place =
      blocks_[segment / segment_directory::block_size]->segments[segment % segment_directory::block_size].load(
          std::memory_order_acquire);
  v = slot.load(std::memory_order_acquire);
  rows_then rows;
  if (increment_) rows.needed = increment_->needed[segment];
  const kept* changed = nullptr;
  if (v & left) {
    rows.segment = pointer<left_segment>(v)->segment;
    changed = pointer<left_segment>(v)->changed;
  } else {
    rows.segment = in_place;
    changed = pointer<kept>(v);
  }
  rows.used = changed ? changed->used : rows.segment->used;
  for (auto* r = changed ? changed->rows : nullptr; r; r = r->next) {
    rows.aside |= std::uint64_t{1} << r->number;
    rows.copies[r->number] = r->row(*layout_);
  }
  return rows;
}

void held_rows::end_reading(std::size_t segment) noexcept {
  at(segment).fetch_and(~being_read, std::memory_order_acq_rel);
}

void held_rows::give_up(std::size_t segment) noexcept {
  auto slot = at(segment);
  auto v = slot.load(std::memory_order_acquire);
  for (;;) {
    if (v & done) return;
    if (v & being_saved) {
      std::this_thread::yield();
      v = slot.load(std::memory_order_acquire);
    } else if (slot.compare_exchange_weak(v, done, std::memory_order_acq_rel, std::memory_order_acquire)) {
      break;
    }
  }
  if (v & left) {
    const std::unique_ptr<left_segment> what{pointer<left_segment>(v)};
    destroy(what->changed);
    const auto freed = sizeof *what + what->segment->bytes();
    what->segment->release();
    memory_.remove(freed);
  } else {
    destroy(pointer<kept>(v));
  }
}

/// The memory is that of the shelves.
void held_rows::destroy(kept* k) noexcept {
  if (!k || layout_->trivial) return;
  for (auto* r = k->rows; r; r = r->next)
    destroy_row(*layout_, r->row(*layout_));
}

/// Within a group in the order in which they came to be.
void held_rows::sort_by_key_group() {
  if (!order_.empty() || size_ == 0) return;
  order_.resize(size_);
  for (std::size_t i = 0; i < size_; ++i)
    order_[i] = static_cast<std::uint32_t>(i);
  std::stable_sort(order_.begin(), order_.end(), [&](auto a, auto b) { return key_group_of(a) < key_group_of(b); });
}

void held_rows::read(bool last, const std::function<void(const rows_then&)>& visit) {
  if (given_up_ || memory_.over()) throw error{errc::internal, "rows of a snapshot are read after they were given up"};
  given_up_ = last;
  sort_by_key_group();
  for (std::size_t n = 0; n < order_.size(); ++n) {
    const auto i = order_[n];
    // A look at segments without anything to write would only wear out the processor's caches. Those that keys have
    // been removed of have something.
    if (!increment_ || increment_->needed[i] != 0) {
      const auto rows = begin_reading(i);
      try {
        visit(rows);
      } catch (...) {
        end_reading(i);
        throw;
      }
      if (!last) end_reading(i);
    }
    if (!last) continue;
    give_up(i);
    const bool more = n + 1 < order_.size();
    shelves_.written(key_group_of(i), more ? std::optional{key_group_of(order_[n + 1])} : std::nullopt);
  }
  if (last) give_up();
}

void held_rows::give_up() noexcept {
  if (memory_.over()) return;
  for (std::size_t i = 0; i < size_; ++i)
    give_up(i);
  shelves_.clear();
  memory_.end();
}

} // namespace dataflow::detail
