// Job graphs against those of Flink.
#include <dataflow/graph/job_graph.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <map>
#include <tests/support/graph_builder.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using dataflow::test::graph_builder;
using nlohmann::json;

namespace {

std::vector<json> expected_of(const std::string& name) {
  std::ifstream in{dataflow::test::source_path("tests/golden/data/") + name + "/expected.ndjson"};
  REQUIRE_MESSAGE(in, name);
  std::vector<json> out;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) out.push_back(json::parse(line));
  return out;
}

/// The same lines of our graph. Flink numbers slot sharing groups in the order of their first vertex.
std::vector<json> lines_of(const job_graph& g) {
  std::map<std::string, std::string> groups;
  std::vector<json> out;
  for (auto& v : g.vertices) {
    const auto group = groups.emplace(v.slot_sharing_group, "group-" + std::to_string(groups.size())).first->second;
    auto inputs = json::array();
    for (auto i : v.inputs) {
      const auto& e = g.edges[i];
      inputs.push_back({{"from", g.vertices[e.from].name},
                        {"ship", e.ship_strategy()},
                        {"pattern", to_string(e.pattern)},
                        {"result", to_string(e.result)}});
    }
    out.push_back({{"vertex", v.name},
                   {"parallelism", v.parallelism},
                   {"max_parallelism", v.max_parallelism_set ? static_cast<int>(v.max_parallelism) : -1},
                   {"operators", v.chain.size()},
                   {"slot_group", group},
                   {"inputs", inputs}});
  }
  return out;
}

/// Vertices that do not depend on each other may stand in any order, so inputs must come before their readers and
/// apart from that the lines are a set.
void check(const graph_builder& b, const std::string& name) {
  auto got = lines_of(make_job_graph(b.share())), expected = expected_of(name);
  REQUIRE_FALSE(expected.empty());
  for (std::size_t i = 0; i < got.size(); ++i)
    for (auto& input : got[i]["inputs"])
      CHECK(std::any_of(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(i),
                        [&](auto& v) { return v["vertex"] == input["from"]; }));
  std::sort(got.begin(), got.end());
  std::sort(expected.begin(), expected.end());
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK_MESSAGE(got[i] == expected[i], "got " << got[i].dump() << ", expected " << expected[i].dump());
}

graph_builder at_parallelism(std::uint32_t p) {
  graph_builder b;
  b.graph.settings.parallelism = p;
  return b;
}

} // namespace

TEST_CASE("graph-forward") {
  auto b = at_parallelism(2);
  b.sink("out", b.op("f1", b.op("m1", b.source("src"))));
  check(b, "graph-forward");
}

TEST_CASE("graph-fan-out") {
  auto b = at_parallelism(2);
  const auto m1 = b.op("m1", b.source("src"));
  b.sink("oa", b.op("a1", m1));
  b.sink("ob", b.keyed("agg", b.op("b1", m1)));
  b.sink("oc", b.keyed("agg2", m1));
  check(b, "graph-fan-out");
}

TEST_CASE("graph-keyby") {
  auto b = at_parallelism(2);
  b.sink("out", b.op("m2", b.keyed("agg", b.op("m1", b.source("src")))));
  check(b, "graph-keyby");
}

TEST_CASE("graph-parallelism-change") {
  auto b = at_parallelism(3);
  b.sink("out", b.op("m3", b.op("m2", b.op("m1", b.source("src", 1)), 2), 2), 1);
  check(b, "graph-parallelism-change");
}

TEST_CASE("graph-rebalance") {
  auto b = at_parallelism(2);
  auto last = b.source("src");
  const partitioning_kind kinds[] = {partitioning_kind::rebalance, partitioning_kind::shuffle,
                                     partitioning_kind::rescale, partitioning_kind::global, partitioning_kind::forward};
  for (int i = 0; i < 5; ++i) {
    last = b.op("m" + std::to_string(i + 1), last);
    b.partition(kinds[i]);
  }
  b.sink("out", last);
  check(b, "graph-rebalance");
}

TEST_CASE("graph-slot-sharing-group") {
  auto b = at_parallelism(2);
  const auto m2 = b.op("m2", b.op("m1", b.source("src")));
  b.at(m2).slot_sharing_group = "blue";
  b.sink("out", b.op("m3", m2));
  check(b, "graph-slot-sharing-group");
}

TEST_CASE("graph-start-new-chain") {
  auto b = at_parallelism(2);
  const auto m2 = b.op("m2", b.op("m1", b.source("src")));
  b.at(m2).chaining = chaining_strategy::head;
  b.sink("out", b.op("m3", m2));
  check(b, "graph-start-new-chain");
}

TEST_CASE("graph-two-input") {
  auto b = at_parallelism(2);
  const auto m1 = b.op("m1", b.source("s1"));
  const auto m2 = b.keyed("m2", b.source("s2"));
  b.sink("out", b.op("m3", b.two_input("co", m1, m2)));
  check(b, "graph-two-input");
}
