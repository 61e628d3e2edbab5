/// Bounds-checked little-endian reading and writing of bytes: the ground of every codec and format.
///
/// Threading: not shared between threads. Ownership: the writer owns its buffer, the reader borrows its bytes.
/// Errors: reading past the end throws error{errc::malformed_record}; nothing is read out of bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace dataflow {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are written on little-endian machines only");

class byte_writer {
public:
  void raw(const void* data, std::size_t size) { out_.append(static_cast<const char*>(data), size); }
  template <class T>
  void fixed(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    raw(&value, sizeof value);
  }
  /// Unsigned LEB128.
  void varint(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }
  /// Length (varint), then the bytes.
  void text(std::string_view value) {
    varint(value.size());
    raw(value.data(), value.size());
  }
  std::size_t size() const noexcept { return out_.size(); }
  void clear() noexcept { out_.clear(); }
  std::string& buffer() noexcept { return out_; }
  std::string take() noexcept { return std::move(out_); }

private:
  std::string out_;
};

class byte_reader {
public:
  explicit byte_reader(std::string_view bytes) noexcept : at_(bytes.data()), end_(at_ + bytes.size()) {}
  template <class S>
  requires std::is_same_v<S, std::string>
  explicit byte_reader(S&&) = delete; ///< a temporary: the bytes would be gone
  std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  bool at_end() const noexcept { return at_ == end_; }
  /// The next size bytes; throws when there are fewer.
  std::string_view raw(std::size_t size) {
    if (size > remaining()) fail(size);
    std::string_view bytes{at_, size};
    at_ += size;
    return bytes;
  }
  template <class T>
  T fixed() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, raw(sizeof value).data(), sizeof value);
    return value;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      auto byte = static_cast<std::uint8_t>(raw(1)[0]);
      if (shift == 63 && byte > 1) break;
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    fail_varint();
  }
  std::string_view text() { return raw(length()); }
  /// A count or length that cannot exceed the bytes that remain (each element takes at least min_element bytes).
  std::size_t length(std::size_t min_element = 1);

private:
  [[noreturn]] void fail(std::size_t wanted) const;
  [[noreturn]] void fail_varint() const;
  const char* at_;
  const char* end_;
};

} // namespace dataflow
