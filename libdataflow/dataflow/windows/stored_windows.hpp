/// Windows in the database of a keyed store: a row per key with all of its windows, and their timers in order.
///
/// Only the windows of the keys that were used last are in memory, and the timers that come next. Timers are in the
/// list of their window, as they are in memory; the index finds the key and the window of the one that is due, in the
/// order of time and then of registration. Behind the time it has that place (8 bytes, big endian), the key, and the
/// window. Threading: the task's own. Ownership: owns the rows. Errors: those of the database. Source: Flink's
/// WindowOperator on the RocksDB backend.
#pragma once

#include <dataflow/state/counted_rows.hpp>
#include <dataflow/state/time_index.hpp>
#include <dataflow/windows/window_entries.hpp>

#include <optional>
#include <string>

namespace dataflow::detail {

[[noreturn]] void fail_lost_window();

/// The largest of some numbers, as state: after a restart every subtask goes on from the largest of all.
class largest_number final : public declared_state {
public:
  explicit largest_number(std::string name) : name_(std::move(name)) {}
  std::uint64_t value = 0;
  state_info info() const override { return {name_, state_kind::union_list, "uint64"}; }
  void snapshot(state_writer& out) const override { out.part().fixed(value); }
  void restore(const state_part& part) override {
    value = std::max(value, byte_reader{part.bytes}.fixed<std::uint64_t>());
  }

private:
  const std::string name_;
};

/// Node: {K key; std::uint64_t hash; windows_of_key<Entry> value; ...}, what the operator works with.
template <class Node, class Entry>
class stored_windows {
  using K = std::remove_cvref_t<decltype(std::declval<Node&>().key)>;
  using W = decltype(Entry::window);
  using value = windows_of_key<Entry>;

public:
  explicit stored_windows(state_info info) : rows_(std::move(info)) {}

  void open(state_registry& states, const clock& clock) {
    states.declare(order_);
    rows_.open(states, clock);
    auto& database = rows_.store().share_database();
    const auto cache = time_index::cache_for(states, database);
    const auto& groups = states.key_groups();
    timers_[0].emplace(database, "_windows/event-time", groups, time_index::ties::by_rest, cache);
    timers_[1].emplace(database, "_windows/processing-time", groups, time_index::ties::by_rest, cache);
    rows_.declare([this](const state_part& part) { restore(part); });
  }

  /// The windows of a key, until another one is entered, or leave().
  template <class Key>
  Node& enter(const Key& key, std::uint64_t hash) {
    if (entered_) {
      if (node_.hash == hash && key_equal<K>{}(node_.key, key)) return node_;
      leave();
    }
    auto& v = rows_.enter(key, hash);
    node_.key = rows_.key();
    node_.hash = hash;
    node_.value = std::move(v);
    row_ = &v;
    entered_ = true;
    return node_;
  }
  void leave() {
    if (!std::exchange(entered_, false)) return;
    *row_ = std::move(node_.value);
    rows_.leave();
  }
  /// At the end of a batch.
  void make_room() {
    leave();
    rows_.make_room();
  }

  // Timers of a window of the key that was entered. Domain: 0 event time, 1 processing time.

  /// False: there is one for this time.
  bool add(unsigned domain, timestamp t, Entry& w) {
    for (auto& mark : w.timers[domain])
      if (mark.time == t) return false;
    w.timers[domain].push_back({t, ++order_.value});
    timers_[domain]->add(rows_.key_group(), t, rest_of(order_.value, node_.key, w.window));
    return true;
  }
  void remove(unsigned domain, timestamp t, Entry& w) {
    auto& marks = w.timers[domain];
    for (std::size_t i = 0; i < marks.size(); ++i)
      if (marks[i].time == t) return remove_at(domain, i, w);
  }
  void remove_all(unsigned domain, Entry& w) {
    while (!w.timers[domain].empty())
      remove_at(domain, w.timers[domain].size() - 1, w);
  }

  std::optional<timestamp> next(unsigned domain) const {
    if (timers_[domain]->empty()) return {};
    return timers_[domain]->first_time();
  }
  /// The window of the next one. REQUIRES: there is one.
  W window_of_next(unsigned domain) const { return read(timers_[domain]->first()).window; }
  struct due {
    timestamp time;
    Node* owner = nullptr;
    Entry* window = nullptr;
  };
  /// The earliest one; enters its key. REQUIRES: there is one.
  due pop(unsigned domain) {
    const auto first = timers_[domain]->first();
    const auto what = read(first);
    const auto time = first.time;
    auto& node = enter(what.key, key_hash(what.key));
    const auto at = node.value.place_of(what.window);
    if (at == node.value.windows.end() || (*at)->window != what.window) fail_lost_window();
    auto& marks = (*at)->timers[domain];
    std::erase_if(marks, [&](auto& mark) { return mark.order == what.order && mark.time == time; });
    timers_[domain]->pop_first();
    return {time, &node, at->get()};
  }
  /// What is in memory of all of it.
  std::size_t counted_bytes() const noexcept {
    return rows_.store().counted_bytes() + timers_[0]->cached_bytes() + timers_[1]->cached_bytes();
  }

private:
  void restore(const state_part& part) {
    for (byte_reader in{part.bytes}; !in.at_end();) {
      K key{};
      codec<K>::decode(key, in);
      auto& windows = enter(key, key_hash(key)).value;
      windows_of_key_traits<Entry>::decode(windows, in);
      for (auto& e : windows.windows)
        for (unsigned domain : {0u, 1u})
          for (auto& mark : e->timers[domain]) {
            order_.value = std::max(order_.value, mark.order);
            timers_[domain]->add(rows_.key_group(), mark.time, rest_of(mark.order, key, e->window));
          }
      leave();
    }
  }
  struct what_is_due {
    std::uint64_t order;
    K key;
    W window;
  };
  static what_is_due read(const time_index::due& d) {
    byte_reader in{d.rest};
    what_is_due w{__builtin_bswap64(in.fixed<std::uint64_t>()), {}, {}};
    codec<K>::decode(w.key, in);
    codec<W>::decode(w.window, in);
    return w;
  }
  std::string_view rest_of(std::uint64_t order, const K& key, const W& window) {
    rest_.clear();
    rest_.template fixed<std::uint64_t>(__builtin_bswap64(order));
    codec<K>::encode(key, rest_);
    codec<W>::encode(window, rest_);
    return rest_.buffer();
  }
  void remove_at(unsigned domain, std::size_t i, Entry& w) {
    const auto mark = w.timers[domain][i];
    timers_[domain]->remove(rows_.key_group(), mark.time, rest_of(mark.order, node_.key, w.window));
    w.timers[domain].erase(w.timers[domain].begin() + static_cast<std::ptrdiff_t>(i));
  }

  counted_rows<K, value, windows_of_key_traits<Entry>> rows_;
  std::optional<time_index> timers_[2];
  largest_number order_{"_window-timers"};
  Node node_{};
  value* row_ = nullptr; // where the windows of the key that was entered come from
  bool entered_ = false;
  byte_writer rest_; // reused
};

} // namespace dataflow::detail
