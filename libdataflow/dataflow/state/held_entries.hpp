/// A snapshot in progress of a table whose entries stay where they are, while the task goes on changing them.
///
/// As held_rows.hpp, for tables of an operator's own whose entries others point to, so that they cannot be replaced by
/// copies. Holding costs the task nothing at first. Before it changes an entry for the first time since, or one comes
/// or goes, it puts aside what is to be written of that entry; who writes the snapshot encodes each of the others where
/// it lies, key group by key group, and gives up what was put aside as it goes. If both come to one entry at once, one
/// waits for the other to encode it. Threading: the task's side on its thread; the reader's side and destruction on any
/// one thread at a time. Ownership: owns what was put aside; the source shares the table's memory.
#pragma once

#include <dataflow/record/key_groups.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/held_memory.hpp>
#include <dataflow/state/held_shelves.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/huge_pages.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace dataflow::detail {

/// Positions by key group, within a group in ascending order.
class key_group_order {
public:
  /// group_at(i): a key group, or nothing for a position that is left out.
  void build(std::size_t positions, key_group_range groups,
             const std::function<std::optional<std::uint32_t>(std::size_t)>& group_at);
  bool is_built() const noexcept { return !begins_.empty(); }
  void clear() noexcept;
  template <class F>
  void for_each(std::uint32_t key_group, F&& f) const {
    const auto g = key_group - first_;
    for (auto i = begins_[g]; i < begins_[g + 1]; ++i)
      f(std::size_t{positions_[i]});
  }

private:
  std::uint32_t first_ = 0;
  std::vector<std::size_t> begins_; // of the groups, and one more
  std::vector<std::uint32_t> positions_;
};

class held_entries {
public:
  /// The table as it is now. Both sides call it, never for one position at the same time.
  class source {
  public:
    virtual ~source() = default;
    /// Nothing: nothing is to be written.
    virtual std::optional<std::uint32_t> key_group_at(std::size_t position) const = 0;
    virtual void encode(std::size_t position, byte_writer& out) const = 0;
  };

  /// `positions`: there may be entries at those below. `memory`: what the snapshot holds, which may be one of several.
  held_entries(std::unique_ptr<const source> from, std::size_t positions, key_group_range groups,
               std::shared_ptr<held_memory> memory);
  held_entries(const held_entries&) = delete;
  ~held_entries() { give_up(); }
  /// Nothing is wanted any more.
  bool over() const noexcept { return over_.load(std::memory_order_acquire); }

  // The task's side.

  /// The entry at a position is about to change, to come or to go.
  void save(std::size_t position) {
    if (position >= positions_) return;
    const auto s = at(position).load(std::memory_order_acquire);
    if (s == untouched || s == busy) save_first(position);
  }
  held_memory& memory() noexcept { return *memory_; }
  /// Entries that were encoded for save().
  std::size_t saved() const noexcept { return saved_; }

  // The reader's side.

  const key_group_range& key_groups() const noexcept { return groups_; }
  /// Then write() for each key group. `last`: each entry is given up when it has been written. REQUIRES:
  /// nothing has been given up before; throws error{errc::internal}.
  void begin(bool last);
  /// into(position): where the entry's bytes are to go.
  void write(std::uint32_t key_group, const std::function<byte_writer&(std::size_t position)>& into);
  /// All of it. The memory that it counts in is the caller's to end.
  void give_up() noexcept;

private:
  struct aside;
  using state = std::uintptr_t; // of an entry: one of these, or a pointer to what was put aside
  static constexpr state untouched = 0, busy = 1, done = 2;
  std::atomic_ref<state> at(std::size_t position) noexcept { return std::atomic_ref<state>{states_[position]}; }
  void save_first(std::size_t position);
  std::optional<std::uint32_t> group_then(std::size_t position);
  void write_one(std::size_t position, byte_writer& out);

  const std::unique_ptr<const source> source_;
  const std::size_t positions_;
  const key_group_range groups_;
  const std::shared_ptr<held_memory> memory_;
  zero_pages<state> states_;
  held_shelves shelves_;
  byte_writer scratch_;   // the task's
  std::size_t saved_ = 0; // the task's
  key_group_order order_; // the reader's
  bool given_up_ = false; // the reader's: also while it is at it
  std::atomic<bool> over_{false};
};

/// The state that one table is.
class frozen_entries final : public frozen_state {
public:
  explicit frozen_entries(std::shared_ptr<held_entries> held) : held_(std::move(held)) {}
  ~frozen_entries() override { give_up(); }
  void write(state_writer& out) const override { write(out, false); }
  void write_last(state_writer& out) const override { write(out, true); }

private:
  void write(state_writer& out, bool last) const;
  void give_up() const noexcept {
    held_->give_up();
    held_->memory().end();
  }
  std::shared_ptr<held_entries> held_;
};

} // namespace dataflow::detail
