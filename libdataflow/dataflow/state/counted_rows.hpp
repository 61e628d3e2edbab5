/// One value of any shape per key, in the rows of a keyed store with a database: what operators remember that keep it
/// in structures of their own where all of it is in memory. What the values take in memory is counted.
///
///   V& v = rows.enter(key, hash);   // made when there is none
///   ... v changes ...
///   rows.leave();                   // an empty one goes
///
/// Traits: static void encode(const V&, byte_writer&), which is what parts of snapshots and the database hold of it
/// behind the key; static void decode(V&, byte_reader&); static bool empty(const V&); static std::size_t bytes(const
/// V&), outside of the value itself. V has a default and can be moved. Threading: the task's own. Ownership: owns the
/// rows. Errors: those of the keyed store.
#pragma once

#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/state_change.hpp>
#include <dataflow/state/state_database.hpp>

#include <functional>
#include <string>
#include <utility>

namespace dataflow {

template <class K, class V, class Traits>
class counted_rows {
public:
  /// `info`: of the state.
  explicit counted_rows(state_info info) : column_(*this, std::move(info)) {}
  counted_rows(const counted_rows&) = delete;

  /// In the operator's open(); then declare(). REQUIRES: states.has_databases().
  void open(state_registry& states, const clock& clock) { rows_.open(states, clock); }
  /// Declares, and restores: restore(part) is called for what is not in the files that the database begins with.
  void declare(std::function<void(const state_part& part)> restore) {
    restore_ = std::move(restore);
    rows_.add(column_);
  }
  /// REQUIRES: no key is current.
  template <class Key>
  V& enter(const Key& key, std::uint64_t hash) {
    rows_.set_key(K(key), hash);
    bool there = false;
    auto* const at = column_.make(there);
    if (!there) {
      ::new (static_cast<void*>(at)) V();
      column_.confirm(at);
    }
    value_ = std::launder(reinterpret_cast<V*>(at));
    before_ = there ? Traits::bytes(*value_) : 0;
    return *value_;
  }
  const K& key() const { return rows_.key(); }
  std::uint64_t hash() const noexcept { return rows_.hash(); }
  /// Where a key is current; else nothing happens.
  void leave() {
    if (!std::exchange(value_, nullptr)) return;
    auto& value = column::at(column_.find());
    const bool gone = Traits::empty(value);
    rows_.account(static_cast<std::ptrdiff_t>(gone ? 0 : Traits::bytes(value)) - static_cast<std::ptrdiff_t>(before_));
    if (gone) column_.clear();
    rows_.clear_key();
  }
  /// Of the current key.
  std::uint32_t key_group() const noexcept { return rows_.states().key_group_of_hash(rows_.hash()); }
  /// At the end of a batch: those that have grown make others go.
  void make_room() { rows_.make_room_for_growth(); }
  keyed_context<K>& store() noexcept { return rows_; }
  const keyed_context<K>& store() const noexcept { return rows_; }

private:
  struct column final : keyed_column {
    column(counted_rows& o, state_info i) : keyed_column(i.name), owner(o), what(std::move(i)) {}
    static V& at(std::byte* cell) noexcept { return *std::launder(reinterpret_cast<V*>(cell)); }
    static const V& at(const std::byte* cell) noexcept { return *std::launder(reinterpret_cast<const V*>(cell)); }
    state_info info() const override { return what; }
    detail::cell_type type() const override {
      // Rows of a store with a database are copied only where the original goes.
      return {sizeof(V), alignof(V), false,
              [](void* to, const void* from) { ::new (to) V(std::move(*static_cast<V*>(const_cast<void*>(from)))); },
              [](void* at) noexcept { std::destroy_at(static_cast<V*>(at)); }};
    }
    bool stamped() const override { return false; }
    std::string value_schema() const override { return what.schema; }
    cell_writer writer() const override {
      return [](const std::byte* cell, byte_writer& out) { Traits::encode(at(cell), out); };
    }
    void encode(const std::byte* cell, byte_writer& out) const override { Traits::encode(at(cell), out); }
    void decode(std::byte* cell, byte_reader& in) override {
      V value{};
      Traits::decode(value, in);
      ::new (static_cast<void*>(cell)) V(std::move(value));
    }
    bool is_counted() const override { return true; }
    std::size_t content_bytes(const std::byte* cell) const override { return Traits::bytes(at(cell)); }
    void restore(const state_part& part) override { owner.restore_(part); }

    counted_rows& owner;
    const state_info what;
  };
  keyed_context<K> rows_;
  column column_;
  V* value_ = nullptr; // of the current key
  std::size_t before_ = 0;
  std::function<void(const state_part&)> restore_;
};

/// In the place of counted_rows, or kept_rows, where all of it is in memory: restores what files of a database hold of
/// it.
template <class K>
class rows_in_files {
public:
  /// Where the rows would be opened: stores are known by their order. Calls restore(part) row by row. `keyed`: a part
  /// has the key in front of each value. REQUIRES: a state of that name is declared.
  template <class Restore>
  void read(state_registry& states, const clock& clock, const std::string& name, Restore&& restore, bool keyed = true) {
    if (!states.is_restored()) return;
    store_.open(states, clock);
    const auto change = states.change_of(name);
    store_.read_restored(name, [&](std::string_view key, std::string_view value) {
      state_part part{database_key_group(key), std::string{keyed ? key.substr(2) : std::string_view{}}};
      part.bytes.append(value);
      restore(change.is_none() ? part : change.convert(part));
    });
  }

private:
  keyed_context<K> store_;
};

} // namespace dataflow
