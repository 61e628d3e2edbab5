/// Codecs: how a record type becomes bytes and comes back, which fields it has, and how large it is.
///
/// A record type is any C++ type with a codec. Trivially copyable types have one for free; the standard types are in
/// <dataflow/record/codecs.hpp>; a struct gets one by a line that names its fields (DATAFLOW_RECORD in
/// <dataflow/record/record.hpp>); a type of one's own by a specialisation of `codec` with the five members below.
/// Encoding: little-endian, lengths as varints, no padding for structs with named fields. Every record takes at least
/// one byte. Versioned: `version` travels with every stored batch, a decoder refuses versions it does not know.
/// Errors: decode throws error{errc::malformed_record} on any input that encode cannot have written (raw structs take
/// any bytes); it never reads out of bounds and never allocates more than a small multiple of the bytes it was given.
/// The formats are pinned by tests/unit/record/golden_bytes_test.cpp: do not change them.
#pragma once

#include <dataflow/util/bytes.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace dataflow {

/// The shape of a record type, for messages and for state that outlives the program that wrote it.
struct schema {
  struct field;
  std::string type; ///< "int64", "string", "struct word_count", "list", "bytes[24]" ...
  /// Of structs, tuples and pairs, in order; of lists, optionals, variants and maps the types that they hold.
  std::vector<field> fields;
};
struct schema::field {
  std::string name;
  schema shape;
};
bool operator==(const schema& a, const schema& b);
/// "struct word_count{word: string, count: int64}"
std::string to_string(const schema& s);

/// Trivially copyable types without a codec of their own travel as their bytes (padding is cleared).
template <class T>
concept raw_record = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_member_pointer_v<T> &&
                     !std::is_null_pointer_v<T> && !std::is_same_v<T, std::string_view>;

namespace detail {
std::string raw_type_name(std::size_t size);
std::string integer_type_name(std::size_t size, bool is_signed);
[[noreturn]] void fail_decode(std::string cause);

/// bool is apart: not every byte is one. long double has padding.
template <class T>
concept plain_number =
    (std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, long double>) || std::is_enum_v<T>;
} // namespace detail

/// Specialise for a type of one's own (T is default-constructible and copyable):
///   static constexpr std::uint16_t version = 1;
///   static void encode(const T& value, byte_writer& out);
///   static void decode(T& value, byte_reader& in);            // value is default-constructed or an old value
///   static schema describe();
///   static std::size_t size_of(const T& value) noexcept;      // bytes in memory, heap included; need not be exact
/// Optional: `static constexpr bool is_memory = true` when the encoding is exactly the object's memory and any bytes
/// are a value.
template <class T, class Enable = void>
struct codec {
  static constexpr std::uint16_t version = 1;
  static constexpr bool is_memory =
      raw_record<T> && !std::is_same_v<T, bool> &&
      (std::has_unique_object_representations_v<T> || std::is_same_v<T, float> || std::is_same_v<T, double>);

  static void encode(const T& value, byte_writer& out) requires raw_record<T> {
    if constexpr (is_memory || std::is_same_v<T, bool>) {
      out.raw(std::addressof(value), sizeof(T));
    } else {
      union storage {
        storage() {}
        T copy;
      } s;
      std::memcpy(static_cast<void*>(std::addressof(s.copy)), std::addressof(value), sizeof(T));
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
      __builtin_clear_padding(std::addressof(s.copy));
#endif
#endif
      out.raw(std::addressof(s.copy), sizeof(T));
    }
  }
  static void decode(T& value, byte_reader& in) requires raw_record<T> {
    auto bytes = in.raw(sizeof(T));
    if constexpr (std::is_same_v<T, bool>)
      if (static_cast<unsigned char>(bytes[0]) > 1) detail::fail_decode("a bool that is neither 0 nor 1");
    std::memcpy(static_cast<void*>(std::addressof(value)), bytes.data(), sizeof(T));
  }
  static schema describe() requires raw_record<T> {
    if constexpr (std::is_same_v<T, bool>)
      return {"bool", {}};
    else if constexpr (std::is_enum_v<T>)
      return codec<std::underlying_type_t<T>>::describe();
    else if constexpr (std::is_integral_v<T>)
      return {detail::integer_type_name(sizeof(T), std::is_signed_v<T>), {}};
    else if constexpr (detail::plain_number<T>)
      return {sizeof(T) == 4 ? "float32" : "float64", {}};
    else
      return {detail::raw_type_name(sizeof(T)), {}};
  }
  static std::size_t size_of(const T&) noexcept requires raw_record<T> { return sizeof(T); }
};

/// A view does not own what it points to.
template <class T, std::size_t N>
struct codec<std::span<T, N>> {};

template <class T>
concept has_codec = requires(const T& value, T& into, byte_writer& out, byte_reader& in) {
  codec<T>::encode(value, out);
  codec<T>::decode(into, in);
  codec<T>::size_of(value);
};

namespace detail {
/// The encoding is the object's memory, and any bytes are a value: whole columns are copied at once.
template <class T>
concept memory_encoded = std::is_trivially_copyable_v<T> && requires {
  requires codec<T>::is_memory;
};

/// Least number of bytes that a T takes.
template <class T>
constexpr std::size_t least_encoded_size = memory_encoded<T> ? sizeof(T) : 1;
} // namespace detail

} // namespace dataflow
