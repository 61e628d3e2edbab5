// Defaults: parallelism, maximum parallelism, and the ids under which state is kept.
#include <dataflow/graph/job_graph.hpp>
#include <dataflow/graph/resolved_graph.hpp>

#include <doctest/doctest.h>

#include <set>
#include <tests/support/graph_builder.hpp>

using namespace dataflow;
using dataflow::test::graph_builder;

TEST_CASE("parallelism: operator before environment before configuration before 1") {
  graph_builder b;
  b.sink("out", b.source("s"), 5);
  graph_defaults flags;
  SUBCASE("nothing is set") { CHECK(resolve(b.share(), flags).nodes[0].parallelism == 1); }
  SUBCASE("a flag") {
    flags.parallelism = 7;
    CHECK(resolve(b.share(), flags).nodes[0].parallelism == 7);
  }
  SUBCASE("the environment wins over a flag") {
    flags.parallelism = 7;
    b.graph.settings.parallelism = 91;
    CHECK(resolve(b.share(), flags).nodes[0].parallelism == 91);
  }
  CHECK(resolve(b.share(), flags).nodes[1].parallelism == 5);
}

TEST_CASE("an operator of fixed parallelism has 1, whatever the environment says") {
  graph_builder b;
  const auto w = b.op("window_all", b.source("s"));
  b.at(w).parallelism_fixed = true;
  b.sink("out", w);
  b.graph.settings.parallelism = 4;
  const auto r = resolve(b.share(), {});
  CHECK(r.nodes[w].parallelism == 1);
  CHECK(r.nodes[2].parallelism == 4);
  CHECK(r.edges[0].edge.partition->kind == partitioning_kind::rebalance);
  CHECK(r.edges[1].edge.partition->kind == partitioning_kind::rebalance);
}

TEST_CASE("max parallelism: operator before environment before configuration before the formula") {
  graph_builder b;
  const auto s = b.source("s", 100);
  const auto o = b.sink("out", s, 4);
  graph_defaults flags;
  auto r = resolve(b.share(), flags);
  CHECK(r.nodes[s].max_parallelism == 256); // 150 rounded up
  CHECK(r.nodes[o].max_parallelism == 128);
  CHECK_FALSE(r.nodes[s].max_parallelism_set);
  flags.max_parallelism = 300;
  CHECK(resolve(b.share(), flags).nodes[s].max_parallelism == 300);
  b.graph.settings.max_parallelism = 400;
  CHECK(resolve(b.share(), flags).nodes[s].max_parallelism == 400);
  b.at(s).max_parallelism = 500;
  r = resolve(b.share(), flags);
  CHECK(r.nodes[s].max_parallelism == 500);
  CHECK(r.nodes[o].max_parallelism == 400);
  CHECK(r.nodes[s].max_parallelism_set);
}

TEST_CASE("operator ids come from the structure: names, parallelism and chaining do not change them") {
  auto build = [](bool other) {
    graph_builder b;
    const auto s = b.source(other ? "numbers" : "s");
    const auto m = b.op(other ? "double" : "m", s, other ? 3 : 2);
    b.at(m).chaining = other ? chaining_strategy::never : chaining_strategy::always;
    b.sink("a", m);
    b.sink("b", m);
    return resolve(b.share(), {});
  };
  const auto one = build(false), two = build(true);
  std::set<std::string> ids;
  for (node_id i = 0; i < 4; ++i) {
    CHECK(one.nodes[i].id == two.nodes[i].id);
    ids.insert(one.nodes[i].id.to_string());
  }
  CHECK(ids.size() == 4); // the two sinks, too
  CHECK(ids.begin()->size() == 32);
}

TEST_CASE("a uid keeps an operator's id when the structure around it changes") {
  auto id_of_count = [](bool longer) {
    graph_builder b;
    auto m = b.source("s");
    if (longer) m = b.op("m", m);
    const auto k = b.keyed("count", m);
    b.at(k).uid = "counts";
    b.sink("o", k);
    const auto g = make_job_graph(b.share());
    return g.vertices.back().id;
  };
  CHECK(id_of_count(false) == id_of_count(true));
  // XXH3-128 of "uid counts": stored state is found by it, so it must never change.
  CHECK(id_of_count(false).to_string() == "ccc96a38d2c23af5ba8787e582b6bfd9");
}
