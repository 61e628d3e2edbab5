/// Records as text, for print and text files.
///
/// Strings as they are, numbers shortest, bool as true and false, durations and timestamps as their count; a type's own
/// operator<< where it has one; structs with named fields as {a, b}, pairs and tuples as (a, b), lists as [a, b], maps
/// as {k=v}, an empty optional as nothing. Anything else does not compile, with one message.
/// Threading: free functions. To format a type of your own, give it an operator<<.
#pragma once

#include <dataflow/record/record.hpp>

#include <charconv>
#include <chrono>
#include <concepts>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace dataflow {

template <class T>
void append_text(std::string& out, const T& value);

namespace detail {

/// A stream that appends to `out`; one per thread, so that <ostream> stays out of this header.
class text_stream {
public:
  explicit text_stream(std::string& out);
  text_stream(const text_stream&) = delete;
  ~text_stream();
  std::ostream& stream() noexcept;

private:
  std::string& out_;
};

template <class T>
concept streamable = requires(std::ostream& stream, const T& value) {
  stream << value;
};
template <class T>
concept text_range = requires(const T& value) {
  value.begin();
  value.end();
};
template <class T>
concept text_map = text_range<T> && requires {
  typename T::mapped_type;
};
template <class T>
concept text_tuple = requires {
  std::tuple_size<T>::value;
};

template <class T>
struct is_variant : std::false_type {};
template <class... T>
struct is_variant<std::variant<T...>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_duration : std::false_type {};
template <class R, class P>
struct is_duration<std::chrono::duration<R, P>> : std::true_type {};
template <class T>
struct is_time_point : std::false_type {};
template <class C, class D>
struct is_time_point<std::chrono::time_point<C, D>> : std::true_type {};

template <class T>
void append_number(std::string& out, T value) {
  char digits[64];
  auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

/// open a, b, c close
template <class Visit>
void append_list(std::string& out, char open, char close, Visit&& visit) {
  out += open;
  bool first = true;
  visit([&](auto&& append) {
    if (!first) out += ", ";
    first = false;
    append();
  });
  out += close;
}

template <class T>
inline constexpr bool always_false = false;

} // namespace detail

template <class T>
void append_text(std::string& out, const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    out.append(std::string_view{value});
  } else if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, char>) {
    out += value;
  } else if constexpr (std::is_arithmetic_v<T>) {
    detail::append_number(out, value);
  } else if constexpr (detail::is_duration<T>::value) {
    append_text(out, value.count());
  } else if constexpr (detail::is_time_point<T>::value) {
    append_text(out, value.time_since_epoch().count());
  } else if constexpr (detail::is_optional<T>::value) {
    if (value)
      append_text(out, *value);
    else
      out += "nothing";
  } else if constexpr (detail::is_variant<T>::value) {
    std::visit([&](const auto& v) { append_text(out, v); }, value);
  } else if constexpr (detail::text_map<T>) {
    detail::append_list(out, '{', '}', [&](auto&& item) {
      for (const auto& [key, mapped] : value)
        item([&, &k = key, &v = mapped] {
          append_text(out, k);
          out += '=';
          append_text(out, v);
        });
    });
  } else if constexpr (detail::streamable<T>) {
    detail::text_stream text{out};
    text.stream() << value;
  } else if constexpr (named_record<T>) {
    detail::append_list(out, '{', '}', [&](auto&& item) {
      record_fields<T>::apply(value, [&](const auto&... field) { (item([&] { append_text(out, field); }), ...); });
    });
  } else if constexpr (detail::text_range<T>) {
    detail::append_list(out, '[', ']', [&](auto&& item) {
      for (const auto& v : value)
        item([&] { append_text(out, static_cast<const typename T::value_type&>(v)); });
    });
  } else if constexpr (detail::text_tuple<T>) {
    detail::append_list(out, '(', ')', [&](auto&& item) {
      std::apply([&](const auto&... v) { (item([&] { append_text(out, v); }), ...); }, value);
    });
  } else if constexpr (std::is_enum_v<T>) {
    append_text(out, static_cast<std::underlying_type_t<T>>(value));
  } else {
    static_assert(detail::always_false<T>,
                  "this type cannot be printed: give it an operator<<, name its fields with DATAFLOW_RECORD, or map "
                  "it to a std::string first");
  }
}

template <class T>
std::string to_text(const T& value) {
  std::string out;
  append_text(out, value);
  return out;
}

} // namespace dataflow
