// The graphs that the DataStream API builds, against Flink's job graphs of the same programs.
#include <dataflow/dataflow.hpp>
#include <dataflow/graph/job_graph.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <map>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using nlohmann::json;

namespace {
json vertex_of(const job_graph& g, const job_vertex& v, std::map<std::string, std::string>& groups) {
  auto inputs = json::array();
  for (auto i : v.inputs) {
    const auto& e = g.edges[i];
    inputs.push_back({{"from", g.vertices[e.from].name},
                      {"ship", e.ship_strategy()},
                      {"pattern", to_string(e.pattern)},
                      {"result", to_string(e.result)}});
  }
  return {{"vertex", v.name},
          {"parallelism", v.parallelism},
          {"max_parallelism", v.max_parallelism_set ? static_cast<int>(v.max_parallelism) : -1},
          {"operators", v.chain.size()},
          {"slot_group", groups.emplace(v.slot_sharing_group, "group-" + std::to_string(groups.size())).first->second},
          {"inputs", inputs}};
}

void check(environment& env, const std::string& name) {
  std::vector<json> expected, got;
  std::ifstream file{dataflow::test::source_path("tests/golden/data/") + name + "/expected.ndjson"};
  for (std::string line; std::getline(file, line);)
    expected.push_back(json::parse(line));
  REQUIRE_FALSE(expected.empty());
  auto g = make_job_graph(env.graph());
  std::map<std::string, std::string> groups;
  for (auto& v : g.vertices)
    got.push_back(vertex_of(g, v, groups));
  std::sort(got.begin(), got.end());
  std::sort(expected.begin(), expected.end());
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK_MESSAGE(got[i] == expected[i], "got " << got[i].dump() << ", expected " << expected[i].dump());
}

using number = std::int64_t;
number same(const number& n) { return n; }
number add(const number& a, const number& b) { return a + b; }
bool all(const number&) { return true; }
number identity_key(const number& n) { return n; }

data_stream<number> numbers_of(environment& env, const char* name) { return env.sequence(1, 10).name(name); }
class writing_sink final : public sink<number> {
  struct writer final : sink_writer<number> {
    void write(const number&) override {}
  };

public:
  std::unique_ptr<sink_writer<number>> make_writer() const override { return std::make_unique<writer>(); }
};
} // namespace

TEST_CASE("the API builds Flink's graphs") {
  environment env;
  env.set_parallelism(2);
  SUBCASE("graph-forward") {
    numbers_of(env, "src").map(same).name("m1").filter(all).name("f1").sink_to(writing_sink{}).name("out");
    check(env, "graph-forward");
  }
  SUBCASE("graph-keyby") {
    numbers_of(env, "src")
        .map(same)
        .name("m1")
        .key_by(identity_key)
        .reduce(add)
        .name("agg")
        .map(same)
        .name("m2")
        .sink_to(writing_sink{})
        .name("out");
    check(env, "graph-keyby");
  }
  SUBCASE("graph-parallelism-change") {
    env.set_parallelism(3);
    numbers_of(env, "src")
        .set_parallelism(1)
        .map(same)
        .name("m1")
        .map(same)
        .name("m2")
        .set_parallelism(2)
        .map(same)
        .name("m3")
        .set_parallelism(2)
        .sink_to(writing_sink{})
        .name("out")
        .set_parallelism(1);
    check(env, "graph-parallelism-change");
  }
  SUBCASE("graph-rebalance") {
    numbers_of(env, "src")
        .rebalance()
        .map(same)
        .name("m1")
        .shuffle()
        .map(same)
        .name("m2")
        .rescale()
        .map(same)
        .name("m3")
        .global()
        .map(same)
        .name("m4")
        .forward()
        .map(same)
        .name("m5")
        .sink_to(writing_sink{})
        .name("out");
    check(env, "graph-rebalance");
  }
  SUBCASE("graph-slot-sharing-group") {
    numbers_of(env, "src")
        .map(same)
        .name("m1")
        .map(same)
        .name("m2")
        .slot_sharing_group("blue")
        .map(same)
        .name("m3")
        .sink_to(writing_sink{})
        .name("out");
    check(env, "graph-slot-sharing-group");
  }
  SUBCASE("graph-start-new-chain") {
    numbers_of(env, "src")
        .map(same)
        .name("m1")
        .map(same)
        .name("m2")
        .start_new_chain()
        .map(same)
        .name("m3")
        .sink_to(writing_sink{})
        .name("out");
    check(env, "graph-start-new-chain");
  }
  SUBCASE("graph-two-input") {
    numbers_of(env, "s1")
        .map(same)
        .name("m1")
        .connect(numbers_of(env, "s2").key_by(identity_key).map(same).name("m2"))
        .map(same, same)
        .name("co")
        .map(same)
        .name("m3")
        .sink_to(writing_sink{})
        .name("out");
    check(env, "graph-two-input");
  }
  SUBCASE("graph-fan-out") {
    auto m1 = numbers_of(env, "src").map(same).name("m1");
    m1.map(same).name("a1").sink_to(writing_sink{}).name("oa");
    m1.filter(all).name("b1").key_by(identity_key).reduce(add).name("agg").sink_to(writing_sink{}).name("ob");
    m1.key_by(identity_key).reduce(add).name("agg2").sink_to(writing_sink{}).name("oc");
    check(env, "graph-fan-out");
  }
}
