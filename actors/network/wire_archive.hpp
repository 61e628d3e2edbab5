/// Reading and writing the fields of messages between processes: numbers, texts, containers, errors, handles of actors,
/// and every struct with a `fields(archive, x)` that names its members in order.
///
/// One function per struct serves both directions. Numbers stand little-endian in their full width, doubles as their
/// bits (CAF's own encoding of them loses some and loops for others). Handles of actors are kept apart, for CAF to
/// write; in the bytes stand their numbers. Bounds-checked: a reader never reads or allocates more than the bytes give.
/// Threading: not shared between threads. Ownership: the writer owns its buffer, the reader borrows the bytes.
/// Errors: reading throws error{errc::malformed_record}.
#pragma once

#include <dataflow/util/bytes.hpp>
#include <dataflow/util/error.hpp>

#include <caf/actor.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace dataflow::actors {

class wire_writer {
public:
  template <class... Ts>
  void operator()(Ts&... xs) {
    (put(xs), ...);
  }
  std::string take() { return out_.take(); }
  std::vector<caf::actor>& handles() noexcept { return handles_; }

private:
  template <class T>
  void put(T& x) {
    using plain = std::remove_const_t<T>;
    if constexpr (std::is_same_v<plain, bool>)
      out_.fixed(static_cast<std::uint8_t>(x));
    else if constexpr (std::is_arithmetic_v<plain> || std::is_enum_v<plain>)
      out_.fixed(x);
    else
      fields(*this, const_cast<plain&>(x)); // NOLINT: one function for both directions; writing changes nothing
  }
  void put(const std::string& x) { out_.text(x); }
  void put(std::string& x) { out_.text(x); }
  void put(caf::actor& x) {
    if (!x) return out_.varint(0);
    handles_.push_back(x);
    out_.varint(handles_.size());
  }
  void put(const error& x) {
    out_.fixed(x.code());
    out_.text(x.cause());
    out_.text(x.advice());
  }
  void put(error& x) { put(std::as_const(x)); }
  template <class Rep, class Period>
  void put(std::chrono::duration<Rep, Period>& x) {
    out_.fixed(static_cast<std::int64_t>(x.count()));
  }
  template <class Clock, class Duration>
  void put(std::chrono::time_point<Clock, Duration>& x) {
    out_.fixed(static_cast<std::int64_t>(x.time_since_epoch().count()));
  }
  template <class A, class B>
  void put(std::pair<A, B>& x) {
    put(x.first);
    put(x.second);
  }
  template <class T>
  void put(std::optional<T>& x) {
    out_.fixed(static_cast<std::uint8_t>(x.has_value()));
    if (x) put(*x);
  }
  template <class T>
  void put(std::shared_ptr<const T>& x) {
    out_.fixed(static_cast<std::uint8_t>(x != nullptr));
    if (x) put(*x);
  }
  template <class T>
  void put(std::vector<T>& x) {
    sequence(x);
  }
  template <class K, class V, class C>
  void put(std::map<K, V, C>& x) {
    sequence(x);
  }
  template <class S>
  void sequence(S& x) {
    out_.varint(x.size());
    for (auto& e : x)
      put(e);
  }

  byte_writer out_;
  std::vector<caf::actor> handles_;
};

class wire_reader {
public:
  wire_reader(std::string_view bytes, const std::vector<caf::actor>& handles) : in_(bytes), handles_(handles) {}
  template <class... Ts>
  void operator()(Ts&... xs) {
    (get(xs), ...);
  }
  /// Throws when something is left over.
  void finish() const {
    if (!in_.at_end()) damaged("bytes are left over");
  }

private:
  [[noreturn]] static void damaged(const char* what) { throw error{errc::malformed_record, what}; }
  bool flag() {
    const auto b = in_.fixed<std::uint8_t>();
    if (b > 1) damaged("a flag is neither 0 nor 1");
    return b == 1;
  }
  template <class T>
  void get(T& x) {
    if constexpr (std::is_same_v<T, bool>) {
      x = flag();
    } else if constexpr (std::is_enum_v<T>) {
      x = static_cast<T>(in_.fixed<std::underlying_type_t<T>>());
      if (!is_known(x)) damaged("a value that nobody knows");
    } else if constexpr (std::is_arithmetic_v<T>) {
      x = in_.fixed<T>();
    } else {
      fields(*this, x);
    }
  }
  void get(std::string& x) { x = in_.text(); }
  void get(caf::actor& x) {
    const auto n = in_.varint();
    if (n > handles_.size()) damaged("an actor that was not sent along");
    x = n == 0 ? caf::actor{} : handles_[n - 1];
  }
  void get(error& x) {
    const auto code = in_.fixed<errc>();
    std::string cause{in_.text()};
    std::string advice{in_.text()};
    x = code == errc::none ? error{} : error{code, std::move(cause), std::move(advice)};
  }
  template <class Rep, class Period>
  void get(std::chrono::duration<Rep, Period>& x) {
    x = std::chrono::duration<Rep, Period>{in_.fixed<std::int64_t>()};
  }
  template <class Clock, class Duration>
  void get(std::chrono::time_point<Clock, Duration>& x) {
    x = std::chrono::time_point<Clock, Duration>{Duration{in_.fixed<std::int64_t>()}};
  }
  template <class A, class B>
  void get(std::pair<A, B>& x) {
    get(x.first);
    get(x.second);
  }
  template <class T>
  void get(std::optional<T>& x) {
    x.reset();
    if (flag()) get(x.emplace());
  }
  template <class T>
  void get(std::shared_ptr<const T>& x) {
    x = nullptr;
    if (!flag()) return;
    auto made = std::make_shared<T>();
    get(*made);
    x = std::move(made);
  }
  template <class T>
  void get(std::vector<T>& x) {
    x.clear();
    for (auto n = in_.length(); n > 0; --n) // not reserved: what is announced may not come
      get(x.emplace_back());
  }
  template <class K, class V, class C>
  void get(std::map<K, V, C>& x) {
    x.clear();
    for (auto n = in_.length(); n > 0; --n) {
      std::pair<K, V> e;
      get(e);
      x.insert(std::move(e));
    }
  }

  byte_reader in_;
  const std::vector<caf::actor>& handles_;
};

} // namespace dataflow::actors
