#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "records.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace {
template <class T>
void round_trip(const T& value) {
  auto bytes = encoded(value);
  CHECK(bytes.size() >= 1);
  CHECK(decoded<T>(bytes) == value);
  // decoding into an old value forgets it
  auto again = value;
  byte_reader in{bytes};
  codec<T>::decode(again, in);
  CHECK(again == value);
}
template <class T>
std::string shape() {
  return to_string(codec<T>::describe());
}
template <class T>
errc decode_error(std::string_view bytes) {
  try {
    (void)decoded<T>(bytes);
  } catch (const error& e) {
    return e.code();
  }
  return errc::none;
}

struct tree {
  std::vector<tree> children;
};
struct owned {
  std::string text;
};
} // namespace
DATAFLOW_RECORD(tree, children);
template <>
struct dataflow::codec<owned> {
  static constexpr std::uint16_t version = 7;
  static void encode(const owned& value, byte_writer& out) { out.text(value.text); }
  static void decode(owned& value, byte_reader& in) { value.text = in.text(); }
  static schema describe() { return {"owned", {}}; }
  static std::size_t size_of(const owned& value) noexcept { return sizeof value + value.text.size(); }
};

TEST_CASE("numbers, bools, enums and characters come back as they were") {
  round_trip(std::int8_t{-3});
  round_trip(std::numeric_limits<std::int64_t>::min());
  round_trip(std::numeric_limits<std::uint64_t>::max());
  round_trip('x');
  round_trip(true);
  round_trip(shop::color::green);
  round_trip(2.5f);
  round_trip(-0.0);
  CHECK(std::signbit(decoded<double>(encoded(-0.0))));
  auto nan = std::bit_cast<double>(0x7FF8000000000123ull);
  CHECK(std::bit_cast<std::uint64_t>(decoded<double>(encoded(nan))) == 0x7FF8000000000123ull);
}

TEST_CASE("the standard library's types come back as they were") {
  round_trip(std::string{});
  round_trip(std::string{"zero \0 inside", 13});
  round_trip(std::string(70'000, 'x'));
  round_trip(std::optional<std::string>{});
  round_trip(std::optional<std::string>{"x"});
  round_trip(std::optional<int>{5});
  round_trip(std::variant<std::monostate, int, std::string>{});
  round_trip(std::variant<std::monostate, int, std::string>{"text"});
  round_trip(std::pair<int, std::string>{1, "one"});
  round_trip(std::tuple<int, std::string, double>{1, "one", 1.0});
  round_trip(std::array<std::int16_t, 3>{1, 2, 3});
  round_trip(std::array<std::string, 2>{"a", "b"});
  round_trip(std::vector<std::int64_t>{});
  round_trip(std::vector<std::int64_t>{1, 2, 3});
  round_trip(std::vector<bool>{true, false, true});
  round_trip(std::vector<std::string>{"", "a"});
  round_trip(std::vector<std::vector<int>>{{1}, {}, {2, 3}});
  round_trip(std::deque<std::string>{"a", "b"});
  round_trip(std::set<int>{3, 1});
  round_trip(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
  round_trip(std::unordered_set<std::string>{"x", "y"});
  round_trip(std::unordered_map<std::string, int>{{"x", 1}, {"y", 2}});
  round_trip(5ms);
  round_trip(std::chrono::duration<double>{1.5});
  round_trip(timestamp{-5ms});
}

TEST_CASE("structs with named fields come back, nested and with private members") {
  round_trip(some_order());
  round_trip(shop::order{});
  round_trip(shop::account{"ann", 12});
  round_trip(dense_point{1, 2, 3});
  round_trip(padded_point{1, 2, true});
  round_trip(std::vector<shop::order>{some_order(), {}});
}

TEST_CASE("the schema names types and fields") {
  CHECK(shape<std::int8_t>() == "int8");
  CHECK(shape<unsigned long>() == "uint64");
  CHECK(shape<float>() == "float32");
  CHECK(shape<double>() == "float64");
  CHECK(shape<bool>() == "bool");
  CHECK(shape<shop::color>() == "uint8");
  CHECK(shape<raw_point>() == "bytes[16]");
  CHECK(shape<std::string>() == "string");
  CHECK(shape<dense_point>() == "struct dense_point{x: int64, y: int32, z: int32}");
  CHECK(shape<std::vector<shop::item>>() == "list{element: struct shop::item{name: string, count: uint32}}");
  CHECK(shape<std::tuple<int, std::string>>() == "tuple{f0: int32, f1: string}");
  CHECK(shape<std::optional<int>>() == "optional{value: int32}");
  CHECK(shape<timestamp>() == "time[1/1000 s, int64]");
  CHECK(codec<shop::item>::describe() == codec<shop::item>::describe());
  CHECK_FALSE(codec<shop::item>::describe() == codec<dense_point>::describe());
  CHECK_THROWS_WITH_AS(codec<tree>::describe(), doctest::Contains("contains itself"), error);
}

TEST_CASE("hash tables are written in one order, whatever the order of insertion") {
  std::unordered_map<int, int> up, down;
  for (int i = 0; i < 1000; ++i)
    up[i] = i;
  down.reserve(5000);
  for (int i = 999; i >= 0; --i)
    down[i] = i;
  CHECK(encoded(up) == encoded(down));
}

TEST_CASE("padding of raw structs is cleared: equal values have equal bytes") {
  alignas(raw_point) unsigned char dirty[sizeof(raw_point)];
  std::memset(dirty, 0xAB, sizeof dirty);
  auto* p = new (dirty) raw_point;
  p->x = 1;
  p->tag = 'a';
  raw_point clean;
  std::memset(static_cast<void*>(&clean), 0, sizeof clean);
  clean.x = 1;
  clean.tag = 'a';
  CHECK(encoded(*p) == encoded(clean));
  CHECK(decoded<raw_point>(encoded(*p)).tag == 'a');
}

TEST_CASE("what has no codec is told apart") {
  CHECK(has_codec<int>);
  CHECK(has_codec<owned>);
  CHECK(has_codec<raw_point>);
  CHECK_FALSE(has_codec<int*>);
  CHECK_FALSE(has_codec<std::string_view>);
  CHECK_FALSE(has_codec<std::span<int>>);
  CHECK_FALSE(has_codec<std::unique_ptr<int>>);
  CHECK(record_type_of<owned>().version() == 7);
}

TEST_CASE("sizes in memory count what is on the heap") {
  CHECK(codec<int>::size_of(1) == 4);
  CHECK(codec<std::string>::size_of("short") == sizeof(std::string));
  CHECK(codec<std::string>::size_of(std::string(1000, 'x')) >= 1000 + sizeof(std::string));
  shop::order o;
  auto empty = codec<shop::order>::size_of(o);
  CHECK(empty == sizeof o);
  o.items.push_back({std::string(1000, 'x'), 1});
  CHECK(codec<shop::order>::size_of(o) >= empty + 1000 + sizeof(shop::item));
}

TEST_CASE("bytes that encode cannot have written are refused") {
  CHECK(decode_error<bool>("\x02") == errc::malformed_record);
  CHECK(decode_error<padded_point>(std::string(12, '\0') + "\x02") == errc::malformed_record);
  CHECK(decode_error<std::int64_t>("1234567") == errc::malformed_record);
  CHECK(decode_error<std::string>("\x05"
                                  "abcd") == errc::malformed_record);
  CHECK(decode_error<std::optional<int>>(std::string("\x02\0\0\0\0", 5)) == errc::malformed_record);
  CHECK(decode_error<std::variant<int, std::string>>(std::string("\x02", 1)) == errc::malformed_record);
  CHECK(decode_error<std::set<char>>("\x02"
                                     "aa") == errc::malformed_record);
  CHECK(decode_error<std::map<char, char>>("\x02"
                                           "axay") == errc::malformed_record);
  // a count of 2^62 in ten bytes allocates nothing
  CHECK(decode_error<std::vector<std::string>>("\xff\xff\xff\xff\xff\xff\xff\xff\x3f"
                                               "abc") == errc::malformed_record);
  CHECK(decode_error<std::vector<std::int64_t>>("\x02"
                                                "12345678") == errc::malformed_record);
}
