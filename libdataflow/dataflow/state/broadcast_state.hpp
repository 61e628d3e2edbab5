/// Broadcast state: maps that every subtask of an operator has, filled from a broadcast stream.
///
///   const map_state_descriptor<std::string, rule> rules{"rules"};
///   events.connect(changes.broadcast(rules)).process<apply_rules>();
/// Every subtask sees all elements of the broadcast stream, in an order that may differ between subtasks: what they put
/// into the state must not depend on it. Entries are walked in the order of their keys where keys have one (<), else in
/// an order that depends on the calls made.
/// Threading: the task's own. Ownership: the operator's. Errors: errc::invalid_argument for a descriptor that was not
/// given to broadcast(); errc::empty_state from at().
/// Source: Flink's BroadcastState, ReadOnlyBroadcastState, MapStateDescriptor.
#pragma once

#include <dataflow/record/codecs.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/entry_map.hpp>

#include <algorithm>
#include <concepts>
#include <memory>
#include <string>
#include <vector>

namespace dataflow {

namespace detail {

class broadcast_state_base : public declared_state {
public:
  broadcast_state_base(std::string name, const void* type) : name_(std::move(name)), type_(type) {}
  const std::string& name() const noexcept { return name_; }
  /// Equal for equal types in one library.
  const void* map_type() const noexcept { return type_; }

protected:
  [[noreturn]] void fail_missing() const;

private:
  const std::string name_;
  const void* const type_;
};

/// Its address is the identity of a pair of types.
template <class K, class V>
inline constexpr char map_type_of = 0;

/// Makes the state of one descriptor in each subtask.
using broadcast_state_factory = std::unique_ptr<broadcast_state_base> (*)(const std::string& name);
struct broadcast_declaration {
  std::string name;
  broadcast_state_factory make;
};

} // namespace detail

template <class K, class V>
class broadcast_state final : public detail::broadcast_state_base {
public:
  using map = entry_map<K, V>;
  explicit broadcast_state(std::string name) : broadcast_state_base(std::move(name), &detail::map_type_of<K, V>) {}

  // What the data side may do.
  bool empty() const noexcept { return entries_.size() == 0; }
  std::size_t size() const noexcept { return entries_.size(); }
  /// Null when it is not there.
  const V* find(const K& key) const {
    const auto i = entries_.find(key);
    return i == map::none ? nullptr : &entries_.at(i).value;
  }
  bool contains(const K& key) const { return find(key) != nullptr; }
  const V& at(const K& key) const {
    const auto* v = find(key);
    if (!v) fail_missing();
    return *v;
  }
  V value_or(const K& key, V otherwise) const {
    const auto* v = find(key);
    return v ? *v : std::move(otherwise);
  }
  /// f(key, value) for all entries.
  template <class F>
  void for_each(F&& f) const {
    for (const auto* e : sorted())
      f(e->key, e->value);
  }
  std::vector<std::pair<K, V>> entries() const {
    std::vector<std::pair<K, V>> all;
    for (const auto* e : sorted())
      all.emplace_back(e->key, e->value);
    return all;
  }

  // What the broadcast side may do, too.
  void put(K key, V value) {
    const auto i = entries_.find(key);
    if (i == map::none)
      entries_.insert(std::move(key), std::move(value));
    else
      entries_.value(i) = std::move(value);
  }
  V& operator[](const K& key) {
    auto i = entries_.find(key);
    if (i == map::none) {
      i = entries_.size();
      entries_.insert(key, V{});
    }
    return entries_.value(i);
  }
  void remove(const K& key) {
    if (const auto i = entries_.find(key); i != map::none) entries_.erase(i);
  }
  void clear() { entries_ = {}; }

  // declared_state
  state_info info() const override {
    return {name(), state_kind::broadcast,
            "map of " + to_string(codec<K>::describe()) + " to " + to_string(codec<V>::describe())};
  }
  void snapshot(state_writer& out) const override {
    auto& part = out.part();
    part.varint(entries_.size());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      codec<K>::encode(entries_.at(i).key, part);
      codec<V>::encode(entries_.at(i).value, part);
    }
  }
  void restore(const state_part& part) override {
    clear();
    byte_reader in{part.bytes};
    for (auto n = in.length(); n > 0; --n) {
      K key{};
      V value{};
      codec<K>::decode(key, in);
      codec<V>::decode(value, in);
      put(std::move(key), std::move(value));
    }
  }

private:
  std::vector<const typename map::entry*> sorted() const {
    std::vector<const typename map::entry*> all(entries_.size());
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = &entries_.at(i);
    if constexpr (requires(const K& a, const K& b) {
                    { a < b } -> std::convertible_to<bool>;
                  })
      std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
    return all;
  }
  map entries_;
};

/// Names a broadcast state and its types.
template <class K, class V>
class map_state_descriptor {
public:
  using state = broadcast_state<K, V>;
  explicit map_state_descriptor(std::string name) : name_(std::move(name)) {
    static_assert(hashable_key<K>, "map_state_descriptor: this type cannot be a key");
    static_assert(has_codec<K> && has_codec<V>, "map_state_descriptor: keys and values need codecs");
  }
  const std::string& name() const noexcept { return name_; }
  detail::broadcast_declaration declaration() const {
    return {name_, [](const std::string& name) -> std::unique_ptr<detail::broadcast_state_base> {
              return std::make_unique<state>(name);
            }};
  }

private:
  std::string name_;
};

/// The broadcast states of one operator.
class broadcast_states {
public:
  explicit broadcast_states(const std::vector<detail::broadcast_declaration>& declared);
  /// Declares and restores; in the operator's open().
  void open(state_registry& states);
  template <class K, class V>
  broadcast_state<K, V>& of(const map_state_descriptor<K, V>& descriptor) {
    for (auto& s : states_)
      if (s->name() == descriptor.name() && s->map_type() == &detail::map_type_of<K, V>)
        return static_cast<broadcast_state<K, V>&>(*s);
    fail_undeclared(descriptor.name());
  }

private:
  [[noreturn]] void fail_undeclared(const std::string& name) const;
  std::vector<std::unique_ptr<detail::broadcast_state_base>> states_;
};

} // namespace dataflow
