// The formats that are stored and sent. Do not change: a difference here makes every stored snapshot unreadable.
#include <dataflow/record/hash.hpp>

#include <doctest/doctest.h>

#include "records.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

TEST_CASE("the bytes of every built-in codec are as they were") {
  CHECK(hex_text(encoded(std::int32_t{-2})) == "feffffff");
  CHECK(hex_text(encoded(true)) == "01");
  CHECK(hex_text(encoded(1.0)) == "000000000000f03f");
  CHECK(hex_text(encoded(std::string{"ab"})) == "026162");
  CHECK(hex_text(encoded(std::string(200, 'x'))).substr(0, 6) == "c80178");
  CHECK(hex_text(encoded(std::optional<std::int16_t>{})) == "00");
  CHECK(hex_text(encoded(std::optional<std::int16_t>{7})) == "010700");
  CHECK(hex_text(encoded(std::variant<std::monostate, std::string>{})) == "0000");
  CHECK(hex_text(encoded(std::variant<std::monostate, std::string>{"a"})) == "010161");
  CHECK(hex_text(encoded(std::pair<std::uint8_t, std::string>{9, "a"})) == "090161");
  CHECK(hex_text(encoded(std::tuple<std::uint8_t, std::uint16_t>{9, 8})) == "090800");
  CHECK(hex_text(encoded(std::array<std::uint16_t, 2>{1, 2})) == "01000200");
  CHECK(hex_text(encoded(std::vector<std::uint16_t>{1, 2})) == "0201000200");
  CHECK(hex_text(encoded(std::vector<bool>{true, false})) == "020100");
  CHECK(hex_text(encoded(std::deque<std::uint8_t>{1, 2})) == "020102");
  CHECK(hex_text(encoded(std::set<std::uint8_t>{2, 1})) == "020102");
  CHECK(hex_text(encoded(std::map<std::uint8_t, bool>{{2, true}, {1, false}})) == "0201000201");
  CHECK(hex_text(encoded(std::unordered_map<std::uint8_t, bool>{{2, true}, {1, false}})) == "0201000201");
  CHECK(hex_text(encoded(std::chrono::milliseconds{3})) == "0300000000000000");
  CHECK(hex_text(encoded(timestamp{3ms})) == "0300000000000000");
  CHECK(hex_text(encoded(dense_point{1, 2, 3})) == "01000000000000000200000003000000");
  CHECK(hex_text(encoded(padded_point{1, 2, true})) == "01000000000000000200000001");
  CHECK(hex_text(encoded(shop::account{"ann", 1})) == "03616e6e0100000000000000");
}

TEST_CASE("the bytes of a batch are as they were") {
  auto pool = batch_pool::make(record_type_of<std::string>());
  auto b = pool->get();
  b.as<std::string>().records.push_back("a");
  b.as<std::string>().records.push_back("bc");
  byte_writer out;
  record_type_of<std::string>().encode(*b, out);
  CHECK(hex_text(out.take()) == "010100000201610262"
                                "63");
  b->timestamps.push_back(timestamp{1ms});
  b->timestamps.push_back(timestamp{2ms});
  b->hashes.push_back(3);
  b->hashes.push_back(4);
  record_type_of<std::string>().encode(*b, out);
  CHECK(hex_text(out.take()) == "0101000302016102626301000000000000000200000000000000"
                                "03000000000000000400000000000000");
}

TEST_CASE("key hashes of version 1 are as they were") {
  REQUIRE(key_hash_version == 1);
  CHECK(key_hash(0) == 0ull);
  CHECK(key_hash(1) == 0x5692161d100b05e5ull);
  CHECK(key_hash(-1) == 0xb4d055fcf2cbbd7bull);
  CHECK(key_hash(std::int64_t{1} << 40) == 0xab4daf7c2673f8ull);
  CHECK(key_hash(1.5) == 0xe72b41d4576e3468ull);
  CHECK(key_hash(std::string{}) == 0x2d06800538d394c2ull);
  CHECK(key_hash(std::string{"flink"}) == 0x8bc26033b770b523ull);
  CHECK(key_hash(std::pair{1, std::string{"a"}}) == 0xa61343d00352e87aull);
  CHECK(key_hash(std::tuple{1, 2, 3}) == 0x66e364bfff1f01bcull);
  CHECK(key_hash(std::vector<int>{1, 2, 3}) == 0x66e364bfff1f01bcull);
  CHECK(key_hash(std::optional<int>{}) == 0xdbd238973a2b148aull);
  CHECK(key_hash(std::optional<int>{1}) == 0xd8261e722523f4e2ull);
  CHECK(key_hash(std::variant<int, std::string>{1}) == 0x708d46dc8499e76cull);
  CHECK(key_hash(dense_point{1, 2, 3}) == 0x66e364bfff1f01bcull);
}
