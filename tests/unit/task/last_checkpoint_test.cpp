// A task whose operators publish with checkpoints: it waits for one more behind the end of its input.
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/task/subtask.hpp>

#include <doctest/doctest.h>

#include "tests/support/test_platform.hpp"

using namespace dataflow;

namespace last_checkpoint_test {

struct waiting_host final : subtask_host {
  void send(std::uint32_t, std::uint32_t, std::uint64_t, std::uint64_t, element e) override {
    if (e.kind == element_kind::end) ++ends;
  }
  void grant(std::uint32_t, std::uint32_t, std::uint64_t) override {}
  void request_split() override {}
  void report_result(std::uint64_t, std::string) override {}
  void snapshot_taken(subtask_snapshot s) override { snapshots.push_back(std::move(s)); }
  void awaits_checkpoint() override { ++waits; }
  std::function<void()> wake_up() override {
    return [] {};
  }
  int waits = 0, ends = 0;
  std::vector<subtask_snapshot> snapshots;
};

/// Publishes how many records there were, with the first checkpoint behind the end.
struct publisher final : stream_operator {
  struct log {
    std::string text;
  };
  explicit publisher(log* l) : log_(l) {}
  void open(operator_context& context) override {
    stream_operator::open(context);
    log_->text += "open ";
  }
  void process(unsigned, batch_slice& slice) override {
    count_ += slice.limit - slice.cursor;
    slice.cursor = slice.limit;
  }
  progress finish() override {
    ended_ = true;
    return progress::done;
  }
  void prepare_snapshot(std::int64_t checkpoint) override {
    log_->text += "prepare " + std::to_string(checkpoint) + " ";
    if (ended_ && last_ == 0) last_ = checkpoint;
  }
  void checkpoint_completed(std::int64_t checkpoint) override {
    if (last_ == 0 || checkpoint < last_ || count_ == 0) return;
    log_->text += "publish " + std::to_string(std::exchange(count_, 0)) + " ";
  }
  bool publishes() const noexcept override { return true; }
  bool awaits_checkpoint() const noexcept override { return ended_ && count_ > 0; }
  log* log_;
  std::size_t count_ = 0;
  std::int64_t last_ = 0;
  bool ended_ = false;
};

subtask_config publishing(publisher::log& log, bool finished = false) {
  subtask_config c;
  c.info.task_name = "task";
  c.channels.resize(1);
  c.credit = {4, 4 << 20};
  stage_config s;
  s.name = s.uid = "sink";
  s.finished = finished;
  s.make = [&log] { return std::make_unique<publisher>(&log); };
  c.stages = {std::move(s)};
  return c;
}
element three_records() {
  batch_ptr b = batch_pool::make(record_type_of<std::int64_t>())->get();
  for (std::int64_t i = 1; i <= 3; ++i)
    b.as<std::int64_t>().records.push_back(i);
  return element::of(std::move(b));
}
element barrier_number(std::int64_t checkpoint) {
  return element::barrier(checkpoint, true, std::make_shared<checkpoint_options>());
}
step_result::kind run_task(subtask& task) {
  for (;;)
    if (const auto r = task.step(); r.what != step_result::kind::again) return r.what;
}

} // namespace last_checkpoint_test
using namespace last_checkpoint_test;

TEST_CASE("a task that publishes waits behind its end until a checkpoint that began there is complete") {
  test::test_platform world;
  waiting_host to;
  task_metrics metrics;
  publisher::log log;
  subtask task{publishing(log), world, to, metrics};
  task.open();
  task.receive(0, 0, 24, three_records());
  task.receive(0, 1, 0, barrier_number(1));
  CHECK(run_task(task) == step_result::kind::wait_input);
  REQUIRE(to.snapshots.size() == 1);
  CHECK(!to.snapshots[0].at_end);
  CHECK(to.waits == 0);
  task.receive(0, 2, 0, element::control(element_kind::end));
  CHECK(run_task(task) == step_result::kind::wait_input);
  CHECK(run_task(task) == step_result::kind::wait_input);
  CHECK(to.waits == 1);
  task.checkpoint_completed(1); // began in front of the end
  CHECK(run_task(task) == step_result::kind::wait_input);
  task.trigger_checkpoint(barrier_number(2));
  REQUIRE(to.snapshots.size() == 2);
  CHECK(to.snapshots[1].at_end);
  CHECK(to.snapshots[1].barrier.value == 2);
  CHECK(run_task(task) == step_result::kind::wait_input);
  task.abort_checkpoint(2);
  task.trigger_checkpoint(barrier_number(3));
  task.checkpoint_completed(3);
  CHECK(run_task(task) == step_result::kind::finished);
  CHECK(log.text == "open prepare 1 prepare 2 prepare 3 publish 3 ");
}

TEST_CASE("a task without anything to publish ends at once") {
  test::test_platform world;
  waiting_host to;
  task_metrics metrics;
  publisher::log log;
  subtask task{publishing(log), world, to, metrics};
  task.open();
  task.receive(0, 0, 0, element::control(element_kind::end));
  CHECK(run_task(task) == step_result::kind::finished);
  CHECK(to.waits == 0);
}

TEST_CASE("an operator that publishes is opened also when the checkpoint says that it had come to its end") {
  test::test_platform world;
  waiting_host to;
  task_metrics metrics;
  publisher::log log;
  auto c = publishing(log, true);
  SUBCASE("if the checkpoint holds something of it") {
    auto stored = std::make_shared<operator_snapshot>();
    stored->states["_committables"].info = {"_committables", state_kind::union_list, ""};
    c.stages[0].restored = stored;
    subtask task{c, world, to, metrics};
    task.open();
    CHECK(log.text == "open ");
  }
  SUBCASE("else not") {
    subtask task{c, world, to, metrics};
    task.open();
    CHECK(log.text.empty());
  }
}
