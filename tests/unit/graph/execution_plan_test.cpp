// Subtasks, slots, channels and regions, among them the worked examples that Flink's readers know.
#include <dataflow/graph/execution_plan.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/graph_builder.hpp>

using namespace dataflow;
using dataflow::test::graph_builder;

namespace {

execution_plan plan_of(const graph_builder& b, std::uint32_t slots = 1, const graph_defaults& defaults = {}) {
  return {std::make_shared<const job_graph>(make_job_graph(b.share(), defaults)), slots};
}

std::vector<std::size_t> tasks_per_slot(const execution_plan& p) {
  std::vector<std::size_t> out;
  for (auto& s : p.slots())
    out.push_back(s.tasks.size());
  return out;
}

std::vector<std::size_t> tasks_per_task_manager(const execution_plan& p) {
  std::vector<std::size_t> out(p.task_managers());
  for (auto& s : p.slots())
    out[s.task_manager] += s.tasks.size();
  return out;
}

} // namespace

TEST_CASE("source, filter, map, key_by, process and sink at parallelism 8: 3 tasks, 24 subtasks, 8 slots") {
  graph_builder b;
  const auto m = b.op("map", b.op("filter", b.source("src")));
  const auto sink = b.sink("out", b.keyed("process", m));
  b.graph.settings.parallelism = 8;
  SUBCASE("the sink starts a new chain") {
    b.at(sink).chaining = chaining_strategy::head;
    const auto p = plan_of(b);
    REQUIRE(p.graph().vertices.size() == 3);
    CHECK(p.graph().vertices[0].name == "Source: src -> filter -> map");
    CHECK(p.tasks().size() == 24);
    CHECK(tasks_per_slot(p) == std::vector<std::size_t>(8, 3));
  }
  SUBCASE("process and sink chain otherwise") {
    const auto p = plan_of(b);
    CHECK(p.graph().vertices.size() == 2);
    CHECK(p.tasks().size() == 16);
    CHECK(tasks_per_slot(p) == std::vector<std::size_t>(8, 2));
  }
}

TEST_CASE("a limit of the parallelism changes nothing else: chains, exchanges and max parallelisms stay") {
  graph_builder b;
  const auto mapped = b.op("map", b.source("src", 4), 4);
  b.sink("out", b.op("narrow", b.keyed("count", mapped, 100), 2), 2);
  const auto full = plan_of(b);
  for (const std::uint32_t limit : {1u, 2u, 3u}) {
    graph_defaults defaults;
    defaults.most_parallelism = limit;
    const auto p = plan_of(b, 1, defaults);
    REQUIRE(p.graph().vertices.size() == full.graph().vertices.size());
    for (std::size_t v = 0; v < p.graph().vertices.size(); ++v) {
      const auto &there = p.graph().vertices[v], &before = full.graph().vertices[v];
      CHECK(there.name == before.name);
      CHECK(there.id == before.id);
      CHECK(there.parallelism == std::min(before.parallelism, limit));
      CHECK(there.max_parallelism == before.max_parallelism);
    }
    for (std::size_t e = 0; e < p.graph().edges.size(); ++e)
      CHECK(p.graph().edges[e].partition.kind == full.graph().edges[e].partition.kind);
    CHECK(p.slots().size() == limit);
  }
}

TEST_CASE("parallelisms 10, 20, 4 and 16: 50 subtasks in 20 slots of 5 task managers") {
  graph_builder b;
  b.sink("t4", b.op("t3", b.op("t2", b.source("t1", 10), 20), 4), 16);
  const auto p = plan_of(b, 4);
  CHECK(p.tasks().size() == 50);
  REQUIRE(p.slots().size() == 20);
  const std::uint32_t last_slot_of[] = {10, 20, 4, 16};
  for (std::uint32_t slot = 0; slot < 20; ++slot)
    for (vertex_index v = 0; v < 4; ++v) {
      const auto& tasks = p.slots()[slot].tasks;
      const auto here = std::count_if(tasks.begin(), tasks.end(), [&](auto t) { return p.tasks()[t].vertex == v; });
      CHECK(here == (slot < last_slot_of[v] ? 1 : 0));
    }
  CHECK(tasks_per_slot(p) == std::vector<std::size_t>{4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1});
  CHECK(tasks_per_task_manager(p) == std::vector<std::size_t>{16, 12, 10, 8, 4});
}

TEST_CASE("three tasks: task managers needed for the slots that each has") {
  graph_builder b;
  b.sink("t3", b.keyed("t2", b.source("t1")));
  b.at(2).chaining = chaining_strategy::head;
  graph_defaults flag;
  SUBCASE("parallelism 7 by flag, 13 slots") {
    flag.parallelism = 7;
    const auto p = plan_of(b, 13, flag);
    CHECK(p.task_managers() == 1);
    CHECK(p.tasks().size() == 21);
  }
  SUBCASE("91 in code wins over 7 by flag") {
    flag.parallelism = 7;
    b.graph.settings.parallelism = 91;
    const auto p = plan_of(b, 13, flag);
    CHECK(p.task_managers() == 7);
    CHECK(p.tasks().size() == 273);
  }
  SUBCASE("parallelism 8, 2 slots") {
    flag.parallelism = 8;
    CHECK(plan_of(b, 2, flag).task_managers() == 4);
  }
}

TEST_CASE("slots needed: the largest parallelism of each sharing group, summed") {
  graph_builder b;
  const auto s = b.source("s", 2);
  const auto m = b.op("m", s, 3);
  b.at(m).slot_sharing_group = "blue";
  const auto n = b.op("n", m, 5);
  b.sink("out", n, 1);
  const auto p = plan_of(b, 4);
  REQUIRE(p.slots().size() == 7);
  CHECK(p.slots()[1].slot_sharing_group == "default");
  CHECK(p.slots()[2].slot_sharing_group == "blue");
  CHECK(p.slots()[2].index_in_group == 0);
  CHECK(p.task_managers() == 2);
  CHECK(p.tasks()[p.task_of(1, 2)].slot == 4);
}

TEST_CASE("keyed subtasks own the key groups of Flink's formula") {
  graph_builder b;
  b.sink("o", b.keyed("k", b.source("s", 1), 3), 3);
  const auto p = plan_of(b);
  CHECK(p.tasks()[p.task_of(1, 0)].key_groups == key_group_range{0, 42});
  CHECK(p.tasks()[p.task_of(1, 1)].key_groups == key_group_range{43, 85});
  CHECK(p.tasks()[p.task_of(1, 2)].key_groups == key_group_range{86, 127});
}

TEST_CASE("both ends of every channel agree about it") {
  graph_builder b;
  const auto s1 = b.source("s1", 3), s2 = b.source("s2", 2);
  const auto m = b.op("m", s1, 7);
  b.partition(partitioning_kind::rescale);
  const auto n = b.op("n", s2, 2);
  b.sink("more", b.op("u", {s1, s2}, 4), 4);
  const auto co = b.two_input("co", m, n);
  b.at(co).parallelism = 2;
  b.partition(partitioning_kind::broadcast);
  b.sink("out", co, 2);
  const auto p = plan_of(b);
  std::size_t inputs = 0, outputs = 0;
  for (task_index t = 0; t < p.tasks().size(); ++t) {
    const auto in = p.inputs_of(t), out = p.outputs_of(t);
    inputs += in.size();
    outputs += out.size();
    for (std::uint32_t i = 0; i < in.size(); ++i) {
      const auto back = p.outputs_of(in[i].peer);
      REQUIRE(in[i].peer_position < back.size());
      const auto& o = back[in[i].peer_position];
      CHECK(o.edge == in[i].edge);
      CHECK(o.peer == t);
      CHECK(o.channel == in[i].peer_channel);
      CHECK(o.peer_channel == in[i].channel);
      CHECK(o.peer_position == i);
      CHECK(o.input == in[i].input);
      CHECK(o.gate == in[i].gate);
      CHECK(p.vertex_of(in[i].peer).outputs[o.gate] == o.edge);
    }
  }
  CHECK(inputs == outputs);
  CHECK(inputs == 7 + 7 * 2 + 2 * 2 + (3 + 2) * 4);
}

TEST_CASE("regions: all-to-all edges tie everything together, forward edges only equal subtasks") {
  graph_builder b;
  const auto s = b.source("s", 3);
  const auto m = b.op("m", s, 3);
  b.at(m).chaining = chaining_strategy::head;
  SUBCASE("forward") {
    b.sink("o", m, 3);
    const auto p = plan_of(b);
    REQUIRE(p.regions().size() == 3);
    CHECK(p.regions()[1] == std::vector<task_index>{1, 4});
  }
  SUBCASE("key_by") {
    b.sink("o", b.keyed("k", m, 2), 2);
    CHECK(plan_of(b).regions().size() == 1);
  }
  SUBCASE("a blocking edge cuts") {
    const auto k = b.keyed("k", m, 2);
    b.graph.edges().back().exchange = exchange_kind::blocking;
    b.sink("o", k, 2);
    const auto p = plan_of(b);
    CHECK(p.regions().size() == 5);
    CHECK(p.tasks()[p.task_of(2, 1)].region == 4);
  }
  SUBCASE("pieces that never meet") {
    b.sink("o", m, 3);
    b.sink("o2", b.source("other", 2), 2);
    CHECK(plan_of(b).regions().size() == 5);
  }
}

TEST_CASE("a task manager without slots is refused") {
  graph_builder b;
  b.sink("o", b.source("s"));
  CHECK_THROWS_WITH_AS(plan_of(b, 0), doctest::Contains("0 slots"), error);
}
