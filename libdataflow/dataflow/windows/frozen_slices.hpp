/// A snapshot in progress of sliced windows: entries of tables, one per slice, and what sliding windows have put aside.
///
/// Threading: written and destroyed on any one thread at a time. Ownership: holds the tables' entries
/// (held_entries.hpp) and shares the merger's slices, until it has been written for the last time.
#pragma once

#include <dataflow/record/codec.hpp>
#include <dataflow/state/held_entries.hpp>
#include <dataflow/state/keyed_table.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/windows/slice_items.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace dataflow::detail {

/// For keyed_table::freeze().
template <class K, class Stored>
void write_entry(const keyed_entry<K, Stored, separate_keys>& e, byte_writer& out) {
  codec<K>::encode(e.key, out);
  codec<Stored>::encode(e.value, out);
}

/// Merged: slice_merger::frozen.
template <class Merged>
class frozen_slices final : public frozen_state {
public:
  frozen_slices(key_group_range groups, std::shared_ptr<held_memory> memory)
      : groups_(groups), memory_(std::move(memory)) {}
  ~frozen_slices() override { give_up(); }

  /// The table of a slice. emitted: the results of so many of its entries are out.
  void add(slice_flags flag, const time_window& slice, std::size_t emitted, std::shared_ptr<held_entries> table) {
    tables_.push_back({flag, slice, emitted, std::move(table)});
  }
  void add(std::unique_ptr<Merged> merged) { merged_ = std::move(merged); }

  void write(state_writer& out) const override { write(out, false); }
  void write_last(state_writer& out) const override { write(out, true); }

private:
  struct table {
    slice_flags flag;
    time_window slice;
    std::size_t emitted;
    std::shared_ptr<held_entries> entries;
  };
  void write(state_writer& out, bool last) const {
    if (memory_->over()) throw error{errc::internal, "a snapshot of windows is read after it was given up"};
    for (auto& t : tables_)
      t.entries->begin(last);
    if (merged_) merged_->begin();
    for (auto g = groups_.first; g <= groups_.last; ++g) {
      for (auto& t : tables_)
        t.entries->write(g, [&](std::size_t position) -> byte_writer& {
          auto& bytes = out.part_of(g);
          begin_slice_item(t.flag | (position < t.emitted ? is_emitted : 0), t.slice, position, bytes);
          return bytes;
        });
      if (merged_) merged_->write(g, out);
    }
    if (last) give_up();
  }
  void give_up() const noexcept {
    for (auto& t : tables_)
      t.entries->give_up();
    memory_->end();
  }

  const key_group_range groups_;
  const std::shared_ptr<held_memory> memory_; // of all of it
  std::vector<table> tables_;
  std::unique_ptr<Merged> merged_;
};

} // namespace dataflow::detail
