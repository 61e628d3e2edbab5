// Flink's own tables of key groups.
#include <dataflow/record/java_hash.hpp>
#include <dataflow/record/key_groups.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <limits>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using nlohmann::json;

namespace {
std::vector<json> expected_rows(const std::string& name) {
  std::ifstream file{dataflow::test::source_path("tests/golden/data/") + name + "/expected.ndjson"};
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(json::parse(line));
  REQUIRE_FALSE(lines.empty());
  return lines;
}

double number(const std::string& text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  return std::stod(text);
}

std::int32_t java_hash_of(const json& line) {
  const std::string type = line["type"];
  const auto& key = line["key"];
  if (type == "Integer") return java_hash(key.get<std::int32_t>());
  if (type == "Long") return java_hash(key.get<std::int64_t>());
  if (type == "Boolean") return java_hash(key.get<bool>());
  const auto text = key.get<std::string>();
  if (type == "String") return java_hash(text);
  if (type == "Double") return java_hash(number(text));
  if (type == "Float") return java_hash(static_cast<float>(number(text)));
  if (type == "Byte" || type == "Short") return java_hash(static_cast<std::int32_t>(std::stoi(text)));
  if (type == "Character") return java_hash(static_cast<std::int32_t>(text[0]));
  if (text == "(a,1)") return java_hash_tuple("a", 1);
  if (text == "(1,a)") return java_hash_tuple(1, "a");
  if (text == "(a,1,2)") return java_hash_tuple("a", 1, 2);
  FAIL("a key of type ", type, ": ", text);
  return 0;
}
} // namespace

TEST_CASE("keys go to the key groups and subtasks that Flink gives them") {
  for (auto& line : expected_rows("keygroup-assignment")) {
    CAPTURE(line.dump());
    const auto hash = java_hash_of(line);
    CHECK(hash == line["hash_code"].get<std::int32_t>());
    const auto bits = static_cast<std::uint32_t>(hash);
    CHECK(murmur_step(bits) == line["murmur"].get<std::uint32_t>());
    const auto group = key_group_of_hash32(bits, 128);
    CHECK(group == line["group_128"].get<std::uint32_t>());
    CHECK(key_group_of_hash32(bits, 32768) == line["group_32768"].get<std::uint32_t>());
    for (std::uint32_t p : {1u, 3u, 4u, 7u, 128u})
      CHECK(subtask_of(group, p, 128) == line["p" + std::to_string(p)].get<std::uint32_t>());
    CHECK(key_group_of(std::uint64_t{bits} << 32, 128) == group);
  }
}

TEST_CASE("subtasks own the ranges of key groups that Flink gives them") {
  for (auto& line : expected_rows("keygroup-ranges")) {
    const std::uint32_t m = line["max_parallelism"], p = line["parallelism"];
    CAPTURE(m);
    CAPTURE(p);
    REQUIRE(line["ranges"].size() == p);
    for (std::uint32_t i = 0; i < p; ++i) {
      const auto range = range_of(i, p, m);
      CHECK(range.first == line["ranges"][i][0].get<std::uint32_t>());
      CHECK(range.last == line["ranges"][i][1].get<std::uint32_t>());
      for (auto g = range.first; g <= range.last; ++g)
        CHECK(subtask_of(g, p, m) == i);
    }
    for (auto& pair : line["group_to_subtask"])
      CHECK(subtask_of(pair[0], p, m) == pair[1].get<std::uint32_t>());
  }
}

TEST_CASE("the default max parallelism is between 128 and 32768, a power of two") {
  CHECK(default_max_parallelism(1) == 128);
  CHECK(default_max_parallelism(85) == 128);
  CHECK(default_max_parallelism(86) == 256);
  CHECK(default_max_parallelism(170) == 256);
  CHECK(default_max_parallelism(171) == 256);
  CHECK(default_max_parallelism(172) == 512);
  CHECK(default_max_parallelism(20000) == 32768);
  CHECK(default_max_parallelism(32768) == 32768);
}
