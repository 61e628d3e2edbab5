/// What a snapshot in progress holds of the rows of a keyed store, while the task goes on changing them.
///
/// Holding costs the task nothing at first: rows stay where they are, and the one who writes the snapshot reads them
/// there. Before the task changes a row for the first time since, it puts a copy of the row aside for the snapshot.
/// Copies go as soon as their key groups have been written, so that a snapshot takes memory for rows that change before
/// it has got to them, and for nothing else. A segment that is being read at that very moment is left to the snapshot,
/// and the task goes on with a copy of it: neither ever waits for the other. Threading: the task's side on its thread;
/// the reader's side and destruction on any one thread at a time. Ownership: copies and what was left to it; shares the
/// segments with the store and may outlive it. Source: Flink's CopyOnWriteStateMap, which copies entries in the same
/// way but keeps them until the end.
#pragma once

#include <dataflow/record/key_groups.hpp>
#include <dataflow/state/held_memory.hpp>
#include <dataflow/state/held_shelves.hpp>
#include <dataflow/state/row_changes.hpp>
#include <dataflow/state/row_segment.hpp>
#include <dataflow/util/huge_pages.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace dataflow::detail {

/// The segments of a store by their numbers, where its snapshots find them, too. Threading: only the task adds and
/// replaces. Ownership: the segments that are in it in the end.
class segment_directory {
public:
  segment_directory() = default;
  segment_directory(const segment_directory&) = delete;
  ~segment_directory();
  void add(row_segment* s);
  /// The segment that was there is the caller's.
  void replace(std::size_t i, row_segment* s) noexcept { at(i).store(s, std::memory_order_release); }

private:
  friend class held_rows;
  static constexpr std::size_t block_size = 1024;
  struct block {
    std::atomic<row_segment*> segments[block_size];
    std::uint32_t key_groups[block_size];
  };
  std::atomic<row_segment*>& at(std::size_t i) noexcept { return blocks_[i / block_size]->segments[i % block_size]; }
  std::vector<std::unique_ptr<block>> blocks_; // never move
  std::size_t size_ = 0;
};

/// The rows of one segment as they were.
struct rows_then {
  const row_segment* segment = nullptr;
  std::uint64_t used = 0;
  std::uint64_t needed = ~std::uint64_t{0}; // only these are as they were
  std::uint64_t aside = 0;                  // rows that were put aside
  const std::byte* copies[row_segment::rows];
  const std::byte* row(unsigned i) const noexcept { return aside >> i & 1 ? copies[i] : segment->row(i); }
};

class held_rows {
public:
  /// `groups`: those of the store. `increment`: what is to be written; null: everything.
  held_rows(std::shared_ptr<segment_directory> segments, std::shared_ptr<const row_layout> layout,
            key_group_range groups, std::shared_ptr<const store_increment> increment = {});
  held_rows(const held_rows&) = delete;
  ~held_rows() { give_up(); }
  std::size_t segments() const noexcept { return size_; }
  const std::shared_ptr<const store_increment>& increment() const noexcept { return increment_; }

  // The task's side.

  /// Whether what is in a row matters.
  bool needs(std::size_t segment, unsigned row) const noexcept {
    return !increment_ || segment >= size_ || (increment_->needed[segment] >> row & 1);
  }

  /// Row `i` of a segment is about to change, to come or to go. False: the segment is being read; it has to be left to
  /// the snapshot, and another put in its place.
  bool save(std::size_t segment, unsigned row, const row_segment& now) {
    return segment >= size_ || (saved_[segment] >> row & 1) || save_first(segment, row, now);
  }
  /// The segment is left to the snapshot as it is; the caller then replaces it in the directory, and gives up its own
  /// share. REQUIRES: prepare_to_leave() was called before.
  void leave(std::size_t segment, row_segment& old) noexcept;
  void prepare_to_leave();
  held_memory& memory() noexcept { return memory_; }

  // The reader's side.

  /// Calls visit(const rows_then&) for all segments that have something to write, by key group. `last`: each is given
  /// up when it has been visited. REQUIRES: nothing has been given up before; throws error{errc::internal}.
  void read(bool last, const std::function<void(const rows_then&)>& visit);
  /// So many will read all of it for the last time.
  void add_reader() noexcept { readers_.fetch_add(1, std::memory_order_relaxed); }
  void read_for_the_last_time(const std::function<void(const rows_then&)>& visit) {
    read(readers_.fetch_sub(1, std::memory_order_acq_rel) == 1, visit);
  }
  /// All of it.
  void give_up() noexcept;

private:
  // A slot is a pointer to what is kept of a segment, and bits of its state.
  using slot = std::uintptr_t;
  static constexpr slot being_read = 1, left = 2, being_saved = 4, done = 8, bits = 15;
  struct copied_row;
  struct kept { // of a segment that is still in the directory
    std::uint64_t used;
    copied_row* rows = nullptr;
  };
  struct left_segment { // `left`
    row_segment* segment;
    kept* changed;
  };
  template <class T>
  static T* pointer(slot s) noexcept {
    return reinterpret_cast<T*>(s & ~bits);
  }
  std::atomic_ref<slot> at(std::size_t i) noexcept { return std::atomic_ref<slot>{slots_[i]}; }
  bool save_first(std::size_t segment, unsigned row, const row_segment& now);
  std::uint32_t key_group_of(std::size_t segment) const noexcept {
    return blocks_[segment / segment_directory::block_size]->key_groups[segment % segment_directory::block_size];
  }
  copied_row* copy_of(const std::byte* row, unsigned i, copied_row* next, std::uint32_t key_group);
  rows_then begin_reading(std::size_t segment);
  void end_reading(std::size_t segment) noexcept;
  void give_up(std::size_t segment) noexcept;
  void destroy(kept* k) noexcept;
  void sort_by_key_group();

  const std::shared_ptr<segment_directory> directory_;
  const std::shared_ptr<const row_layout> layout_;
  std::vector<segment_directory::block*> blocks_; // as many as there were
  const std::size_t size_;
  const std::shared_ptr<const store_increment> increment_;
  zero_pages<slot> slots_;
  zero_pages<std::uint64_t> saved_;         // the task's: rows that it may change
  std::unique_ptr<left_segment> next_left_; // the task's
  std::vector<std::uint32_t> order_;        // the reader's
  bool given_up_ = false;                   // the reader's: also while it is at it
  std::atomic<unsigned> readers_{0};
  held_memory memory_; // besides the rows in their places
  held_shelves shelves_;
};

} // namespace dataflow::detail
