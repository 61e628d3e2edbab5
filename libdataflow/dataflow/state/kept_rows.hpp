/// One value per key in the rows of a keyed store, for operators that otherwise keep it in a fast table: what the table
/// cannot hold in memory goes to the store's database. Snapshots of both are the same (keyed_table_state).
///
/// Threading: the task's own. Ownership: owns the rows. Errors: those of the keyed store.
#pragma once

#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/keyed_states.hpp>
#include <dataflow/state/keyed_table.hpp>

#include <functional>
#include <string>
#include <utility>

namespace dataflow {

/// KeyOf: finds the key in a value that always contains it, or separate_keys.
template <class K, class V, class KeyOf = detail::separate_keys>
class kept_rows {
public:
  static constexpr std::uint32_t none = keyed_store::none;

  explicit kept_rows(std::string name, KeyOf key_of = {})
      : column_(*this, std::move(name)), key_of_(std::move(key_of)) {}
  kept_rows(const kept_rows&) = delete;

  /// Declares, and restores. In the operator's open().
  void open(state_registry& states, const clock& clock) {
    rows_.open(states, clock);
    rows_.add(column_);
  }
  /// The value of a key, to be written to, and whether it is new (then it is what make() gives). Good until the next
  /// call; a key that is given by reference must live until then, or until done().
  template <class Key, class Make>
  std::pair<V*, bool> find_or_insert(Key&& key, std::uint64_t hash, std::uint32_t likely, Make&& make) {
    rows_.set_key(std::forward<Key>(key), hash, likely);
    bool there = false;
    auto* at = column_.make(there);
    if (!there) {
      ::new (static_cast<void*>(at)) V(make());
      column_.confirm(at);
    }
    return {&column::at(at), !there};
  }
  void done() { rows_.clear_key(); }
  /// For operators that put more into the rows than snapshots in progress may hold: see keyed_store.
  void set_wake_up(std::function<void()> wake) { rows_.set_wake_up(std::move(wake)); }
  bool must_wait() { return rows_.must_wait(); }
  /// For look_ahead.
  keyed_context<K>& rows() noexcept { return rows_; }

private:
  static constexpr bool keeps_keys = std::is_same_v<KeyOf, detail::separate_keys>;
  struct column final : detail::value_column<V> {
    column(kept_rows& o, std::string name) : detail::value_column<V>(std::move(name), {}), owner(o) {}
    state_info info() const override {
      return {this->name(), state_kind::keyed,
              owner.rows_.key_schema() + (keeps_keys ? " -> " : " in ") + this->value_schema()};
    }
    bool parts_have_keys() const override { return keeps_keys; }
    void restore(const state_part& part) override {
      if constexpr (keeps_keys) {
        keyed_column::restore(part);
      } else {
        byte_reader in{part.bytes};
        while (!in.at_end()) {
          V value{};
          codec<V>::decode(value, in);
          K key(std::invoke(owner.key_of_, std::as_const(value)));
          const auto hash = key_hash(key);
          owner.find_or_insert(std::move(key), hash, none, [&] { return std::move(value); });
        }
        owner.done();
      }
    }
    kept_rows& owner;
  };

  keyed_context<K> rows_;
  column column_;
  [[no_unique_address]] KeyOf key_of_;
};

} // namespace dataflow
