/// Codecs of the standard library's types: string, optional, variant, pair, tuple, array, vector, deque, maps and sets,
/// chrono durations and time points.
///
/// Formats ("do not change"): string = length, bytes; optional = 0 or 1, value; variant = index, value; pair, tuple and
/// array = the values; vector, deque, set and map = count, values (map: key, value). Hash maps and sets are written
/// sorted by the bytes of their entries, so that equal values have equal bytes.
#pragma once

#include <dataflow/record/codec.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>

namespace dataflow {

namespace detail {
[[noreturn]] void fail_encode(std::string cause);

template <class T>
std::size_t heap_of(const T& value) noexcept {
  return codec<T>::size_of(value) - sizeof(T);
}
template <class T>
schema::field field_of(std::string name) {
  return {std::move(name), codec<T>::describe()};
}
/// Values that do not fit a count are never reserved for: growth follows the bytes that were read.
template <class C>
void reserve_for(C& c, std::size_t count, const byte_reader& in) {
  if constexpr (requires { c.reserve(count); })
    c.reserve(std::min(count, in.remaining() / sizeof(typename C::value_type) + 1));
}
} // namespace detail

template <>
struct codec<std::string> {
  static constexpr std::uint16_t version = 1;
  static void encode(const std::string& value, byte_writer& out) { out.text(value); }
  static void decode(std::string& value, byte_reader& in) { value = in.text(); }
  static schema describe() { return {"string", {}}; }
  static std::size_t size_of(const std::string& value) noexcept {
    return sizeof value + (value.size() > 15 ? value.size() + 1 : 0);
  }
};

template <class T>
struct codec<std::optional<T>> {
  static constexpr std::uint16_t version = 1;
  static void encode(const std::optional<T>& value, byte_writer& out) {
    out.fixed(static_cast<std::uint8_t>(value.has_value()));
    if (value) codec<T>::encode(*value, out);
  }
  static void decode(std::optional<T>& value, byte_reader& in) {
    switch (in.fixed<std::uint8_t>()) {
    case 0:
      value.reset();
      return;
    case 1:
      codec<T>::decode(value.emplace(), in);
      return;
    default:
      detail::fail_decode("an optional that is neither empty nor set");
    }
  }
  static schema describe() { return {"optional", {detail::field_of<T>("value")}}; }
  static std::size_t size_of(const std::optional<T>& value) noexcept {
    return sizeof value + (value ? detail::heap_of(*value) : 0);
  }
};

template <class... T>
struct codec<std::variant<T...>> {
  using value_type = std::variant<T...>;
  static constexpr std::uint16_t version = 1;
  static void encode(const value_type& value, byte_writer& out) {
    if (value.valueless_by_exception()) detail::fail_encode("a variant without a value");
    out.varint(value.index());
    std::visit([&](const auto& v) { codec<std::remove_cvref_t<decltype(v)>>::encode(v, out); }, value);
  }
  static void decode(value_type& value, byte_reader& in) {
    auto index = in.varint();
    if (index >= sizeof...(T)) detail::fail_decode("a variant's index " + std::to_string(index));
    decode_alternative(value, in, index, std::index_sequence_for<T...>{});
  }
  static schema describe() { return {"variant", {detail::field_of<T>("")...}}; }
  static std::size_t size_of(const value_type& value) noexcept {
    if (value.valueless_by_exception()) return sizeof value;
    return sizeof value + std::visit([](const auto& v) { return detail::heap_of(v); }, value);
  }

private:
  template <std::size_t... I>
  static void decode_alternative(value_type& value, byte_reader& in, std::size_t index, std::index_sequence<I...>) {
    (void)((index == I && (codec<T>::decode(value.template emplace<I>(), in), true)) || ...);
  }
};

template <class A, class B>
struct codec<std::pair<A, B>> {
  static constexpr std::uint16_t version = 1;
  static void encode(const std::pair<A, B>& value, byte_writer& out) {
    codec<std::remove_const_t<A>>::encode(value.first, out);
    codec<B>::encode(value.second, out);
  }
  static void decode(std::pair<A, B>& value, byte_reader& in) {
    codec<A>::decode(value.first, in);
    codec<B>::decode(value.second, in);
  }
  static schema describe() { return {"pair", {detail::field_of<A>("first"), detail::field_of<B>("second")}}; }
  static std::size_t size_of(const std::pair<A, B>& value) noexcept {
    return sizeof value + detail::heap_of(value.first) + detail::heap_of(value.second);
  }
};

template <class... T>
struct codec<std::tuple<T...>> {
  static_assert(sizeof...(T) > 0, "an empty tuple is no record");
  static constexpr std::uint16_t version = 1;
  static void encode(const std::tuple<T...>& value, byte_writer& out) {
    std::apply([&](const T&... v) { (codec<T>::encode(v, out), ...); }, value);
  }
  static void decode(std::tuple<T...>& value, byte_reader& in) {
    std::apply([&](T&... v) { (codec<T>::decode(v, in), ...); }, value);
  }
  static schema describe() {
    schema s{"tuple", {}};
    std::size_t i = 0;
    (s.fields.push_back(detail::field_of<T>("f" + std::to_string(i++))), ...);
    return s;
  }
  static std::size_t size_of(const std::tuple<T...>& value) noexcept {
    return std::apply([&](const T&... v) { return (sizeof value + ... + detail::heap_of(v)); }, value);
  }
};

template <class T, std::size_t N>
struct codec<std::array<T, N>> {
  static_assert(N > 0, "an empty array is no record");
  static constexpr std::uint16_t version = 1;
  static constexpr bool is_memory = detail::memory_encoded<T>;
  static void encode(const std::array<T, N>& value, byte_writer& out) {
    if constexpr (is_memory)
      out.raw(value.data(), sizeof value);
    else
      for (auto& v : value)
        codec<T>::encode(v, out);
  }
  static void decode(std::array<T, N>& value, byte_reader& in) {
    if constexpr (is_memory)
      std::memcpy(static_cast<void*>(value.data()), in.raw(sizeof value).data(), sizeof value);
    else
      for (auto& v : value)
        codec<T>::decode(v, in);
  }
  static schema describe() { return {"array[" + std::to_string(N) + "]", {detail::field_of<T>("element")}}; }
  static std::size_t size_of(const std::array<T, N>& value) noexcept {
    auto size = sizeof value;
    for (auto& v : value)
      size += detail::heap_of(v);
    return size;
  }
};

template <class T>
struct codec<std::vector<T>> {
  static constexpr std::uint16_t version = 1;
  static void encode(const std::vector<T>& value, byte_writer& out) {
    out.varint(value.size());
    if constexpr (std::is_same_v<T, bool>)
      for (bool v : value)
        codec<bool>::encode(v, out);
    else if constexpr (detail::memory_encoded<T>)
      out.raw(value.data(), value.size() * sizeof(T));
    else
      for (auto& v : value)
        codec<T>::encode(v, out);
  }
  static void decode(std::vector<T>& value, byte_reader& in) {
    auto count = in.length(detail::least_encoded_size<T>);
    value.clear();
    if constexpr (detail::memory_encoded<T>) {
      auto bytes = in.raw(count * sizeof(T));
      value.resize(count);
      if (count > 0) std::memcpy(static_cast<void*>(value.data()), bytes.data(), bytes.size());
    } else {
      detail::reserve_for(value, count, in);
      for (std::size_t i = 0; i < count; ++i) {
        T v{};
        codec<T>::decode(v, in);
        value.push_back(std::move(v));
      }
    }
  }
  static schema describe() { return {"list", {detail::field_of<T>("element")}}; }
  static std::size_t size_of(const std::vector<T>& value) noexcept {
    auto size = sizeof value + value.size() * sizeof(T);
    if constexpr (!std::is_trivially_copyable_v<T>)
      for (auto& v : value)
        size += detail::heap_of(v);
    return size;
  }
};

namespace detail {

/// Node containers: per value a node with its links.
inline constexpr std::size_t node_overhead = 32;

template <class C>
struct sequence_codec {
  using value = typename C::value_type;
  static constexpr std::uint16_t version = 1;
  static void encode(const C& c, byte_writer& out) {
    out.varint(c.size());
    for (auto& v : c)
      codec<value>::encode(v, out);
  }
  static std::size_t size_of(const C& c) noexcept {
    auto size = sizeof c;
    for (auto& v : c)
      size += sizeof v + node_overhead + heap_of(v);
    return size;
  }
};

template <class C>
struct set_codec : sequence_codec<C> {
  using value = typename C::value_type;
  static void decode(C& c, byte_reader& in) {
    auto count = in.length(least_encoded_size<value>);
    c.clear();
    for (std::size_t i = 0; i < count; ++i) {
      value v{};
      codec<value>::decode(v, in);
      if (!c.insert(std::move(v)).second) fail_decode("a set that holds a value twice");
    }
  }
  static schema describe() { return {"set", {field_of<value>("element")}}; }
};

template <class C>
struct map_codec {
  using key = typename C::key_type;
  using mapped = typename C::mapped_type;
  static constexpr std::uint16_t version = 1;
  static void encode(const C& c, byte_writer& out) {
    out.varint(c.size());
    for (auto& [k, v] : c) {
      codec<key>::encode(k, out);
      codec<mapped>::encode(v, out);
    }
  }
  static void decode(C& c, byte_reader& in) {
    auto count = in.length(least_encoded_size<key> + least_encoded_size<mapped>);
    c.clear();
    for (std::size_t i = 0; i < count; ++i) {
      key k{};
      codec<key>::decode(k, in);
      mapped v{};
      codec<mapped>::decode(v, in);
      if (!c.emplace(std::move(k), std::move(v)).second) fail_decode("a map that holds a key twice");
    }
  }
  static schema describe() { return {"map", {field_of<key>("key"), field_of<mapped>("value")}}; }
  static std::size_t size_of(const C& c) noexcept {
    auto size = sizeof c;
    for (auto& [k, v] : c)
      size += sizeof k + sizeof v + node_overhead + heap_of(k) + heap_of(v);
    return size;
  }
};

/// Writes a hash table's entries in the order of their bytes.
void write_sorted(std::vector<std::string> entries, byte_writer& out);

template <class Base, class C>
struct sorted_codec : Base {
  static void encode(const C& c, byte_writer& out) {
    std::vector<std::string> entries;
    entries.reserve(c.size());
    for (auto& entry : c) {
      byte_writer w;
      if constexpr (requires { typename C::mapped_type; }) {
        codec<typename C::key_type>::encode(entry.first, w);
        codec<typename C::mapped_type>::encode(entry.second, w);
      } else {
        codec<typename C::key_type>::encode(entry, w);
      }
      entries.push_back(w.take());
    }
    write_sorted(std::move(entries), out);
  }
};
} // namespace detail

template <class T, class A>
struct codec<std::deque<T, A>> : detail::sequence_codec<std::deque<T, A>> {
  static void decode(std::deque<T, A>& value, byte_reader& in) {
    auto count = in.length(detail::least_encoded_size<T>);
    value.clear();
    for (std::size_t i = 0; i < count; ++i)
      codec<T>::decode(value.emplace_back(), in);
  }
  static schema describe() { return codec<std::vector<T>>::describe(); }
};
template <class T, class C, class A>
struct codec<std::set<T, C, A>> : detail::set_codec<std::set<T, C, A>> {};
template <class K, class V, class C, class A>
struct codec<std::map<K, V, C, A>> : detail::map_codec<std::map<K, V, C, A>> {};
template <class T, class H, class E, class A>
struct codec<std::unordered_set<T, H, E, A>>
    : detail::sorted_codec<detail::set_codec<std::unordered_set<T, H, E, A>>, std::unordered_set<T, H, E, A>> {};
template <class K, class V, class H, class E, class A>
struct codec<std::unordered_map<K, V, H, E, A>>
    : detail::sorted_codec<detail::map_codec<std::unordered_map<K, V, H, E, A>>, std::unordered_map<K, V, H, E, A>> {};

/// The count of ticks.
template <class Rep, class Period>
struct codec<std::chrono::duration<Rep, Period>> {
  using value_type = std::chrono::duration<Rep, Period>;
  static constexpr std::uint16_t version = 1;
  static constexpr bool is_memory = detail::memory_encoded<Rep> && sizeof(value_type) == sizeof(Rep);
  static void encode(const value_type& value, byte_writer& out) { codec<Rep>::encode(value.count(), out); }
  static void decode(value_type& value, byte_reader& in) {
    Rep count{};
    codec<Rep>::decode(count, in);
    value = value_type{count};
  }
  static schema describe() { return {"duration" + unit(), {}}; }
  static std::size_t size_of(const value_type&) noexcept { return sizeof(value_type); }
  /// "[1/1000 s, int64]"
  static std::string unit() {
    return "[" + std::to_string(Period::num) + "/" + std::to_string(Period::den) + " s, " +
           codec<Rep>::describe().type + "]";
  }
};

template <class Clock, class Duration>
struct codec<std::chrono::time_point<Clock, Duration>> {
  using value_type = std::chrono::time_point<Clock, Duration>;
  static constexpr std::uint16_t version = 1;
  static constexpr bool is_memory = codec<Duration>::is_memory;
  static void encode(const value_type& value, byte_writer& out) {
    codec<Duration>::encode(value.time_since_epoch(), out);
  }
  static void decode(value_type& value, byte_reader& in) {
    Duration since{};
    codec<Duration>::decode(since, in);
    value = value_type{since};
  }
  static schema describe() { return {"time" + codec<Duration>::unit(), {}}; }
  static std::size_t size_of(const value_type&) noexcept { return sizeof(value_type); }
};

} // namespace dataflow
