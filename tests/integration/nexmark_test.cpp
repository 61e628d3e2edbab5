// The Nexmark-shaped queries of the example against the published outputs and checksums for 1,000,000 events.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <sstream>

#include "program.hpp"

TEST_CASE("nexmark queries give the published outputs and checksums") {
  struct published {
    const char* query;
    std::int64_t outputs, checksum;
  };
  for (auto& [query, outputs, checksum] :
       {published{"q0", 920'000, 0x13745efd5b7}, published{"q1", 920'000, 0x12ceeee9fd1},
        published{"q2", 7'811, 0x26a042128}, published{"q3", 6'028, 0x7a0713a6}, published{"q5", 5, 0x163a},
        published{"q7", 1, 0xfffff}, published{"q8", 60'000, 0x4ae2f083d}}) {
    CAPTURE(query);
    const auto ran =
        dataflow::test::dataflow({"run", "--json", "nexmark", "-p", "1", "--query", query, "--events", "1000000"});
    REQUIRE(ran.code == 0);
    std::istringstream lines{ran.out};
    nlohmann::json last;
    for (std::string line; std::getline(lines, line);)
      last = nlohmann::json::parse(line);
    CHECK(last.at("accumulators").at("outputs") == outputs);
    CHECK(last.at("accumulators").at("checksum") == checksum);
  }
}

TEST_CASE("nexmark refuses a query that it does not have, and names those that it has") {
  const auto ran = dataflow::test::dataflow({"run", "nexmark", "--query", "q99"});
  CHECK(ran.code != 0);
  CHECK(ran.err.find("q99") != std::string::npos);
  CHECK(ran.err.find("q0, q1, q2, q3, q5, q7, q8") != std::string::npos);
}
