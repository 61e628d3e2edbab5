// What `dataflow info` shows.
#include <dataflow/graph/plan_printer.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <tests/support/graph_builder.hpp>

using namespace dataflow;
using dataflow::test::graph_builder;

namespace {

execution_plan plan_of(const graph_builder& b, std::uint32_t slots) {
  return {std::make_shared<const job_graph>(make_job_graph(b.share())), slots};
}

graph_builder example() {
  graph_builder b;
  b.graph.settings.name = "example";
  b.graph.settings.parallelism = 2;
  const auto m = b.op("m", b.source("src", 1));
  b.at(m).uid = "my-map";
  const auto k = b.keyed("k", m);
  b.at(k).uid = "my-count";
  b.sink("out", k);
  b.sink("late", k);
  b.side_output(5, "late");
  for (node_id i : {0u, 3u, 4u})
    b.at(i).uid = "u" + std::to_string(i);
  return b;
}

} // namespace

TEST_CASE("the plan as text: tasks, reasons, slots") {
  CHECK(plan_as_text(plan_of(example(), 4)) ==
        R"(job "example" (bounded): 3 tasks, 5 subtasks, 2 slots, 1 pipelined region

task 1: Source: src
  parallelism 1, max parallelism 128 (default), slot sharing group default
  - Source: src  [uid u0]

task 2: m
  parallelism 2, max parallelism 128 (default), slot sharing group default
  - m  [uid my-map]
  reads task 1 (Source: src): REBALANCE, ALL_TO_ALL, PIPELINED_BOUNDED
    not chained: parallelism 1 -> 2

task 3: k -> (out: Writer, late: Writer)
  parallelism 2, max parallelism 128 (default), slot sharing group default, keyed
  - k  [uid my-count]
    - out: Writer  [uid u3]
    - late: Writer  [uid u4]
  reads task 2 (m): HASH, ALL_TO_ALL, PIPELINED_BOUNDED
    not chained: key_by partitions by hash

2 slots in 1 task manager of 4 slots, holding 5 subtasks
  slot 1 (default): 3 subtasks, of tasks 1, 2, 3
  slot 2 (default): 2 subtasks, of tasks 2, 3
)");
}

TEST_CASE("the plan as text: many slots in few lines, and warnings") {
  graph_builder b;
  b.sink("t4", b.op("t3", b.op("t2", b.source("t1", 10), 20), 4), 16);
  b.op("forgotten", 0, 10);
  const auto text = plan_as_text(plan_of(b, 4));
  CHECK(text.find("20 slots in 5 task managers of 4 slots, holding 16, 12, 10, 8, 4 subtasks\n"
                  "  slots 1-4 (default): 4 subtasks, of tasks 1, 2, 3, 4\n"
                  "  slots 5-10 (default): 3 subtasks, of tasks 1, 2, 4\n"
                  "  slots 11-16 (default): 2 subtasks, of tasks 2, 4\n"
                  "  slots 17-20 (default): 1 subtask, of task 2\n") != std::string::npos);
  CHECK(text.find("warning: operator 'forgotten' has no reader") != std::string::npos);
}

TEST_CASE("the plan as JSON has Flink's shape and the reasons") {
  const auto plan = plan_of(example(), 1);
  const auto json = nlohmann::json::parse(plan_as_json(plan));
  CHECK(json["name"] == "example");
  CHECK(json["slots"] == 2);
  CHECK(json["task_managers"] == 2);
  REQUIRE(json["nodes"].size() == 3);
  const auto& k = json["nodes"][2];
  CHECK(k["id"] == plan.graph().vertices[2].id.to_string());
  CHECK(k["parallelism"] == 2);
  CHECK(k["description"] == "k -> (out: Writer, late: Writer)");
  CHECK(k["key_groups"] == nlohmann::json::parse("[[0,63],[64,127]]"));
  REQUIRE(k["inputs"].size() == 1);
  CHECK(k["inputs"][0] == nlohmann::json{{"num", 0},
                                         {"id", json["nodes"][1]["id"]},
                                         {"ship_strategy", "HASH"},
                                         {"exchange", "pipelined_bounded"},
                                         {"distribution_pattern", "ALL_TO_ALL"},
                                         {"reason", "key_by partitions by hash"}});
  CHECK(k["operators"][1]["parent"] == k["operators"][0]["id"]);
  CHECK(k["operators"][0]["uid"] == "my-count");
}

TEST_CASE("names that are no UTF-8 do not break the JSON") {
  auto b = example();
  b.at(1).name = "caf\xe9";
  CHECK_NOTHROW(nlohmann::json::parse(plan_as_json(plan_of(b, 1))));
}

TEST_CASE("the plan for Graphviz: quotes in names are escaped, feedback is dashed") {
  graph_builder b;
  b.graph.settings.name = "a \"quoted\" name";
  const auto head = b.op("head", b.source("s"));
  b.at(head).kind = node_kind::iteration_head;
  const auto tail = b.op("tail", head);
  b.at(tail).kind = node_kind::iteration_tail;
  b.at(tail).iteration_head = head;
  b.sink("o", head);
  CHECK(plan_as_dot(plan_of(b, 1)) == R"(digraph "a \"quoted\" name" {
  rankdir=LR;
  node [shape=box];
  t1 [label="Source: s\nparallelism 1"];
  t2 [label="head -> (tail, o: Writer)\nparallelism 1"];
  t1 -> t2 [label="FORWARD", tooltip="head of an iteration: the feedback edge is its other input"];
  t2 -> t2 [label="FORWARD", tooltip="feedback edge of an iteration", style=dashed];
}
)");
}
