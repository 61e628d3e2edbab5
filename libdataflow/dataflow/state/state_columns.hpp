/// The columns behind keyed states: how values, lists and maps lie in rows, and how they are written.
///
/// Threading: the task's own, but for the writers that columns give. Ownership: belong to the handles of a function's
/// states, or to operators. Source: Flink's HeapValueState, HeapListState, HeapMapState and their serializers.
#pragma once

#include <dataflow/record/codecs.hpp>
#include <dataflow/state/entry_map.hpp>
#include <dataflow/state/keyed_store.hpp>
#include <dataflow/state/shared_value.hpp>
#include <dataflow/state/ttl.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

namespace detail {

std::string with_ttl(std::string schema, bool has_ttl);
inline std::chrono::milliseconds background_life(const std::optional<ttl>& t) {
  return t && t->cleans_up() ? t->time() : std::chrono::milliseconds{0};
}

inline std::chrono::milliseconds snapshot_life(const std::optional<ttl>& t) {
  return t && t->cleans_snapshots() ? t->time() : std::chrono::milliseconds{0};
}

/// One T per key.
template <class T>
class value_column : public keyed_column {
  static_assert(has_codec<T>, "state of this type has no codec: name its fields with DATAFLOW_RECORD(type, fields...), "
                              "include <dataflow/record/codecs.hpp>, or specialise dataflow::codec<T>");

public:
  value_column(std::string name, std::optional<ttl> time_to_live)
      : keyed_column(std::move(name)), ttl_(std::move(time_to_live)) {}
  static T& at(std::byte* cell) noexcept { return *std::launder(reinterpret_cast<T*>(cell)); }
  static const T& at(const std::byte* cell) noexcept { return *std::launder(reinterpret_cast<const T*>(cell)); }

  cell_type type() const override { return cell_type::of<T>(); }
  bool stamped() const override { return ttl_.has_value(); }
  std::string value_schema() const override { return with_ttl(to_string(codec<T>::describe()), stamped()); }
  cell_writer writer() const override {
    return [](const std::byte* cell, byte_writer& out) { codec<T>::encode(at(cell), out); };
  }
  void encode(const std::byte* cell, byte_writer& out) const override { codec<T>::encode(at(cell), out); }
  void decode(std::byte* cell, byte_reader& in) override {
    T value{};
    codec<T>::decode(value, in);
    ::new (static_cast<void*>(cell)) T(std::move(value));
  }
  bool expires() const override { return ttl_ && ttl_->cleans_up(); }
  std::chrono::milliseconds background_time_to_live() const override { return background_life(ttl_); }
  std::chrono::milliseconds snapshot_time_to_live() const override { return snapshot_life(ttl_); }
  std::function<bool(const std::byte*)> has_gone(std::int64_t now) const override {
    if (!ttl_ || !ttl_->cleans_snapshots()) return {};
    return [rules = *ttl_, now](const std::byte* cell) { return rules.expired(row_segment::stamp(cell), now); };
  }
  expiry expiry_of(const std::byte* cell, std::int64_t now) const override {
    return ttl_->expired(row_segment::stamp(cell), now) ? expiry::all : expiry::none;
  }

private:
  const std::optional<ttl> ttl_;
};

/// A sequence of T per key, with a time of last access each where there is a ttl.
template <class T>
struct list_content {
  std::vector<T> values;
  std::vector<std::int64_t> stamps;
};

/// A container per key: list_content<T> or entry_map<K, V>. Traits encode and decode one entry.
template <class Content, class Traits>
class content_column final : public keyed_column {
public:
  using cell_value = shared_value<Content>;
  content_column(std::string name, std::optional<ttl> time_to_live)
      : keyed_column(std::move(name)), ttl_(std::move(time_to_live)) {}
  static cell_value& at(std::byte* cell) noexcept { return *std::launder(reinterpret_cast<cell_value*>(cell)); }
  static const cell_value& at(const std::byte* cell) noexcept {
    return *std::launder(reinterpret_cast<const cell_value*>(cell));
  }

  cell_type type() const override { return cell_type::of<cell_value>(); }
  bool stamped() const override { return false; } // each entry is
  std::string value_schema() const override { return with_ttl(Traits::describe(), ttl_.has_value()); }
  cell_writer writer() const override {
    return [stamped = ttl_.has_value()](const std::byte* cell, byte_writer& out) { encode(cell, stamped, out); };
  }
  void encode(const std::byte* cell, byte_writer& out) const override { encode(cell, ttl_.has_value(), out); }
  void decode(std::byte* cell, byte_reader& in) override {
    cell_value content;
    auto& c = content.write();
    for (auto n = in.length(); n > 0; --n) {
      if (ttl_) c.stamps.push_back(in.fixed<std::int64_t>());
      Traits::decode(c, in);
    }
    ::new (static_cast<void*>(cell)) cell_value(content);
  }
  bool has_entries() const override { return true; }
  void encode_stored(const std::byte* cell, byte_writer& out) const override {
    const Content& c = *at(cell);
    byte_writer entry;
    for (std::size_t i = 0; i < Traits::size(c); ++i) {
      entry.clear();
      if (ttl_) entry.fixed(c.stamps[i]);
      Traits::encode(c, i, entry);
      out.text(entry.buffer());
    }
  }
  void decode_stored(std::byte* cell, byte_reader& in) override {
    cell_value content;
    auto& c = content.write();
    while (!in.at_end()) {
      byte_reader entry{in.text()};
      if (ttl_) c.stamps.push_back(entry.fixed<std::int64_t>());
      Traits::decode(c, entry);
    }
    ::new (static_cast<void*>(cell)) cell_value(content);
  }
  stored_writer stored_to_part() const override {
    return [](std::string_view stored, byte_writer& part) {
      std::uint64_t n = 0;
      for (byte_reader in{stored}; !in.at_end(); ++n)
        in.text();
      part.varint(n);
      for (byte_reader in{stored}; !in.at_end();) {
        const auto entry = in.text();
        part.raw(entry.data(), entry.size());
      }
    };
  }
  std::chrono::milliseconds background_time_to_live() const override { return background_life(ttl_); }
  std::chrono::milliseconds snapshot_time_to_live() const override { return snapshot_life(ttl_); }
  std::function<bool(const std::byte*)> has_gone(std::int64_t now) const override {
    if (!ttl_ || !ttl_->cleans_snapshots()) return {};
    return [rules = *ttl_, now](const std::byte* cell) {
      return gone_of(*at(cell), rules, now) == at(cell)->stamps.size();
    };
  }
  cell_writer writer_of_living(std::int64_t now) const override {
    if (!ttl_ || !ttl_->cleans_snapshots()) return {};
    return [rules = *ttl_, now](const std::byte* cell, byte_writer& out) {
      const Content& c = *at(cell);
      out.varint(c.stamps.size() - gone_of(c, rules, now));
      for (std::size_t i = 0; i < c.stamps.size(); ++i) {
        if (rules.expired(c.stamps[i], now)) continue;
        out.fixed(c.stamps[i]);
        Traits::encode(c, i, out);
      }
    };
  }
  bool expires() const override { return ttl_ && ttl_->cleans_up(); }
  expiry expiry_of(const std::byte* cell, std::int64_t now) const override {
    const auto& stamps = at(cell)->stamps;
    const auto gone = gone_of(*at(cell), *ttl_, now);
    return gone == 0 ? expiry::none : gone == stamps.size() ? expiry::all : expiry::part;
  }
  void remove_expired(std::byte* cell, std::int64_t now) override {
    auto& c = at(cell).write();
    for (std::size_t i = 0; i < c.stamps.size();)
      if (ttl_->expired(c.stamps[i], now))
        Traits::erase(c, i);
      else
        ++i;
  }

  /// The current key's content, or null.
  const Content* read() {
    auto* cell = find();
    return cell ? &*at(cell) : nullptr;
  }
  /// The current key's content, made when there is none.
  Content& write() {
    bool there = false;
    auto* cell = make(there);
    if (!there) {
      ::new (static_cast<void*>(cell)) cell_value();
      confirm(cell);
    }
    return at(cell).write();
  }

private:
  static std::size_t gone_of(const Content& c, const ttl& rules, std::int64_t now) {
    std::size_t gone = 0;
    for (auto s : c.stamps)
      gone += rules.expired(s, now);
    return gone;
  }
  static void encode(const std::byte* cell, bool stamped, byte_writer& out) {
    const Content& c = *at(cell);
    const auto n = Traits::size(c);
    out.varint(n);
    for (std::size_t i = 0; i < n; ++i) {
      if (stamped) out.fixed(c.stamps[i]);
      Traits::encode(c, i, out);
    }
  }
  const std::optional<ttl> ttl_;
};

template <class T>
struct list_traits {
  using content = list_content<T>;
  static std::string describe() { return "list of " + to_string(codec<T>::describe()); }
  static std::size_t size(const content& c) noexcept { return c.values.size(); }
  static void encode(const content& c, std::size_t i, byte_writer& out) { codec<T>::encode(c.values[i], out); }
  static void decode(content& c, byte_reader& in) {
    T value{};
    codec<T>::decode(value, in);
    c.values.push_back(std::move(value));
  }
  static void erase(content& c, std::size_t i) {
    c.values.erase(c.values.begin() + static_cast<std::ptrdiff_t>(i));
    c.stamps.erase(c.stamps.begin() + static_cast<std::ptrdiff_t>(i));
  }
};

template <class K, class V>
struct map_traits {
  using content = entry_map<K, V>;
  static std::string describe() {
    return "map of " + to_string(codec<K>::describe()) + " to " + to_string(codec<V>::describe());
  }
  static std::size_t size(const content& c) noexcept { return c.size(); }
  static void encode(const content& c, std::size_t i, byte_writer& out) {
    codec<K>::encode(c.at(i).key, out);
    codec<V>::encode(c.at(i).value, out);
  }
  static void decode(content& c, byte_reader& in) {
    K key{};
    V value{};
    codec<K>::decode(key, in);
    codec<V>::decode(value, in);
    c.insert(std::move(key), std::move(value));
  }
  static void erase(content& c, std::size_t i) { c.erase(i); }
};

} // namespace detail
} // namespace dataflow
