/// State of the current key for user code: value, list, map, reducing and aggregating state.
///
/// A value_state behaves like an optional: has_value, value_or, clear; reading an empty one is an error that names it.
/// References that a state gives are good until its next call, and no longer than the record or timer at hand.
/// With a time to live (ttl.hpp) what has expired is as if it were not there, unless the ttl says otherwise.
/// Threading: the task's own. Ownership: members of a function; see state_handle.hpp.
/// Errors: errc::no_current_key outside of a keyed record or timer; errc::empty_state.
/// Source: Flink's ValueState, ListState, MapState, ReducingState, AggregatingState and their Ttl... classes.
#pragma once

#include <dataflow/state/state_columns.hpp>
#include <dataflow/state/state_handle.hpp>

namespace dataflow {

namespace detail {

/// What states with one value per key share: reading and writing by the rules of the time to live.
template <class T>
class single_value_handle : public state_handle {
public:
  /// Forgets the current key's value.
  void clear() { column().clear(); }

protected:
  using state_handle::state_handle;
  using column_type = value_column<T>;
  std::unique_ptr<keyed_column> make_column() const final {
    return std::make_unique<column_type>(name(), time_to_live());
  }
  /// Null when there is none, or none any more.
  const T* read() {
    auto* at = column().find();
    if (at && time_to_live()) [[unlikely]]
      return read_by_ttl(at);
    return at ? &column_type::at(std::as_const(at)) : nullptr;
  }
  /// Whether read() will find one; changes nothing.
  bool readable() {
    auto* at = column().find();
    return at && !(time_to_live() && !time_to_live()->shows_expired() && has_expired(at));
  }
  /// The value that writing starts from: as read(), but nothing is prolonged or removed.
  const T* unexpired() {
    auto* at = column().find();
    return at && readable() ? &column_type::at(std::as_const(at)) : nullptr;
  }
  template <class U>
  T& write(U&& value) {
    bool there = false;
    auto& c = column();
    auto* at = c.make(there);
    if (there) {
      column_type::at(at) = std::forward<U>(value);
    } else {
      ::new (static_cast<void*>(at)) T(std::forward<U>(value));
      c.confirm(at);
    }
    if (time_to_live()) row_segment::stamp(at) = c.now();
    return column_type::at(at);
  }
  /// The value to be changed in place, made by make() when there is none, or none any more.
  template <class Make>
  [[gnu::always_inline]] T& write_in_place(Make&& make) {
    if (!time_to_live())
      if (auto* at = column().find_writable()) [[likely]]
        return column_type::at(at);
    return make_in_place(make);
  }

private:
  template <class Make>
  [[gnu::noinline]] T& make_in_place(Make& make) {
    auto& c = column();
    if (time_to_live() && c.find() && !readable()) c.clear();
    bool there = false;
    auto* at = c.make(there);
    if (!there) {
      ::new (static_cast<void*>(at)) T(make());
      c.confirm(at);
    }
    if (time_to_live()) row_segment::stamp(at) = c.now();
    return column_type::at(at);
  }
  bool has_expired(const std::byte* at) { return time_to_live()->expired(row_segment::stamp(at), column().now()); }
  const T* read_by_ttl(std::byte* at) {
    const auto& rules = *time_to_live();
    if (has_expired(at)) {
      const T* shown = nullptr;
      if (rules.shows_expired()) shown = &shown_.emplace(column_type::at(at));
      column().clear();
      return shown;
    }
    if (rules.updates_on_read()) {
      at = column().find_to_write();
      row_segment::stamp(at) = column().now();
    }
    return &column_type::at(std::as_const(at));
  }
  std::optional<T> shown_; // an expired value that was read for the last time
};

} // namespace detail

/// One value per key.
template <class T>
class value_state final : public detail::single_value_handle<T> {
  using base = detail::single_value_handle<T>;

public:
  value_state(state_declaration d) : base(std::move(d)) {}
  value_state(const value_state&) = default;

  bool has_value() { return base::readable(); }
  /// Throws error{errc::empty_state}.
  const T& value() {
    const auto* v = base::read();
    if (!v) [[unlikely]]
      this->fail_empty();
    return *v;
  }
  const T& operator*() { return value(); }
  const T* operator->() { return &value(); }
  T value_or(T otherwise) {
    const auto* v = base::read();
    return v ? *v : std::move(otherwise);
  }
  void update(T value) { base::write(std::move(value)); }
  template <class U>
  requires std::is_constructible_v<T, U&&> &&(!std::is_same_v<std::remove_cvref_t<U>, value_state>)value_state&
  operator=(U&& value) {
    base::write(std::forward<U>(value));
    return *this;
  }
  /// The value, to be changed in place; `initial` becomes the value of a key that has none. Counts as a write.
  T& edit(T initial = {}) {
    return base::write_in_place([&] { return std::move(initial); });
  }
};

/// Any number of values per key, in the order in which they were added.
template <class T>
class list_state final : public state_handle {
  using column_type = detail::content_column<detail::list_content<T>, detail::list_traits<T>>;

public:
  list_state(state_declaration d) : state_handle(std::move(d)) {}
  list_state(const list_state&) = default;

  /// All of them; empty when there are none.
  const std::vector<T>& get() {
    const auto* content = typed().read();
    static const std::vector<T> nothing;
    if (!content) return nothing;
    return time_to_live() ? get_by_ttl(*content) : content->values;
  }
  bool empty() { return get().empty(); }
  void add(T value) {
    if (typed().store().stored() && add_unread(value)) return;
    auto& c = typed().write();
    c.values.push_back(std::move(value));
    if (time_to_live()) c.stamps.push_back(column().now());
  }
  void add_all(std::vector<T> values) {
    for (auto& v : values)
      add(std::move(v));
  }
  /// Replaces all.
  void update(std::vector<T> values) {
    if (values.empty()) return clear();
    auto& c = typed().write();
    if (time_to_live()) c.stamps.assign(values.size(), column().now());
    c.values = std::move(values);
  }
  void clear() { column().clear(); }

private:
  std::unique_ptr<keyed_column> make_column() const override {
    return std::make_unique<column_type>(name(), time_to_live());
  }
  column_type& typed() { return static_cast<column_type&>(column()); }
  /// Where the rest of the list is not in memory: no need to read it.
  bool add_unread(const T& value) {
    byte_writer entry;
    if (time_to_live()) entry.fixed(column().now());
    codec<T>::encode(value, entry);
    return column().append_unread(entry.buffer());
  }
  /// As Flink's TtlListState: reading with prolongation keeps what lives; a list of which nothing lives goes; else
  /// expired entries stay (hidden, or shown) until the background clean-up meets them.
  const std::vector<T>& get_by_ttl(const detail::list_content<T>& content) {
    const auto& rules = *time_to_live();
    const auto now = column().now();
    shown_.clear();
    std::vector<T> living;
    for (std::size_t i = 0; i < content.values.size(); ++i) {
      const bool expired = rules.expired(content.stamps[i], now);
      if (!expired || rules.shows_expired()) shown_.push_back(content.values[i]);
      if (!expired) living.push_back(content.values[i]);
    }
    if (living.empty())
      clear();
    else if (rules.updates_on_read())
      update(std::move(living));
    return shown_;
  }
  std::vector<T> shown_;
};

/// A map per key.
template <class K, class V>
class map_state final : public state_handle {
  using content_type = entry_map<K, V>;
  using column_type = detail::content_column<content_type, detail::map_traits<K, V>>;

public:
  map_state(state_declaration d) : state_handle(std::move(d)) {}
  map_state(const map_state&) = default;

  /// Null when it is not there.
  const V* find(const K& key) {
    const auto* content = typed().read();
    if (!content) return nullptr;
    const auto i = content->find(key);
    if (i == content_type::none) return nullptr;
    if (!time_to_live()) return &content->at(i).value;
    bool gone = false;
    return look(i, gone);
  }
  bool contains(const K& key) { return find(key) != nullptr; }
  /// Throws error{errc::empty_state}.
  const V& at(const K& key) {
    const auto* v = find(key);
    if (!v) [[unlikely]]
      fail_empty();
    return *v;
  }
  V value_or(const K& key, V otherwise) {
    const auto* v = find(key);
    return v ? *v : std::move(otherwise);
  }
  void put(K key, V value) {
    auto& c = typed().write();
    const auto i = c.find(key);
    if (i == content_type::none) {
      c.insert(std::move(key), std::move(value));
      if (time_to_live()) c.stamps.push_back(column().now());
    } else {
      c.value(i) = std::move(value);
      if (time_to_live()) c.stamps[i] = column().now();
    }
  }
  /// The value of a key, to be changed in place; a new key's is made. Counts as a write.
  V& operator[](const K& key) {
    auto& c = typed().write();
    auto i = c.find(key);
    if (i != content_type::none && time_to_live() && !time_to_live()->shows_expired() &&
        time_to_live()->expired(c.stamps[i], column().now()))
      c.value(i) = V{};
    if (i == content_type::none) {
      i = c.size();
      c.insert(key, V{});
      if (time_to_live()) c.stamps.push_back(0);
    }
    if (time_to_live()) c.stamps[i] = column().now();
    return c.value(i);
  }
  void remove(const K& key) {
    const auto* content = typed().read();
    if (!content) return;
    const auto i = content->find(key);
    if (i == content_type::none) return;
    if (content->size() == 1) return clear();
    typed().write().erase(i);
  }
  /// Entries that have expired count until they are removed, as in Flink.
  bool empty() { return typed().read() == nullptr; }
  void clear() { column().clear(); }

  /// All entries, in an order that depends on the calls made and on nothing else. f(key, value) must not touch the map.
  template <class F>
  void for_each(F&& f) {
    for (const auto& [key, value] : entries())
      f(key, value);
  }
  std::vector<std::pair<K, V>> entries() {
    std::vector<std::pair<K, V>> all;
    for (std::size_t i = 0;;) {
      const auto* content = typed().read();
      if (!content || i >= content->size()) return all;
      bool gone = false;
      auto key = content->at(i).key;
      const auto* value = time_to_live() ? look(i, gone) : &content->at(i).value;
      if (value) all.emplace_back(std::move(key), *value);
      if (!gone) ++i;
    }
  }
  std::vector<K> keys() {
    std::vector<K> all;
    for (auto& e : entries())
      all.push_back(std::move(e.first));
    return all;
  }
  std::vector<V> values() {
    std::vector<V> all;
    for (auto& e : entries())
      all.push_back(std::move(e.second));
    return all;
  }

private:
  std::unique_ptr<keyed_column> make_column() const override {
    return std::make_unique<column_type>(name(), time_to_live());
  }
  column_type& typed() { return static_cast<column_type&>(column()); }
  /// Reads entry i by the rules of the time to live; `gone`: it had expired and is removed.
  const V* look(std::size_t i, bool& gone) {
    const auto& rules = *time_to_live();
    const auto now = column().now();
    const auto* content = typed().read();
    if (rules.expired(content->stamps[i], now)) {
      const V* shown = rules.shows_expired() ? &shown_.emplace(content->at(i).value) : nullptr;
      gone = true;
      if (content->size() == 1)
        clear();
      else
        typed().write().erase(i);
      return shown;
    }
    if (!rules.updates_on_read()) return &content->at(i).value;
    auto& c = typed().write();
    c.stamps[i] = now;
    return &c.at(i).value;
  }
  std::optional<V> shown_; // an expired value that was read for the last time
};

/// One value per key, into which each added one is merged: f(const T& so far, const T& added) -> T.
///   reducing_state<std::int64_t> most_{state("most"), [](auto& a, auto& b) { return std::max(a, b); }};
template <class T, class F = T (*)(const T&, const T&)>
class reducing_state final : public detail::single_value_handle<T> {
  using base = detail::single_value_handle<T>;

public:
  reducing_state(state_declaration d, F f) : base(std::move(d)), f_(std::move(f)) {}
  reducing_state(state_declaration d) requires(std::is_class_v<F>&& std::is_default_constructible_v<F>)
      : reducing_state(std::move(d), F{}) {}
  reducing_state(const reducing_state&) = default;

  bool has_value() { return base::readable(); }
  /// Throws error{errc::empty_state}.
  const T& get() {
    const auto* v = base::read();
    if (!v) this->fail_empty();
    return *v;
  }
  T value_or(T otherwise) {
    const auto* v = base::read();
    return v ? *v : std::move(otherwise);
  }
  void add(const T& value) {
    const auto* so_far = base::unexpired();
    base::write(so_far ? f_(*so_far, value) : value);
  }

private:
  F f_;
};

/// An accumulator per key, behind an aggregate function:
///   Acc create_accumulator(); void add(const In&, Acc&); Out get_result(const Acc&);
template <class In, class Acc, class Out, class F>
class aggregating_state final : public detail::single_value_handle<Acc> {
  using base = detail::single_value_handle<Acc>;

public:
  aggregating_state(state_declaration d, F f) : base(std::move(d)), f_(std::move(f)) {}
  aggregating_state(state_declaration d) requires std::is_default_constructible_v<F>
      : aggregating_state(std::move(d), F{}) {}
  aggregating_state(const aggregating_state&) = default;

  bool has_value() { return base::readable(); }
  /// Throws error{errc::empty_state}.
  Out get() {
    const auto* v = base::read();
    if (!v) this->fail_empty();
    return f_.get_result(*v);
  }
  Out value_or(Out otherwise) {
    const auto* v = base::read();
    return v ? f_.get_result(*v) : std::move(otherwise);
  }
  void add(const In& value) {
    f_.add(value, base::write_in_place([&] { return f_.create_accumulator(); }));
  }

private:
  F f_;
};

} // namespace dataflow
