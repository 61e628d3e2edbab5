#include <dataflow/record/hash.hpp>
#include <dataflow/record/java_hash.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dataflow {

std::uint64_t hash_bytes(const void* data, std::size_t size) noexcept { return XXH3_64bits(data, size); }

std::int32_t java_hash(double value) noexcept {
  return java_hash(static_cast<std::int64_t>(key_traits<double>::bits(value)));
}

std::int32_t java_hash(float value) noexcept {
  return std::isnan(value) ? 0x7FC00000 : std::bit_cast<std::int32_t>(value);
}

namespace {
constexpr std::uint32_t replacement = 0xFFFD;

/// Takes one code point off the front.
std::uint32_t next_code_point(std::string_view& text) noexcept {
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto first = byte(0);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xC2 && first < 0xE0 ? 2
                             : (first & 0xF0) == 0xE0        ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  auto invalid = [&] {
    text.remove_prefix(1);
    return replacement;
  };
  if (length == 0 || length > text.size()) return invalid();
  std::uint32_t point = length == 1 ? first : first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return invalid();
    point = (point << 6) | (byte(i) & 0x3Fu);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  if (overlong || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return invalid();
  text.remove_prefix(length);
  return point;
}
} // namespace

std::int32_t java_hash(std::string_view utf8) noexcept {
  std::uint32_t h = 0;
  while (!utf8.empty()) {
    auto point = next_code_point(utf8);
    if (point < 0x10000) {
      h = h * 31 + point;
    } else {
      point -= 0x10000;
      h = h * 31 + (0xD800 + (point >> 10));
      h = h * 31 + (0xDC00 + (point & 0x3FF));
    }
  }
  return static_cast<std::int32_t>(h);
}

} // namespace dataflow
