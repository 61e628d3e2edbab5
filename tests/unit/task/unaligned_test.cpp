// A subtask under barriers that overtake: what is in its snapshot, and how another one goes on from it.
#include <dataflow/connectors/generator.hpp>
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/record/key_groups.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <set>

#include "tests/support/error_of.hpp"
#include "tests/support/stored_objects.hpp"
#include "tests/support/summing_subtask.hpp"
#include "tests/support/test_platform.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace unaligned_test {

element overtaking(std::int64_t checkpoint, std::chrono::milliseconds timeout = 0ms) {
  checkpoint_options o;
  o.alignment = timeout == 0ms ? barrier_alignment::unaligned : barrier_alignment::aligned_first;
  o.aligned_timeout = timeout;
  o.triggered = 10ms;
  return element::barrier(checkpoint, true, std::make_shared<checkpoint_options>(o));
}

/// Sums of numbers from two channels; the output has credit for so many batches.
subtask_config summing(std::int64_t credit, bool second_stage = false) {
  auto c = with_channels(2);
  c.stages = {summing_stage("sum")};
  if (second_stage) c.stages.push_back(summing_stage("sum of sums"));
  for (std::uint32_t i = 0; i < 2; ++i) {
    c.channels[i].overtakes = true;
    c.channels[i].number = i;
  }
  c.edges = {{0, &record_type_of<std::int64_t>(), "numbers", 3, false}};
  give_output(c);
  c.outputs[0].gate.initial_credit = {credit, 1 << 20};
  c.outputs[0].gate.limits.records = 1; // nothing is collected
  c.outputs[0].gate.overtakes = true;
  c.outputs[0].peer = "reader";
  c.outputs[0].edge = 1;
  return c;
}

/// "edge 3 of numbers, channel 1: 5 6 ": records under way.
std::string under_way(const std::vector<channel_state>& channels) {
  std::string text;
  for (auto& c : channels) {
    text += (text.empty() ? "" : ", ") + c.peer + " " + std::to_string(c.edge) + "/" + std::to_string(c.channel) + ":";
    for (auto& e : c.elements)
      for (auto n : e.data.as<std::int64_t>().records)
        text += " " + std::to_string(n);
  }
  return text;
}

/// What another subtask gets of a snapshot: through the storage, as it was written.
subtask_config going_on_from(subtask_config c, const subtask_snapshot& s) {
  object_shelf shelf;
  auto out = shelf.create("object");
  const auto summary = write_subtask_state(s.state, out);
  const subtask_state_reader reader{summary.object, shelf.opener()};
  for (auto& stage : c.stages)
    stage.restored = std::make_shared<const operator_snapshot>(reader.read(stage.uid).states);
  c.restored_inputs = reader.read(c.stages[0].uid).inputs;
  for (auto& channel : c.restored_inputs) {
    CHECK(channel.peer == "numbers");
    CHECK(channel.edge == 3);
    CHECK(channel.schema == "int64");
    channel.edge = 0; // the position among the edges that it reads now
  }
  return c;
}

} // namespace unaligned_test

using namespace unaligned_test;

TEST_CASE("a barrier overtakes input and output of a task without credit, and another one goes on from there") {
  test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  for (const bool two_stages : {false, true}) {
    CAPTURE(two_stages);
    to = {};
    const auto c = summing(1, two_stages);
    subtask task{c, world, to, metrics};
    task.open();
    task.receive(0, 0, 8, records_of({1}));
    task.receive(0, 1, 8, records_of({2}));
    task.receive(1, 0, 8, records_of({3}));
    task.receive(1, 1, 8, records_of({4}));
    run(task);
    CHECK(to.sent == "1"); // the second sum waits for credit, the others have not been read
    task.receive(0, 2, 0, overtaking(1));
    task.receive(0, 3, 8, records_of({100}));
    run(task);
    CHECK(to.sent == "1 |1");
    CHECK(to.passed == std::vector<std::int64_t>{1});
    CHECK(to.snapshots.empty()); // the other channel may still bring something
    task.receive(1, 2, 8, records_of({5}));
    task.receive(1, 3, 0, overtaking(1));
    run(task);
    REQUIRE(to.snapshots.size() == 1);
    const auto& s = to.snapshots[0];
    CHECK_FALSE(s.failure);
    CHECK(sum_in(s, "sum") == 3);
    CHECK(under_way(s.state.operators.at("sum").inputs) == "numbers 3/1: 3 4 5");
    CHECK(under_way(s.state.operators.at(two_stages ? "sum of sums" : "sum").outputs) ==
          (two_stages ? "reader 1/0: 4" : "reader 1/0: 3"));
    task.credit(0, 0, 100, 1 << 20);
    run(task);
    CHECK(to.sent ==
          (two_stages ? "1 |1 4 " : "1 |1 3 ") + (two_stages ? std::string{"10 20 130 245"} : "6 10 110 115"));

    checkpoint_host second;
    task_metrics second_metrics;
    subtask next{going_on_from(summing(100, two_stages), s), world, second, second_metrics};
    next.open();
    next.receive(0, 0, 8, records_of({100}));
    run(next);
    CHECK(second.sent == (two_stages ? "10 20 35 150" : "6 10 15 115"));
  }
}

TEST_CASE("what a restored task has not processed yet is in its next checkpoint, in front") {
  test_platform world;
  task_metrics metrics;
  checkpoint_host first;
  subtask task{summing(0), world, first, metrics};
  task.open();
  task.receive(0, 0, 8, records_of({1}));
  task.receive(1, 0, 8, records_of({2, 3}));
  run(task);
  task.receive(0, 1, 0, overtaking(1));
  task.receive(1, 1, 0, overtaking(1));
  run(task);
  REQUIRE(first.snapshots.size() == 1);
  checkpoint_host second;
  task_metrics second_metrics;
  auto c = going_on_from(summing(0), first.snapshots[0]);
  c.outputs[0].gate.initial_credit = {0, 0};
  subtask again{c, world, second, second_metrics};
  again.open();
  again.receive(0, 0, 8, records_of({4}));
  again.receive(0, 1, 0, overtaking(2));
  again.receive(1, 0, 0, overtaking(2));
  run(again);
  REQUIRE(second.snapshots.size() == 1);
  CHECK(sum_in(second.snapshots[0], "sum") == 1);
  CHECK(under_way(second.snapshots[0].state.operators.at("sum").inputs) == "numbers 3/0: 2 3, numbers 3/0: 4");
}

TEST_CASE("a barrier is aligned until its time has come, counted from the trigger, on either side of the task") {
  test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  subtask task{summing(1), world, to, metrics};
  task.open();
  task.receive(0, 0, 0, overtaking(1, 50ms));
  task.receive(0, 1, 8, records_of({100}));
  task.receive(1, 0, 8, records_of({1}));
  auto result = task.step();
  CHECK(result.what == step_result::kind::wait_input);
  CHECK(result.at == 60ms);
  CHECK(to.sent == "1");
  world.time.advance_to(59ms);
  run(task);
  CHECK(to.sent == "1");
  world.time.advance_to(60ms);
  run(task);
  CHECK(to.sent == "1 |1");
  task.receive(1, 1, 0, overtaking(1, 50ms));
  run(task);
  REQUIRE(to.snapshots.size() == 1);
  CHECK(sum_in(to.snapshots[0], "sum") == 1);
  CHECK(under_way(to.snapshots[0].state.operators.at("sum").inputs) == "");

  SUBCASE("aligned in time, but the output waits for credit") {
    task.receive(0, 2, 0, overtaking(2, 100ms));
    task.receive(1, 2, 0, overtaking(2, 100ms));
    run(task);
    CHECK(to.sent == "1 |1"); // 101 and the barrier wait
    CHECK(to.passed.size() == 1);
    world.time.advance_to(110ms);
    run(task);
    CHECK(to.sent == "1 |1 |2");
    REQUIRE(to.snapshots.size() == 2);
    CHECK(sum_in(to.snapshots[1], "sum") == 101);
    CHECK(under_way(to.snapshots[1].state.operators.at("sum").outputs) == "reader 1/0: 101");
  }
  SUBCASE("the output gets credit in time") {
    task.receive(0, 2, 0, overtaking(2, 100ms));
    task.receive(1, 2, 0, overtaking(2, 100ms));
    run(task);
    task.credit(0, 0, 100, 1 << 20);
    run(task);
    CHECK(to.sent == "1 |1 101 |2");
    REQUIRE(to.snapshots.size() == 2);
    CHECK_FALSE(to.snapshots[1].state.has_in_flight());
  }
}

TEST_CASE("a barrier that was aligned and waits in the output is overtaken there, before the snapshot is handed in") {
  test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  auto c = summing(0);
  c.outputs[0].gate.limits.records = 100; // collected: the batch is sealed by the barrier
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 8, records_of({5}));
  task.receive(0, 1, 0, overtaking(1, 100ms));
  task.receive(1, 0, 0, overtaking(1, 100ms));
  run(task);
  CHECK(to.sent == "");
  CHECK(to.passed == std::vector<std::int64_t>{1});
  CHECK(to.snapshots.empty());
  world.time.advance_to(110ms);
  run(task);
  CHECK(to.sent == "|1");
  REQUIRE(to.snapshots.size() == 1);
  CHECK(under_way(to.snapshots[0].state.operators.at("sum").outputs) == "reader 1/0: 5");
}

TEST_CASE("a task that is aborted while it records says nothing, and the next checkpoint is whole") {
  test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  subtask task{summing(1), world, to, metrics};
  task.open();
  task.receive(0, 0, 0, overtaking(1));
  task.receive(1, 0, 8, records_of({1}));
  task.receive(1, 1, 8, records_of({2}));
  run(task);
  task.abort_checkpoint(1);
  task.receive(1, 2, 0, overtaking(1));
  run(task);
  CHECK(to.snapshots.empty());
  task.receive(1, 3, 8, records_of({4}));
  task.receive(1, 4, 0, overtaking(2));
  task.receive(0, 1, 0, overtaking(2));
  run(task);
  REQUIRE(to.snapshots.size() == 1);
  CHECK(to.sent == "|1 1 |2"); // the first one overtook what was not even read
  CHECK(sum_in(to.snapshots[0], "sum") == 3);
  CHECK(under_way(to.snapshots[0].state.operators.at("sum").inputs) == "numbers 3/1: 4");
  CHECK(under_way(to.snapshots[0].state.operators.at("sum").outputs) == "reader 1/0: 3");
}

TEST_CASE("a snapshot that is waited for in vain is given up when a later barrier comes in its place") {
  test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  subtask task{summing(100), world, to, metrics};
  task.open();
  task.receive(0, 0, 0, overtaking(1));
  run(task);
  task.receive(1, 0, 8, records_of({1}));
  task.receive(1, 1, 0, overtaking(2));
  task.receive(0, 1, 0, overtaking(2));
  run(task);
  REQUIRE(to.snapshots.size() == 2);
  CHECK(to.snapshots[0].barrier.value == 1);
  CHECK(to.snapshots[0].given_up);
  CHECK(to.snapshots[1].barrier.value == 2);
  CHECK_FALSE(to.snapshots[1].failure);
}

TEST_CASE("a source without credit lets its barrier go") {
  test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  subtask_config c;
  c.inputs = 0;
  c.info.task_name = "Source";
  c.source = factories_of(sequence_source{1, 1000});
  c.stages.resize(1);
  c.stages[0].name = c.stages[0].uid = "numbers";
  c.limits.records = 3;
  give_output(c);
  c.outputs[0].gate.initial_credit = {1, 1 << 20};
  c.outputs[0].gate.limits.records = 3;
  c.outputs[0].gate.overtakes = true;
  auto enumerator = c.source->make_enumerator();
  subtask task{c, world, to, metrics};
  task.open();
  deal_out_splits(task, *enumerator, world);
  run(task);
  CHECK(to.sent == "1 2 3");
  task.trigger_checkpoint(overtaking(1));
  run(task);
  CHECK(to.sent == "1 2 3 |1");
  REQUIRE(to.snapshots.size() == 1);
  CHECK(under_way(to.snapshots[0].state.operators.at("numbers").outputs) == " 0/0: 4 5 6");
  CHECK(to.snapshots[0].state.operators.at("numbers").splits.size() == 1);
}

namespace unaligned_test {

/// Takes a millisecond for each record.
class slow_last final : public stream_operator {
public:
  explicit slow_last(manual_clock& clock) : clock_(clock) {}
  void process(unsigned, batch_slice& slice) override {
    clock_.advance(1ms * static_cast<std::int64_t>(slice.limit - slice.cursor));
    slice.cursor = slice.limit;
  }

private:
  manual_clock& clock_;
};

} // namespace unaligned_test

TEST_CASE("a slow operator in the chain does not hold a barrier up for more than a few records") {
  test_platform world;
  checkpoint_host to;
  task_metrics metrics;
  auto c = summing(100);
  c.outputs.clear();
  c.stages.push_back(summing_stage("slow"));
  c.stages[1].make = [&] { return std::make_unique<slow_last>(world.time); };
  subtask task{c, world, to, metrics};
  task.open();
  const std::vector<std::int64_t> thousand(1000, 1);
  for (std::uint64_t i = 0; i < 4; ++i)
    task.receive(1, i, 8, records_of(thousand));
  while (world.time.now() < 700ms) // in the middle of a batch
    task.step();
  const auto before = world.time.now();
  task.receive(0, 0, 0, overtaking(1));
  while (to.passed.empty())
    task.step();
  CHECK(world.time.now() - before < 25ms);
  task.receive(1, 4, 0, overtaking(1));
  run(task);
  REQUIRE(to.snapshots.size() == 1);
  std::size_t left = 0;
  for (auto& channel : to.snapshots[0].state.operators.at("sum").inputs)
    for (auto& e : channel.elements)
      left += e.data->size();
  CHECK(sum_in(to.snapshots[0], "sum") + static_cast<std::int64_t>(left) == 4000);
}

TEST_CASE("records of a hash edge that were under way go to whoever has their key groups now, each once") {
  using keyed = std::pair<std::int64_t, std::int64_t>;
  const auto key = [](const keyed& r) { return r.first; };
  hash_partitioner<keyed, decltype(key)> hashes{key};
  const auto pool = batch_pool::make(record_type_of<keyed>());
  random_source random{3};
  for (std::uint32_t parallelism : {1u, 2u, 3u, 5u, 16u}) {
    std::multiset<keyed> all, kept;
    for (int round = 0; round < 20; ++round) {
      auto b = pool->get();
      const auto n = 1 + random.below(200);
      for (std::uint64_t i = 0; i < n; ++i)
        b.as<keyed>().records.push_back(
            {static_cast<std::int64_t>(random.below(1000)), static_cast<std::int64_t>(random())});
      std::vector<std::uint32_t> targets(n);
      b->hashes.resize_for_overwrite(n);
      hashes.select(*b, 0, n, 1, 16, targets.data(), b->hashes.data());
      all.insert(b.as<keyed>().records.begin(), b.as<keyed>().records.end());
      const auto e = in_flight(b, true, 16);
      std::uint32_t least = 16, most = 0;
      for (std::uint32_t t = 0; t < parallelism; ++t) {
        byte_writer out;
        b->type().encode(*b, out);
        auto copy = pool->get();
        byte_reader bytes{out.buffer()};
        b->type().decode(bytes, *copy);
        const auto mine = only_key_groups(std::move(copy), range_of(t, parallelism, 16), 16, pool);
        if (!mine) continue;
        REQUIRE(mine->hashes.size() == mine->size());
        for (std::size_t i = 0; i < mine->size(); ++i) {
          const auto group = key_group_of(mine->hashes[i], 16);
          CHECK(subtask_of(group, parallelism, 16) == t);
          least = std::min(least, group);
          most = std::max(most, group);
          kept.insert(mine.as<keyed>().records[i]);
        }
      }
      CHECK(e.key_groups == key_group_range{least, most});
    }
    CHECK(kept == all);
  }
}
