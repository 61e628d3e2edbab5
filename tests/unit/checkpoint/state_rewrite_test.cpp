// Rewriting stored state: JSON back into bytes, and what is said when it does not fit.
#include <dataflow/checkpoint/state_rewrite.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/record.hpp>
#include <dataflow/time/timestamp.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <variant>
#include <vector>

#include "tests/support/error_of.hpp"

namespace state_rewrite_test {
struct visit {
  std::string page;
  std::optional<std::int32_t> depth;
};
struct profile {
  std::string name;
  std::vector<visit> visits;
};
} // namespace state_rewrite_test
DATAFLOW_RECORD(state_rewrite_test::visit, page, depth);
DATAFLOW_RECORD(state_rewrite_test::profile, name, visits);

using namespace dataflow;
using dataflow::test::error_of;

namespace state_rewrite_test {

template <class T>
std::string bytes_of(const T& value) {
  byte_writer out;
  codec<T>::encode(value, out);
  return out.take();
}
template <class T>
void check_there_and_back(const T& value) {
  const auto shape = codec<T>::describe();
  const auto bytes = bytes_of(value);
  byte_reader in{bytes};
  const auto json = json_of(shape, in);
  CAPTURE(json);
  byte_writer out;
  bytes_of_json(shape, json, out);
  CHECK(out.buffer() == bytes);
}
template <class T>
std::string complaint(const char* json) {
  byte_writer out;
  const auto e = error_of([&] { bytes_of_json(codec<T>::describe(), json, out); });
  CHECK(e.code() == errc::malformed_record);
  return e.cause();
}

/// A part with one entry.
std::string entry_with(const char* schema, const std::string& stored, const char* value) {
  return state_decoder{{"s", state_kind::keyed, schema}}.with_value(stored, value);
}

} // namespace state_rewrite_test

using namespace state_rewrite_test;

TEST_CASE("JSON becomes the bytes that it came from, for every standard type") {
  check_there_and_back<std::int8_t>(-5);
  check_there_and_back<std::uint16_t>(65535);
  check_there_and_back(std::numeric_limits<std::int64_t>::min());
  check_there_and_back(std::numeric_limits<std::uint64_t>::max());
  check_there_and_back(1.5);
  check_there_and_back(-2.25f);
  check_there_and_back(std::numeric_limits<double>::infinity());
  check_there_and_back(-std::numeric_limits<float>::infinity());
  check_there_and_back(true);
  check_there_and_back(std::string{"a \"b\" \xc3\xa9"});
  check_there_and_back(std::optional<int>{});
  check_there_and_back(std::optional<int>{3});
  check_there_and_back(std::variant<int, std::string>{"x"});
  check_there_and_back(std::pair<int, std::string>{1, "x"});
  check_there_and_back(std::tuple<int, bool>{1, false});
  check_there_and_back(std::array<int, 2>{4, 5});
  check_there_and_back(std::vector<std::string>{"a", "b"});
  check_there_and_back(std::set<int>{2, 1});
  check_there_and_back(std::map<std::string, int>{{"k", 1}, {"l", 2}});
  check_there_and_back(std::chrono::milliseconds{250});
  check_there_and_back(timestamp{std::chrono::milliseconds{-3}});
  check_there_and_back(profile{"n", {{"p", 2}, {"q", {}}}});
}

TEST_CASE("a value that does not fit its schema is refused with the field's name") {
  CHECK(complaint<std::int8_t>("200") == "the value: 200 is no int8");
  CHECK(complaint<std::uint32_t>("-1") == "the value: -1 is no uint32");
  CHECK(complaint<std::int64_t>("1.5") == "the value: 1.5 is no int64");
  CHECK(complaint<std::uint64_t>("\"7\"") == "the value: \"7\" is no uint64");
  CHECK(complaint<double>("\"much\"") == "the value: \"much\" is no float64");
  CHECK(complaint<float>("1e+300") == "the value: 1e+300 is no float32");
  CHECK(complaint<bool>("1") == "the value: 1 is no bool");
  CHECK(complaint<std::array<int, 2>>("[1]") == "the value: there are 1 elements, not 2");
  CHECK(complaint<std::variant<int, std::string>>(R"({"alternative": 2, "value": 1})") ==
        "'alternative': 2 is none of 2 alternatives");
  CHECK(complaint<profile>(R"({"name": "n", "visits": [{"page": "p", "depth": null}, {"page": 7, "depth": 1}]})") ==
        "'visits[1].page': 7 is no string");
  CHECK(complaint<profile>(R"({"name": "n"})") == "the value: the field 'visits' is missing");
  CHECK(complaint<profile>(R"({"name": "n", "visits": [], "age": 7})").find("there is no field 'age' in struct ") !=
        std::string::npos);
  CHECK(complaint<profile>("7") == "the value: 7 is no object with the field 'name'");
  CHECK(complaint<profile>("{").find("no JSON: ") == 0);
}

TEST_CASE("an entry keeps its key and the time of its last use; one that stays the same keeps its bytes") {
  const auto key = bytes_of(std::string{"k\xff"}); // no UTF-8: its JSON is not what it was
  CHECK(entry_with("string -> int64", key + bytes_of<std::int64_t>(7), "8") == key + bytes_of<std::int64_t>(8));
  const auto used = bytes_of<std::int64_t>(1234), later = bytes_of<std::int64_t>(5678);
  CHECK(entry_with("string -> int64, with time to live", key + used + bytes_of<std::int64_t>(7), "8") ==
        key + used + bytes_of<std::int64_t>(8));
  const std::string two(1, '\2'), three(1, '\3');
  const auto list = key + two + used + bytes_of<std::int32_t>(1) + later + bytes_of<std::int32_t>(2);
  CHECK(entry_with("string -> list of int32, with time to live", list, "[1, 2]") == list);
  CHECK(entry_with("string -> list of int32, with time to live", list, "[1,2,3]") ==
        key + three + later + bytes_of<std::int32_t>(1) + later + bytes_of<std::int32_t>(2) + later +
            bytes_of<std::int32_t>(3));
  const auto map = key + two + bytes_of<std::int32_t>(1) + bytes_of(true) + bytes_of<std::int32_t>(2) + bytes_of(true);
  CHECK(entry_with("string -> map of int32 to bool", map, R"([{"key":1,"value":false},{"key":2,"value":true}])") ==
        key + two + bytes_of<std::int32_t>(1) + bytes_of(false) + bytes_of<std::int32_t>(2) + bytes_of(true));
  CHECK(error_of([&] { entry_with("string -> list of int32", key + two, "7"); }).code() == errc::malformed_record);
}
