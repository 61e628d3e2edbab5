// Which tasks restart with a failed one.
#include <dataflow/graph/failover_regions.hpp>

#include <doctest/doctest.h>

#include <tests/support/graph_builder.hpp>

using namespace dataflow;
using dataflow::test::graph_builder;

namespace {

execution_plan plan_of(const graph_builder& b) {
  return {std::make_shared<const job_graph>(make_job_graph(b.share())), 1};
}

using list = std::vector<task_index>;

/// Three tasks of parallelism 2: tasks 0, 1 | 2, 3 | 4, 5. The first two are connected by forward edges.
graph_builder three_tasks() {
  graph_builder b;
  b.graph.settings.parallelism = 2;
  b.graph.settings.chaining_enabled = false;
  b.sink("o", b.keyed("k", b.source("s")));
  return b;
}

} // namespace

TEST_CASE("forward pipelines fail apart from each other") {
  auto b = three_tasks();
  b.graph.edges()[0].partition.reset();
  const auto p = plan_of(b);
  CHECK(tasks_to_restart(p, 2) == list{0, 2, 4});
  CHECK(tasks_to_restart(p, 5) == list{1, 3, 5});
}

TEST_CASE("a keyed exchange ties all subtasks together") {
  CHECK(tasks_to_restart(plan_of(three_tasks()), 5) == list{0, 1, 2, 3, 4, 5});
}

TEST_CASE("with the strategy full, everything restarts") {
  auto b = three_tasks();
  b.graph.edges()[0].partition.reset();
  CHECK(tasks_to_restart(plan_of(b), 2, failover_strategy::full) == list{0, 1, 2, 3, 4, 5});
}

TEST_CASE("behind a blocking exchange only the failed side restarts, and what reads its result") {
  auto b = three_tasks();
  b.graph.edges()[0].exchange = exchange_kind::blocking;
  const auto p = plan_of(b);
  CHECK(tasks_to_restart(p, 4) == list{2, 4});          // its input was kept
  CHECK(tasks_to_restart(p, 0) == list{0, 2, 3, 4, 5}); // whoever reads what it writes again
}

TEST_CASE("a producer whose kept result is lost restarts, too") {
  auto b = three_tasks();
  b.graph.edges()[0].exchange = exchange_kind::blocking;
  const auto lost = [](edge_index, task_index producer) { return producer != 1; };
  CHECK(tasks_to_restart(plan_of(b), 4, failover_strategy::region, lost) == list{1, 2, 3, 4, 5});
}

TEST_CASE("a loop fails as a whole, and so does what feeds it") {
  graph_builder b;
  b.graph.settings.parallelism = 2;
  const auto head = b.op("head", b.source("s"));
  b.at(head).kind = node_kind::iteration_head;
  const auto body = b.keyed("body", head);
  const auto tail = b.op("tail", body);
  b.at(tail).kind = node_kind::iteration_tail;
  b.at(tail).iteration_head = head;
  b.sink("o", body);
  const auto p = plan_of(b);
  CHECK(tasks_to_restart(p, 0).size() == p.tasks().size());
}
