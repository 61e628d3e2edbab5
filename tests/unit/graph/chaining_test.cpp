// Which operators share a task, how tasks are named, and why the others are apart.
#include <dataflow/graph/job_graph.hpp>

#include <doctest/doctest.h>

#include <tests/support/graph_builder.hpp>

using namespace dataflow;
using dataflow::test::graph_builder;

namespace {

std::vector<std::string> names(const job_graph& g) {
  std::vector<std::string> out;
  for (auto& v : g.vertices)
    out.push_back(v.name);
  return out;
}

using list = std::vector<std::string>;

} // namespace

TEST_CASE("operators of one parallelism become one task") {
  graph_builder b;
  b.sink("out", b.op("f1", b.op("m1", b.source("src"))));
  const auto g = make_job_graph(b.share());
  CHECK(names(g) == list{"Source: src -> m1 -> f1 -> out: Writer"});
  CHECK(g.edges.empty());
  REQUIRE(g.vertices[0].chain.size() == 4);
  CHECK(g.vertices[0].chain[0].parent == no_parent);
  CHECK(g.vertices[0].chain[3].parent == 2);
  CHECK_FALSE(g.vertices[0].chain[1].shares_input);
}

TEST_CASE("a chain is a tree in depth-first order, and an output with several readers is shared") {
  graph_builder b;
  const auto m1 = b.op("m1", b.source("src"));
  const auto a1 = b.op("a1", m1);
  b.sink("oa", a1);
  const auto b1 = b.op("b1", m1);
  b.sink("ob", b.keyed("agg", b1));
  b.sink("oc", b.keyed("agg2", m1));
  const auto g = make_job_graph(b.share());
  REQUIRE(names(g) == list{"Source: src -> m1 -> (a1 -> oa: Writer, b1)", "agg -> ob: Writer", "agg2 -> oc: Writer"});
  const auto& chain = g.vertices[0].chain;
  REQUIRE(chain.size() == 5);
  CHECK(chain[1].children == std::vector<std::uint32_t>{2, 4});
  CHECK(g.node(chain[3]).name == "oa: Writer");
  CHECK(chain[3].parent == 2);
  CHECK(chain[2].shares_input);
  CHECK(chain[4].shares_input);
  CHECK_FALSE(chain[3].shares_input);
  REQUIRE(g.edges.size() == 2);
  CHECK(g.edges[0].producer == 4);
  CHECK(g.edges[0].to == 1);
  CHECK(g.edges[1].producer == 1);
  CHECK(g.edges[1].to == 2);
  CHECK(g.edges[1].ship_strategy() == "HASH");
  CHECK(g.edges[1].reason == "key_by partitions by hash");
  CHECK(g.vertices[0].outputs == std::vector<edge_index>{1, 0});
  CHECK(g.vertices[2].inputs == std::vector<edge_index>{1});
  CHECK(g.vertices[1].keyed);
  CHECK_FALSE(g.vertices[0].keyed);
}

TEST_CASE("every edge that is not chained says why") {
  graph_builder b;
  const auto s = b.source("s", 1);
  const auto m1 = b.op("m1", s, 3);
  auto check = [&](const std::string& reason) {
    const auto g = make_job_graph(b.share());
    REQUIRE(g.edges.size() >= 1);
    CHECK(g.edges.back().reason == reason);
  };
  SUBCASE("another parallelism") {
    b.sink("o", m1, 3);
    check("parallelism 1 -> 3");
  }
  SUBCASE("key_by") {
    b.sink("o", b.keyed("k", m1, 3), 3);
    check("key_by partitions by hash");
  }
  SUBCASE("rebalance") {
    b.sink("o", m1, 3);
    b.partition(partitioning_kind::rebalance);
    check("rebalance deals the records out in turn");
  }
  SUBCASE("broadcast") {
    b.sink("o", m1, 2);
    b.partition(partitioning_kind::broadcast);
    check("broadcast sends every record to all subtasks");
  }
  SUBCASE("rescale") {
    b.sink("o", m1, 3);
    b.partition(partitioning_kind::rescale);
    check("rescale deals the records out in turn to a local group");
  }
  SUBCASE("shuffle") {
    b.sink("o", m1, 3);
    b.partition(partitioning_kind::shuffle);
    check("shuffle spreads the records at random");
  }
  SUBCASE("global") {
    b.sink("o", m1, 3);
    b.partition(partitioning_kind::global);
    check("global sends everything to the first subtask");
  }
  SUBCASE("a user's partitioner") {
    b.sink("o", m1, 3);
    b.partition(partitioning_kind::custom);
    check("a custom partitioner chooses the subtask");
  }
  SUBCASE("a new chain") {
    const auto m2 = b.op("m2", m1, 3);
    b.at(m2).chaining = chaining_strategy::head;
    b.sink("o", m2, 3);
    check("start_new_chain on m2");
  }
  SUBCASE("no chaining at the operator behind") {
    b.at(b.sink("o", m1, 3)).chaining = chaining_strategy::never;
    check("disable_chaining on o: Writer");
  }
  SUBCASE("no chaining at the operator before") {
    b.at(m1).chaining = chaining_strategy::never;
    b.sink("o", m1, 3);
    check("disable_chaining on m1");
  }
  SUBCASE("no chaining in the job") {
    b.graph.settings.chaining_enabled = false;
    b.sink("o", m1, 3);
    check("chaining is disabled for the job (pipeline.operator-chaining.enabled)");
  }
  SUBCASE("another slot sharing group") {
    b.at(b.sink("o", m1, 3)).slot_sharing_group = "blue";
    check("different slot sharing group blue");
  }
  SUBCASE("a union") {
    const auto m2 = b.op("m2", s, 3);
    b.sink("o", b.op("u", {m1, m2}, 3), 3);
    check("union of 2 inputs");
  }
  SUBCASE("two inputs") {
    const auto m2 = b.op("m2", s, 3);
    const auto co = b.two_input("co", m1, m2);
    b.at(co).parallelism = 3;
    b.sink("o", co, 3);
    check("two-input operator");
  }
  SUBCASE("a blocking exchange") {
    b.sink("o", m1, 3);
    b.graph.edges().back().exchange = exchange_kind::blocking;
    check("blocking exchange");
    CHECK(make_job_graph(b.share()).edges.back().result == result_type::blocking);
  }
}

TEST_CASE("chaining can be switched off by the configuration") {
  graph_builder b;
  b.sink("out", b.op("m1", b.source("src")));
  graph_defaults off;
  off.chaining_enabled = false;
  const auto g = make_job_graph(b.share(), off);
  CHECK(names(g) == list{"Source: src", "m1", "out: Writer"});
  CHECK(g.edges[0].ship_strategy() == "FORWARD");
  CHECK(g.edges[0].pattern == distribution_pattern::pointwise);
}

TEST_CASE("a side output chains like any forward edge") {
  graph_builder b;
  const auto p = b.op("p", b.source("src"));
  b.sink("main", p);
  b.sink("late", p);
  b.side_output(7, "late");
  const auto k = b.keyed("k", p);
  b.side_output(7, "late");
  b.sink("o", k);
  const auto g = make_job_graph(b.share());
  REQUIRE(names(g) == list{"Source: src -> p -> (main: Writer, late: Writer)", "k -> o: Writer"});
  const auto& chain = g.vertices[0].chain;
  CHECK_FALSE(chain[2].side_output.has_value());
  CHECK_FALSE(chain[2].shares_input);
  CHECK(chain[3].side_output == std::uint64_t{7});
  CHECK(chain[3].shares_input); // the keyed edge reads the same side output
  CHECK(g.edges[0].side_output == std::uint64_t{7});
  CHECK(g.edges[0].type == &record_type_of<dataflow::test::plain_record>());
}

TEST_CASE("a union is no vertex, and a stream united with itself has two edges") {
  graph_builder b;
  const auto s1 = b.source("s1"), s2 = b.source("s2");
  b.sink("out", b.op("u", {s1, s2, s2}));
  const auto g = make_job_graph(b.share());
  CHECK(names(g) == list{"Source: s1", "Source: s2", "u -> out: Writer"});
  REQUIRE(g.edges.size() == 3);
  for (auto& e : g.edges) {
    CHECK(e.reason == "union of 3 inputs");
    CHECK(e.ship_strategy() == "FORWARD");
    CHECK(e.input == 0);
  }
  CHECK(g.vertices[2].inputs.size() == 3);
}

TEST_CASE("a broadcast edge to a two-input operator stays apart from the data edge") {
  graph_builder b;
  const auto data = b.source("data"), rules = b.source("rules", 1);
  const auto co = b.two_input("apply", data, rules);
  b.partition(partitioning_kind::broadcast);
  b.sink("out", co);
  b.graph.settings.parallelism = 4;
  const auto g = make_job_graph(b.share());
  CHECK(names(g) == list{"Source: data", "Source: rules", "apply -> out: Writer"});
  CHECK(g.edges[0].input == 0);
  CHECK(g.edges[0].ship_strategy() == "FORWARD");
  CHECK(g.edges[0].reason == "two-input operator");
  CHECK(g.edges[1].input == 1);
  CHECK(g.edges[1].ship_strategy() == "BROADCAST");
  CHECK(g.edges[1].pattern == distribution_pattern::all_to_all);
}

TEST_CASE("a diamond whose halves join in a two-input operator") {
  graph_builder b;
  const auto s = b.source("s");
  const auto l = b.op("l", s), r = b.op("r", s);
  b.sink("out", b.two_input("join", l, r));
  const auto g = make_job_graph(b.share());
  CHECK(names(g) == list{"Source: s -> (l, r)", "join -> out: Writer"});
  REQUIRE(g.edges.size() == 2);
  CHECK(g.edges[0].from == 0);
  CHECK(g.edges[0].producer == 1);
  CHECK(g.edges[1].producer == 2);
}

TEST_CASE("an iteration is cut at its head and closed by a feedback edge") {
  graph_builder b;
  const auto head = b.op("Iterate", b.source("s"));
  b.at(head).kind = node_kind::iteration_head;
  const auto body = b.op("body", head);
  const auto tail = b.op("Feedback", body);
  b.at(tail).kind = node_kind::iteration_tail;
  b.at(tail).iteration_head = head;
  b.at(tail).output_type = nullptr;
  b.sink("out", body);
  SUBCASE("implied by the tail") {}
  SUBCASE("given as an edge") { b.graph.connect(tail, head).feedback = true; }
  const auto g = make_job_graph(b.share());
  REQUIRE(names(g) == list{"Source: s", "Iterate -> body -> (Feedback, out: Writer)"});
  REQUIRE(g.edges.size() == 2);
  CHECK_FALSE(g.edges[0].feedback);
  CHECK(g.edges[0].reason == "head of an iteration: the feedback edge is its other input");
  const auto& back = g.edges[1];
  CHECK(back.feedback);
  CHECK(back.from == 1);
  CHECK(back.to == 1);
  CHECK(g.node(g.vertices[1].chain[back.producer]).name == "Feedback");
  CHECK(back.reason == "feedback edge of an iteration");
  CHECK(back.ship_strategy() == "FORWARD");
  CHECK(back.type == &record_type_of<dataflow::test::plain_record>());
  CHECK(g.warnings.empty());
}

TEST_CASE("another slot sharing group is inherited by what follows, and by nobody when inputs differ") {
  graph_builder b;
  const auto s1 = b.source("s1"), s2 = b.source("s2");
  const auto m = b.op("m", s1);
  b.at(m).slot_sharing_group = "blue";
  const auto n = b.op("n", m);
  b.sink("out", b.two_input("co", n, s2));
  const auto g = make_job_graph(b.share());
  REQUIRE(names(g) == list{"Source: s1", "Source: s2", "m -> n", "co -> out: Writer"});
  CHECK(g.vertices[0].slot_sharing_group == "default");
  CHECK(g.vertices[2].slot_sharing_group == "blue");
  CHECK(g.vertices[3].slot_sharing_group == "default");
}

TEST_CASE("what nobody reads is run, with a warning that names it") {
  graph_builder b;
  const auto s = b.source("s");
  b.sink("out", s);
  b.op("forgotten", s);
  const auto g = make_job_graph(b.share());
  CHECK(g.warnings == list{"operator 'forgotten' has no reader: what it emits is dropped"});
}
