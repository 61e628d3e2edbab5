// A subtask at a barrier: what it remembers, what it lets pass, and how it goes on from there.
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/connectors/generator.hpp>
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/state/operator_list_state.hpp>
#include <dataflow/task/subtask.hpp>

#include <doctest/doctest.h>

#include "tests/support/summing_subtask.hpp"
#include "tests/support/test_platform.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

TEST_CASE("each operator of a chain is remembered as it was when the barrier passed it") {
  test::test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  running_sum::log log;
  auto c = with_channels(2);
  c.stages = {summing_stage("first", &log), summing_stage("second")};
  give_output(c);
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 8, records_of({1, 2}));
  task.receive(0, 1, 0, barrier_of(1));
  task.receive(0, 2, 8, records_of({100}));
  run(task);
  CHECK(to.sent == "1 4");
  CHECK(to.granted[0] == 1); // what waits for the other barrier gives no credit back
  CHECK(to.snapshots.empty());
  task.receive(1, 0, 8, records_of({3}));
  task.receive(1, 1, 0, barrier_of(1));
  run(task);
  CHECK(to.sent == "1 4 10 |1 116");
  CHECK(to.granted[0] == 2);
  REQUIRE(to.snapshots.size() == 1);
  const auto& s = to.snapshots[0];
  CHECK(s.barrier.value == 1);
  CHECK(s.barrier.options);
  CHECK_FALSE(s.failure);
  CHECK(sum_in(s, "first") == 6);
  CHECK(sum_in(s, "second") == 10);
  task.checkpoint_completed(1);
  task.abort_checkpoint(2);
  CHECK(log.notices == "prepare 1 completed 1 aborted 2 ");
}

TEST_CASE("at least once: what came behind a barrier is in the state, and nothing waits") {
  test::test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  auto c = with_channels(2);
  c.stages = {summing_stage("sum")};
  give_output(c);
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 0, barrier_of(1, false));
  task.receive(0, 1, 8, records_of({100}));
  task.receive(1, 0, 8, records_of({3}));
  run(task);
  CHECK(to.sent == "100 103");
  task.receive(1, 1, 0, barrier_of(1, false));
  run(task);
  REQUIRE(to.snapshots.size() == 1);
  CHECK(sum_in(to.snapshots[0], "sum") == 103);
}

TEST_CASE("an operator goes on from its part of a checkpoint") {
  test::test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  auto c = with_channels(1);
  c.stages = {summing_stage("sum")};
  operator_snapshot stored;
  auto& state = stored.states["sum"];
  state.info = {"sum", state_kind::list, "int64"};
  byte_writer bytes;
  bytes.fixed<std::int64_t>(40);
  state.parts.push_back({0, bytes.take()});
  c.stages[0].restored = std::make_shared<const operator_snapshot>(stored);
  give_output(c);
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 8, records_of({2}));
  run(task);
  CHECK(to.sent == "42");
}

TEST_CASE("a state that cannot be written fails the checkpoint, not the task, and holds nobody up") {
  test::test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  running_sum::log log{{}, true};
  auto c = with_channels(1);
  c.stages = {summing_stage("sum", &log), summing_stage("next")};
  give_output(c);
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 0, barrier_of(1));
  task.receive(0, 1, 8, records_of({1}));
  run(task);
  CHECK(to.sent == "|1 1");
  REQUIRE(to.snapshots.size() == 1);
  CHECK(to.snapshots[0].failure.cause().find("operator \"sum\"") != std::string::npos);
  CHECK(to.snapshots[0].failure.cause().find("this state cannot be written") != std::string::npos);
  log.broken = false;
  task.receive(0, 2, 0, barrier_of(2));
  run(task);
  REQUIRE(to.snapshots.size() == 2);
  CHECK_FALSE(to.snapshots[1].failure);
  CHECK(sum_in(to.snapshots[1], "next") == 1);
}

TEST_CASE("a checkpoint that cannot complete here is reported, once") {
  test::test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  auto c = with_channels(2);
  c.stages = {summing_stage("sum")};
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 0, barrier_of(1));
  task.receive(1, 0, 0, barrier_of(2));
  run(task);
  REQUIRE(to.snapshots.size() == 1);
  CHECK(to.snapshots[0].barrier.value == 1);
  CHECK(to.snapshots[0].given_up);
  CHECK(to.snapshots[0].failure.code() == errc::checkpoint_failed);
  task.receive(0, 1, 0, barrier_of(2));
  run(task);
  REQUIRE(to.snapshots.size() == 2);
  CHECK_FALSE(to.snapshots[1].failure);
}

TEST_CASE("behind producers that have finished, a checkpoint begins at the end of the channels") {
  test::test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  auto c = with_channels(1);
  c.stages = {summing_stage("sum")};
  give_output(c);
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 8, records_of({5}));
  task.trigger_checkpoint(barrier_of(3));
  run(task);
  CHECK(to.snapshots.empty());
  task.receive(0, 1, 0, element::control(element_kind::end));
  run(task);
  CHECK(to.sent == "5 |3 end");
  REQUIRE(to.snapshots.size() == 1);
  CHECK(sum_in(to.snapshots[0], "sum") == 5);
  task.trigger_checkpoint(barrier_of(4));
  REQUIRE(to.snapshots.size() == 2);
  CHECK(to.snapshots[1].given_up);
}

namespace {

subtask_config numbers_source(std::int64_t last) {
  subtask_config c;
  c.inputs = 0;
  c.info.task_name = "Source";
  c.source = factories_of(sequence_source{1, last});
  stage_config source;
  source.name = source.uid = "numbers";
  c.stages.push_back(std::move(source));
  c.limits.records = 3;
  give_output(c);
  return c;
}

} // namespace

TEST_CASE("a source: the barrier goes out between two polls, and the positions are those of what went out before") {
  test::test_platform world;
  auto c = numbers_source(20);
  c.stages.push_back(summing_stage("sum"));
  c.stages.back().parent = 0;
  c.outputs[0].stage = 1;
  c.step_time = 0us; // one poll a step
  checkpoint_host to;
  task_metrics metrics;
  subtask task{c, world, to, metrics};
  task.open();
  auto enumerator = c.source->make_enumerator();
  deal_out_splits(task, *enumerator, world);
  task.trigger_checkpoint(barrier_of(1)); // before the first record
  while (to.snapshots.empty())
    task.step();
  CHECK(to.snapshots[0].state.operators.at("numbers").splits.size() == 1);
  CHECK(sum_in(to.snapshots[0], "sum") == 0);
  while (to.sent.size() < 20)
    task.step();
  task.trigger_checkpoint(barrier_of(2));
  while (to.snapshots.size() < 2)
    task.step();
  const auto before = to.sent.substr(0, to.sent.find(" |2"));
  CHECK(before.size() >= 20);
  CHECK(before.size() < 40); // it did not run on before it took notice
  task.no_more_splits();
  run(task);
  CHECK(to.sent.substr(to.sent.size() - 3) == "end");
  task.trigger_checkpoint(barrier_of(3));
  REQUIRE(to.snapshots.size() == 3);
  CHECK(to.snapshots[2].given_up);

  // Another one goes on where it was.
  const auto& taken = to.snapshots[1].state.operators;
  auto again = c;
  again.restored_splits = taken.at("numbers").splits;
  again.stages[1].restored = std::make_shared<const operator_snapshot>(taken.at("sum").states);
  checkpoint_host second;
  task_metrics second_metrics;
  subtask next{again, world, second, second_metrics};
  next.open();
  CHECK(second.requests == 0); // it has something to read
  next.no_more_splits();
  run(next);
  auto all = to.sent;
  all.erase(all.find("|1 "), 3);
  all.erase(all.find("|2 "), 3);
  CHECK(before.substr(3) + " " + second.sent == all);
}

TEST_CASE("what had finished before the checkpoint is not run again") {
  test::test_platform world;
  auto c = numbers_source(20);
  int made = 0;
  c.source->make_reader = [&made]() -> std::unique_ptr<source_driver> {
    ++made;
    throw std::runtime_error("no reader is wanted");
  };
  auto sum = summing_stage("sum");
  sum.make = [&made]() -> std::unique_ptr<stream_operator> {
    ++made;
    return std::make_unique<running_sum>();
  };
  c.stages.push_back(std::move(sum));
  c.outputs[0].stage = 1;
  for (auto& s : c.stages)
    s.finished = true;
  checkpoint_host to;
  task_metrics metrics;
  subtask task{c, world, to, metrics};
  task.open();
  run(task);
  CHECK(task.step().what == step_result::kind::finished);
  CHECK(to.sent == "end");
  CHECK(made == 0);
}
