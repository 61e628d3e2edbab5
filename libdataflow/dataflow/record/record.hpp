/// DATAFLOW_RECORD: one line that names a struct's fields and makes it a record type, a key, and state.
///
///   struct word_count { std::string word; std::int64_t count; };
///   DATAFLOW_RECORD(word_count, word, count);          // outside of namespaces; name types in one with it:
///   shop::order
///
///   class money {                                      // private members, or inside any namespace: within the class
///     std::int64_t cents_ = 0;
///     DATAFLOW_RECORD_MEMBERS(money, cents_)
///   };
/// Up to 64 fields; bases are not included. Fields that are not named do not travel: they come back as the default
/// constructor leaves them. Encoding: the fields one after another in the order of the line, without padding.
#pragma once

#include <dataflow/record/codecs.hpp>

namespace dataflow {

namespace detail {
struct record_access {
  template <class T>
  static auto fields(int) -> typename T::dataflow_record_members;
  template <class T>
  static void fields(...);
};
template <class T>
using record_members = decltype(record_access::fields<T>(0));
} // namespace detail

/// What DATAFLOW_RECORD says of T: `type`, `names`, and apply(value, f) that calls f(field...).
template <class T, class Enable = void>
struct record_fields {
  static constexpr bool named = false;
};
template <class T>
struct record_fields<T, std::enable_if_t<std::is_class_v<detail::record_members<T>>>> : detail::record_members<T> {
  static constexpr bool named = true;
};

template <class T>
concept named_record = record_fields<T>::named;

namespace detail {

/// Throws when schemas nest without end.
class schema_guard {
public:
  explicit schema_guard(const char* type);
  schema_guard(const schema_guard&) = delete;
  ~schema_guard();
};

/// What the fields of a default-constructed record of this shape look like, encoded: see schema_change.
void note_defaults(const schema& shape, std::vector<std::string> fields);

template <class... Fields>
struct field_types {
  static constexpr std::size_t count = sizeof...(Fields);
  static constexpr bool have_codecs = (has_codec<Fields> && ...);
  static constexpr bool memory = (memory_encoded<Fields> && ...);
  static constexpr std::size_t size = (sizeof(Fields) + ...);
};
struct type_collector {
  template <class... Fields>
  field_types<std::remove_cvref_t<Fields>...> operator()(Fields&...) const;
};
template <class T>
using fields_of = decltype(record_fields<T>::apply(std::declval<T&>(), type_collector{}));

} // namespace detail

template <class T>
struct codec<T, std::enable_if_t<named_record<T>>> {
  static constexpr std::uint16_t version = 1;

  static void encode(const T& value, byte_writer& out) {
    if (is_whole(value)) {
      out.raw(std::addressof(value), sizeof(T));
      return;
    }
    check();
    record_fields<T>::apply(
        value, [&](const auto&... field) { (codec<std::remove_cvref_t<decltype(field)>>::encode(field, out), ...); });
  }
  static void decode(T& value, byte_reader& in) {
    if (is_whole(value)) {
      auto bytes = in.raw(sizeof(T));
      std::memcpy(static_cast<void*>(std::addressof(value)), bytes.data(), sizeof(T));
      return;
    }
    check();
    record_fields<T>::apply(
        value, [&](auto&... field) { (codec<std::remove_cvref_t<decltype(field)>>::decode(field, in), ...); });
  }
  static schema describe() {
    check();
    detail::schema_guard guard{record_fields<T>::type};
    schema s{std::string{"struct "} + record_fields<T>::type, {}};
    describe_fields(s, static_cast<detail::fields_of<T>*>(nullptr));
    if constexpr (std::is_default_constructible_v<T>) {
      [[maybe_unused]] static const bool noted = (detail::note_defaults(s, default_fields()), true);
    }
    return s;
  }
  static std::size_t size_of(const T& value) noexcept {
    auto size = sizeof(T);
    if constexpr (!std::is_trivially_copyable_v<T>)
      record_fields<T>::apply(value, [&](const auto&... field) {
        ((size += codec<std::remove_cvref_t<decltype(field)>>::size_of(field) - sizeof field), ...);
      });
    return size;
  }

  /// The encoding is the object's memory: no padding, all fields named, in the order of their declaration. The same for
  /// all values; the compiler evaluates it. Records are then copied as one piece.
  static bool is_whole(const T& value) noexcept {
    if constexpr (std::is_trivially_copyable_v<T> && detail::fields_of<T>::memory) {
      if constexpr (detail::fields_of<T>::size == sizeof(T)) {
        auto at = reinterpret_cast<const char*>(std::addressof(value));
        return record_fields<T>::apply(value, [at](const auto&... field) mutable {
          return (... &&
                  (reinterpret_cast<const char*>(std::addressof(field)) == std::exchange(at, at + sizeof field)));
        });
      }
    }
    return false;
  }

private:
  static std::vector<std::string> default_fields() {
    std::vector<std::string> fields;
    const T value{};
    record_fields<T>::apply(value, [&](const auto&... field) { (fields.push_back(encoded(field)), ...); });
    return fields;
  }
  template <class Field>
  static std::string encoded(const Field& field) {
    byte_writer out;
    codec<Field>::encode(field, out);
    return out.take();
  }
  static constexpr void check() {
    static_assert(detail::fields_of<T>::have_codecs,
                  "a field of this DATAFLOW_RECORD has no codec: name the fields of its struct, include "
                  "<dataflow/record/codecs.hpp>, or specialise dataflow::codec for it");
  }
  template <class... Fields>
  static void describe_fields(schema& s, detail::field_types<Fields...>*) {
    auto* name = record_fields<T>::names;
    (s.fields.push_back({*name++, codec<Fields>::describe()}), ...);
  }
};

} // namespace dataflow

#define DATAFLOW_DETAIL_PARENTHESES ()
#define DATAFLOW_DETAIL_EXPAND(...)                                                                                    \
  DATAFLOW_DETAIL_EXPAND3(DATAFLOW_DETAIL_EXPAND3(DATAFLOW_DETAIL_EXPAND3(DATAFLOW_DETAIL_EXPAND3(__VA_ARGS__))))
#define DATAFLOW_DETAIL_EXPAND3(...)                                                                                   \
  DATAFLOW_DETAIL_EXPAND2(DATAFLOW_DETAIL_EXPAND2(DATAFLOW_DETAIL_EXPAND2(DATAFLOW_DETAIL_EXPAND2(__VA_ARGS__))))
#define DATAFLOW_DETAIL_EXPAND2(...)                                                                                   \
  DATAFLOW_DETAIL_EXPAND1(DATAFLOW_DETAIL_EXPAND1(DATAFLOW_DETAIL_EXPAND1(DATAFLOW_DETAIL_EXPAND1(__VA_ARGS__))))
#define DATAFLOW_DETAIL_EXPAND1(...) __VA_ARGS__
#define DATAFLOW_DETAIL_EACH(macro, ...)                                                                               \
  __VA_OPT__(DATAFLOW_DETAIL_EXPAND(DATAFLOW_DETAIL_EACH_STEP(macro, __VA_ARGS__)))
#define DATAFLOW_DETAIL_EACH_STEP(macro, first, ...)                                                                   \
  macro(first) __VA_OPT__(, DATAFLOW_DETAIL_EACH_AGAIN DATAFLOW_DETAIL_PARENTHESES(macro, __VA_ARGS__))
#define DATAFLOW_DETAIL_EACH_AGAIN() DATAFLOW_DETAIL_EACH_STEP
#define DATAFLOW_DETAIL_VALUE_OF(field) dataflow_value.field
#define DATAFLOW_DETAIL_NAME_OF(field) #field

#define DATAFLOW_DETAIL_RECORD_BODY(type_name, ...)                                                                    \
  static constexpr const char* type = #type_name;                                                                      \
  static constexpr const char* names[] = {DATAFLOW_DETAIL_EACH(DATAFLOW_DETAIL_NAME_OF, __VA_ARGS__)};                 \
  template <class Value, class Function>                                                                               \
  static constexpr decltype(auto) apply(Value& dataflow_value, Function&& function) {                                  \
    return function(DATAFLOW_DETAIL_EACH(DATAFLOW_DETAIL_VALUE_OF, __VA_ARGS__));                                      \
  }

/// At global scope, after the struct: DATAFLOW_RECORD(type, field...);
#define DATAFLOW_RECORD(type_name, ...)                                                                                \
  template <>                                                                                                          \
  struct dataflow::record_fields<type_name, void> {                                                                    \
    static constexpr bool named = true;                                                                                \
    DATAFLOW_DETAIL_RECORD_BODY(type_name, __VA_ARGS__)                                                                \
  }

/// Inside the class, in any section: DATAFLOW_RECORD_MEMBERS(type, field...)
#define DATAFLOW_RECORD_MEMBERS(type_name, ...)                                                                        \
  friend struct ::dataflow::detail::record_access;                                                                     \
  struct dataflow_record_members {                                                                                     \
    DATAFLOW_DETAIL_RECORD_BODY(type_name, __VA_ARGS__)                                                                \
  };
