/// Key hashes: one 64-bit hash per record, computed once where a stream is keyed.
///
/// The key group comes from its high half (key_groups.hpp), the slot in a hash table from its low half; both halves are
/// good for sequential, strided and random keys. The hash is fixed and versioned: it stands in every snapshot, the same
/// on every machine and in every process. "Do not change" without a new key_hash_version.
/// Equality: as Java's keys. Integers of different widths agree; a NaN equals every NaN; 0.0 and -0.0 differ.
/// Threading: pure functions.
#pragma once

#include <dataflow/record/record.hpp>

#include <bit>
#include <cmath>

namespace dataflow {

inline constexpr std::uint16_t key_hash_version = 1;

/// XXH3, 64 bits, seed 0.
std::uint64_t hash_bytes(const void* data, std::size_t size) noexcept;

/// A bijection (different integers never share a hash) that spreads every input bit over both halves: the finaliser of
/// splitmix64 (Stafford's mix 13).
constexpr std::uint64_t hash_word(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}
/// Adds the hash of the next part to that of the parts before it; the order counts.
constexpr std::uint64_t hash_combine(std::uint64_t h, std::uint64_t part) noexcept {
  __extension__ using wide = unsigned __int128;
  auto product = wide{std::rotl(h, 29) ^ 0xD6E8FEB86659FD93ull} * (part ^ 0xA0761D6478BD642Full);
  return hash_word((static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64)) + h + part);
}

/// Specialise for a key type of one's own; hash and equal must agree:
///   static std::uint64_t hash(const K& key);
///   static bool equal(const K& a, const K& b);
template <class K, class Enable = void>
struct key_traits;

template <class K>
concept hashable_key = requires(const K& k) {
  key_traits<K>::hash(k);
  key_traits<K>::equal(k, k);
};

namespace detail {
template <class K>
constexpr void check_key() {
  static_assert(hashable_key<K>, "this type cannot be a key: use integers, strings, floating point, tuples or structs "
                                 "with DATAFLOW_RECORD, or specialise dataflow::key_traits for it");
}
} // namespace detail

/// The 64-bit hash of a key.
template <class K>
std::uint64_t key_hash(const K& key) {
  detail::check_key<K>();
  return key_traits<K>::hash(key);
}

/// key_hash as a function object.
struct key_hasher {
  template <class K>
  std::uint64_t operator()(const K& key) const {
    return key_hash(key);
  }
};

/// Equality that agrees with key_hash.
template <class K>
struct key_equal {
  bool operator()(const K& a, const K& b) const {
    detail::check_key<K>();
    return key_traits<K>::equal(a, b);
  }
};

template <class K>
struct key_traits<K, std::enable_if_t<std::is_integral_v<K> || std::is_enum_v<K>>> {
  static constexpr std::uint64_t hash(K key) noexcept {
    if constexpr (std::is_enum_v<K>)
      return key_traits<std::underlying_type_t<K>>::hash(static_cast<std::underlying_type_t<K>>(key));
    else
      return hash_word(static_cast<std::uint64_t>(key)); // signed ones are sign-extended
  }
  static constexpr bool equal(K a, K b) noexcept { return a == b; }
};

template <>
struct key_traits<double> {
  static std::uint64_t hash(double key) noexcept { return hash_word(bits(key)); }
  static bool equal(double a, double b) noexcept { return bits(a) == bits(b); }
  static std::uint64_t bits(double key) noexcept {
    return std::isnan(key) ? 0x7FF8000000000000ull : std::bit_cast<std::uint64_t>(key);
  }
};
template <>
struct key_traits<float> {
  static std::uint64_t hash(float key) noexcept { return key_traits<double>::hash(key); }
  static bool equal(float a, float b) noexcept { return key_traits<double>::equal(a, b); }
};

template <>
struct key_traits<std::string_view> {
  static std::uint64_t hash(std::string_view key) noexcept { return hash_bytes(key.data(), key.size()); }
  static bool equal(std::string_view a, std::string_view b) noexcept { return a == b; }
};
template <>
struct key_traits<std::string> : key_traits<std::string_view> {};
/// Texts compare without being copied.
template <>
struct key_equal<std::string> {
  bool operator()(std::string_view a, std::string_view b) const noexcept { return a == b; }
};

template <class Rep, class Period>
struct key_traits<std::chrono::duration<Rep, Period>> {
  using key_type = std::chrono::duration<Rep, Period>;
  static std::uint64_t hash(key_type key) { return key_hash(key.count()); }
  static bool equal(key_type a, key_type b) { return key_equal<Rep>{}(a.count(), b.count()); }
};
template <class Clock, class Duration>
struct key_traits<std::chrono::time_point<Clock, Duration>> {
  using key_type = std::chrono::time_point<Clock, Duration>;
  static std::uint64_t hash(key_type key) { return key_hash(key.time_since_epoch()); }
  static bool equal(key_type a, key_type b) {
    return key_equal<Duration>{}(a.time_since_epoch(), b.time_since_epoch());
  }
};

template <>
struct key_traits<std::monostate> {
  static constexpr std::uint64_t hash(std::monostate) noexcept { return hash_word(1); }
  static constexpr bool equal(std::monostate, std::monostate) noexcept { return true; }
};

namespace detail {
/// Hash and equality over the parts that a function yields: tuples, pairs and records.
template <class... Parts>
std::uint64_t hash_parts(const Parts&... parts) {
  std::uint64_t h = sizeof...(Parts);
  ((h = hash_combine(h, key_hash(parts))), ...);
  return h;
}
template <class Tie, std::size_t... I>
bool equal_parts(const Tie& a, const Tie& b, std::index_sequence<I...>) {
  return (... && key_equal<std::remove_cvref_t<std::tuple_element_t<I, Tie>>>{}(std::get<I>(a), std::get<I>(b)));
}
template <class Tie>
bool equal_parts(const Tie& a, const Tie& b) {
  return equal_parts(a, b, std::make_index_sequence<std::tuple_size_v<Tie>>{});
}
/// Sequences: their length and their elements.
template <class C>
struct sequence_key_traits {
  using element = typename C::value_type;
  static std::uint64_t hash(const C& key) {
    std::uint64_t h = key.size();
    for (const element& e : key)
      h = hash_combine(h, key_hash(e));
    return h;
  }
  static bool equal(const C& a, const C& b) {
    if (a.size() != b.size()) return false;
    for (auto i = a.begin(), j = b.begin(); i != a.end(); ++i, ++j)
      if (!key_equal<element>{}(*i, *j)) return false;
    return true;
  }
};
} // namespace detail

template <class A, class B>
struct key_traits<std::pair<A, B>> {
  static std::uint64_t hash(const std::pair<A, B>& key) { return detail::hash_parts(key.first, key.second); }
  static bool equal(const std::pair<A, B>& a, const std::pair<A, B>& b) { return detail::equal_parts(a, b); }
};
template <class... T>
struct key_traits<std::tuple<T...>> {
  static std::uint64_t hash(const std::tuple<T...>& key) {
    return std::apply([](const T&... parts) { return detail::hash_parts(parts...); }, key);
  }
  static bool equal(const std::tuple<T...>& a, const std::tuple<T...>& b) { return detail::equal_parts(a, b); }
};
template <class T, std::size_t N>
struct key_traits<std::array<T, N>> : detail::sequence_key_traits<std::array<T, N>> {};
template <class T>
struct key_traits<std::vector<T>> : detail::sequence_key_traits<std::vector<T>> {};

template <class T>
struct key_traits<std::optional<T>> {
  static std::uint64_t hash(const std::optional<T>& key) {
    return key ? hash_combine(1, key_hash(*key)) : hash_word(2);
  }
  static bool equal(const std::optional<T>& a, const std::optional<T>& b) {
    return a && b ? key_equal<T>{}(*a, *b) : a.has_value() == b.has_value();
  }
};
template <class... T>
struct key_traits<std::variant<T...>> {
  using key_type = std::variant<T...>;
  static std::uint64_t hash(const key_type& key) {
    return hash_combine(key.index(), std::visit([](const auto& v) { return key_hash(v); }, key));
  }
  static bool equal(const key_type& a, const key_type& b) {
    return a.index() == b.index() && std::visit(
                                         [&](const auto& v) {
                                           using alternative = std::remove_cvref_t<decltype(v)>;
                                           return key_equal<alternative>{}(v, *std::get_if<alternative>(&b));
                                         },
                                         a);
  }
};

template <class K>
struct key_traits<K, std::enable_if_t<named_record<K>>> {
  static std::uint64_t hash(const K& key) {
    return record_fields<K>::apply(key, [](const auto&... parts) { return detail::hash_parts(parts...); });
  }
  static bool equal(const K& a, const K& b) {
    return record_fields<K>::apply(a, [&](const auto&... x) {
      return record_fields<K>::apply(
          b, [&](const auto&... y) { return detail::equal_parts(std::tie(x...), std::tie(y...)); });
    });
  }
};

} // namespace dataflow
