#include <dataflow/checkpoint/checkpoint_coordinator.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>

using namespace dataflow;
using std::chrono::milliseconds;

namespace checkpoint_coordinator_test {
using namespace std::chrono_literals;

namespace {

/// source (2 subtasks) -> map (2 subtasks) -> sink; tasks 0, 1 | 2, 3 | 4.
checkpoint_plan pipeline(bool enumerators = false) {
  checkpoint_plan plan;
  plan.job_id = "job";
  plan.job_name = "name";
  plan.leader = 3;
  for (std::uint32_t i = 0; i < 2; ++i)
    plan.tasks.push_back({"Source (" + std::to_string(i + 1) + "/2)", i, 2, 128, {{"src", "Source", enumerators}}, {}});
  for (std::uint32_t i = 0; i < 2; ++i)
    plan.tasks.push_back(
        {"Map (" + std::to_string(i + 1) + "/2)", i, 2, 128, {{"map", "Map"}, {"filter", "Filter"}}, {0, 1}});
  plan.tasks.push_back({"Sink (1/1)", 0, 1, 128, {{"sink", "Sink"}}, {2, 3}});
  return plan;
}

checkpoint_settings every(milliseconds interval) {
  checkpoint_settings s;
  s.interval = interval;
  s.directory = "/c";
  return s;
}

/// Runs a coordinator in virtual time.
struct driver {
  explicit driver(checkpoint_settings settings = every(100ms), bool enumerators = false)
      : c(pipeline(enumerators), settings, "/c/job") {
    c.start(now, now);
  }
  void run_all() {
    for (std::uint32_t t = 0; t < 5; ++t)
      c.task_running({t, 0}, now, now);
  }
  checkpoint_actions to(milliseconds t) {
    now = t;
    return c.time_passed(now, now);
  }
  checkpoint_coordinator::acknowledgement ack(std::uint64_t id, std::uint32_t task, std::uint32_t attempt = 0,
                                              subtask_summary part = {}, bool at_end = false) {
    return c.acknowledge(id, {task, attempt}, std::move(part), at_end, now, now);
  }
  /// The rest of a checkpoint's acknowledgements and its metadata.
  checkpoint_actions finish(std::uint64_t id, std::vector<std::uint32_t> tasks = {0, 1, 2, 3, 4}) {
    checkpoint_actions last;
    for (auto t : tasks)
      last = ack(id, t).actions;
    REQUIRE(last.writes.size() == 1);
    return c.metadata_written(id, now, now);
  }
  milliseconds now{0};
  checkpoint_coordinator c;
};

subtask_summary stored(const std::string& name) {
  subtask_summary s;
  s.object = {object_scope::exclusive, name, 10, 1, {}};
  return s;
}

std::vector<std::uint32_t> numbers(const std::vector<task_attempt>& tasks) {
  std::vector<std::uint32_t> out;
  for (auto& t : tasks)
    out.push_back(t.task);
  return out;
}

using tasks_list = std::vector<std::uint32_t>;

} // namespace

TEST_CASE("a periodic checkpoint begins at the sources and is complete when all tasks have acknowledged") {
  driver d;
  d.run_all();
  CHECK(d.c.next_wake_up() == 100ms);
  CHECK(d.to(99ms).triggers.empty());
  auto a = d.to(100ms);
  REQUIRE(a.triggers.size() == 1);
  CHECK(a.triggers[0].id == 1);
  CHECK(numbers(a.triggers[0].tasks) == tasks_list{0, 1});
  CHECK(a.triggers[0].options.directory == "/c/job/chk-1");
  CHECK(a.triggers[0].options.alignment == barrier_alignment::aligned);
  CHECK(d.c.in_progress() == 1);
  for (std::uint32_t t = 0; t < 4; ++t)
    CHECK(d.ack(1, t).actions.writes.empty());
  auto last = d.ack(1, 4, 0, stored("sink-0"));
  CHECK(last.result == ack_result::accepted);
  REQUIRE(last.actions.writes.size() == 1);
  CHECK(d.c.is_writing());
  CHECK(d.c.last_completed() == 0); // not before its metadata is there
  auto& m = last.actions.writes[0].metadata;
  CHECK(m.id == 1);
  CHECK(m.leader == 3);
  CHECK(m.job_name == "name");
  CHECK(m.triggered_at == 100);
  REQUIRE(m.operators.size() == 4); // filter, map, sink, src
  CHECK(m.operators[0].uid == "filter");
  CHECK(m.operators[2].parts[0].subtask == std::nullopt); // the sink handed in no state of operators, only an object
  CHECK(m.operators[3].parallelism == 2);
  CHECK(m.subtasks.size() == 1);
  const auto done = d.c.metadata_written(1, d.now, d.now);
  REQUIRE(done.completions.size() == 1);
  CHECK(numbers(done.completions[0].tasks) == tasks_list{0, 1, 2, 3, 4});
  CHECK(d.c.last_completed() == 1);
  CHECK_FALSE(d.c.is_writing());
  CHECK(d.c.in_progress() == 0);
  REQUIRE(d.c.history().size() == 1);
  CHECK(d.c.history()[0].state == checkpoint_record::status::completed);
  CHECK(d.c.history()[0].acknowledged == 5);
  CHECK(d.c.history()[0].bytes == 10);
  CHECK(d.c.next_wake_up() == 200ms);
  CHECK(d.to(200ms).triggers[0].id == 2);
}

TEST_CASE("what the tasks hand in becomes the metadata, operator by operator") {
  driver d{every(100ms), true};
  d.run_all();
  auto a = d.to(100ms);
  CHECK(a.triggers.empty());
  REQUIRE(a.snapshot_enumerators.size() == 1);
  CHECK(a.snapshot_enumerators[0].uids == std::vector<std::string>{"src"});
  CHECK(d.ack(1, 0).result == ack_result::unknown_task); // it has not been triggered
  a = d.c.enumerators_snapshotted(1, {{"src", "files"}}, d.now, d.now);
  REQUIRE(a.triggers.size() == 1);
  subtask_summary map1 = stored("map-1");
  map1.operators = {{"filter", {{{"f", state_kind::keyed, "int"}, 2, 5}}, {}, {}}, {"map", {}, {}, {{false, 0, 4}}}};
  subtask_summary source0;
  source0.operators = {{"src", {}, {{"split", "at 3"}}, {}}};
  d.ack(1, 0, 0, source0);
  d.ack(1, 1, 0, {}, true);
  d.ack(1, 2);
  d.ack(1, 3, 0, map1);
  const auto m = d.ack(1, 4).actions.writes.at(0).metadata;
  CHECK(m.unaligned);
  CHECK(m.find("src")->enumerator == "files");
  CHECK(m.find("src")->parts[0].splits == std::vector<source_split>{{"split", "at 3"}});
  CHECK(m.find("src")->parts[1].finished);
  CHECK_FALSE(m.find("src")->finished());
  CHECK(m.find("filter")->parts[1].subtask == 0u);
  CHECK(m.find("filter")->parts[1].states.size() == 1);
  CHECK(m.find("map")->parts[1].subtask == 0u); // both in the same object
  CHECK(m.find("map")->parts[0].subtask == std::nullopt);
  REQUIRE(m.subtasks.size() == 1);
  CHECK(m.subtasks[0].object.name == "map-1");
}

TEST_CASE("checkpoints begin only when all tasks run, and the reason is told") {
  driver d;
  CHECK_FALSE(d.c.next_wake_up());
  for (std::uint32_t t = 0; t < 4; ++t)
    d.c.task_running({t, 0}, d.now, d.now);
  CHECK_FALSE(d.c.next_wake_up());
  d.now = 30ms;
  d.c.task_running({4, 0}, d.now, d.now);
  CHECK(d.c.next_wake_up() == 130ms); // an interval after the last one runs
  d.c.task_gone({2, 0}, d.now, d.now);
  auto a = d.to(130ms);
  CHECK(a.triggers.empty());
  REQUIRE(a.skips.size() == 1);
  CHECK(a.skips[0].why == checkpoint_failure::tasks_not_running);
  CHECK(a.skips[0].text == "task 'Map (1/2)' is not running");
  d.now = 150ms;
  d.c.task_running({2, 1}, d.now, d.now);
  CHECK(d.c.next_wake_up() == 250ms);
  CHECK(d.to(250ms).triggers.size() == 1);
  CHECK(d.c.failures_in_a_row() == 0);
}

TEST_CASE("late, stale, doubled and unknown acknowledgements are refused and their objects discarded") {
  driver d;
  d.run_all();
  d.to(100ms);
  CHECK(d.ack(1, 2, 1, stored("x")).result == ack_result::stale_attempt);
  CHECK(d.ack(1, 2, 1, stored("x")).actions.discards.at(0).objects.at(0).name == "x");
  CHECK(d.ack(1, 9, 0, stored("x")).result == ack_result::unknown_task);
  CHECK(d.ack(1, 2, 0, stored("y")).result == ack_result::accepted);
  const auto doubled = d.ack(1, 2, 0, stored("y"));
  CHECK(doubled.result == ack_result::duplicate);
  CHECK(doubled.actions.discards.empty()); // it is the one that counts
  CHECK(d.ack(7, 2, 0, stored("z")).result == ack_result::unknown);
  CHECK(d.ack(0, 2).result == ack_result::unknown);
  d.finish(1, {0, 1, 3, 4});
  const auto late = d.ack(1, 2, 0, stored("y"));
  CHECK(late.result == ack_result::late);
  CHECK(d.c.decline(1, {2, 0}, error{errc::io_failed, "x"}, d.now, d.now).result == ack_result::late);
  CHECK(d.c.metadata_written(1, d.now, d.now).completions.empty()); // told twice
}

TEST_CASE("a late acknowledgement of a completed checkpoint does not take its objects away") {
  driver d;
  d.run_all();
  d.to(100ms);
  d.ack(1, 2, 0, stored("y"));
  d.finish(1, {0, 1, 3, 4});
  CHECK(d.ack(1, 2, 0, stored("y")).actions.discards.empty());
}

TEST_CASE("state of an operator that the task does not run fails the checkpoint") {
  driver d;
  d.run_all();
  d.to(100ms);
  auto part = stored("x");
  part.operators = {{"sink", {}, {}, {}}};
  const auto a = d.ack(1, 2, 0, part).actions;
  REQUIRE(a.aborts.size() == 1);
  CHECK(a.aborts[0].why == checkpoint_failure::declined);
  CHECK(d.c.history()[0].failure.find("operator 'sink', which it does not run") != std::string::npos);
}

TEST_CASE("a checkpoint that takes too long is given up, and what it stored is discarded") {
  auto s = every(100ms);
  s.timeout = 50ms;
  s.tolerable_failures = 1;
  driver d{s};
  d.run_all();
  d.to(100ms);
  d.ack(1, 0, 0, stored("a"));
  CHECK(d.c.next_wake_up() == 150ms);
  const auto a = d.to(150ms);
  REQUIRE(a.aborts.size() == 1);
  CHECK(a.aborts[0].why == checkpoint_failure::expired);
  CHECK(numbers(a.aborts[0].tasks) == tasks_list{0, 1, 2, 3, 4});
  REQUIRE(a.discards.size() == 1);
  CHECK(a.discards[0].objects.size() == 1);
  CHECK(a.discards[0].directory);
  CHECK(a.discards[0].options.directory == "/c/job/chk-1");
  CHECK(
      d.c.history()[0].failure ==
      "checkpoint 1 failed: it took longer than execution.checkpointing.timeout: 'Source (2/2)' has not acknowledged, "
      "nor have 3 others");
  CHECK_FALSE(a.fail_job);
  const auto late = d.ack(1, 1, 0, stored("b"));
  CHECK(late.result == ack_result::late);
  CHECK(late.actions.discards.at(0).objects.at(0).name == "b");
  d.to(200ms);
  for (std::uint32_t t = 0; t < 5; ++t)
    d.ack(2, t);
  CHECK(d.to(900ms).aborts.empty()); // while its metadata is being written, it is not given up
  CHECK(d.c.metadata_written(2, d.now, d.now).completions.size() == 1);
}

TEST_CASE("more failures in a row than are tolerable fail the job") {
  struct row {
    checkpoint_failure why;
    bool counts;
  };
  using enum checkpoint_failure;
  for (auto& r : std::initializer_list<row>{{declined, true},
                                            {expired, true},
                                            {enumerator_failed, true},
                                            {write_failed, true},
                                            {subsumed, false},
                                            {task_failed, false},
                                            {task_finished, false},
                                            {task_not_ready, false},
                                            {shut_down, false},
                                            {tasks_not_running, false},
                                            {too_many_requests, false},
                                            {stopping, false}})
    CHECK_MESSAGE(counts_as_failure(r.why) == r.counts, to_string(r.why));

  auto s = every(100ms);
  s.tolerable_failures = 2;
  driver d{s};
  d.run_all();
  const auto fail = [&](std::uint64_t id) {
    d.to(d.now + 100ms);
    return d.c.decline(id, {2, 0}, error{errc::io_failed, "disk"}, d.now, d.now).actions;
  };
  CHECK_FALSE(fail(1).fail_job);
  CHECK_FALSE(fail(2).fail_job);
  d.to(d.now + 100ms);
  d.finish(3); // a success in between
  CHECK(d.c.failures_in_a_row() == 0);
  CHECK_FALSE(fail(4).fail_job);
  CHECK_FALSE(fail(5).fail_job);
  const auto a = fail(6);
  REQUIRE(a.fail_job);
  CHECK(
      a.fail_job->to_string() ==
      "checkpoint_failed: checkpoint 6 failed: a task declined it: 'Map (1/2)': disk; 3 in a row, and 2 are tolerable "
      "(see the cause, or raise execution.checkpointing.tolerable-failed-checkpoints)");
  CHECK_FALSE(fail(7).fail_job); // counted anew
}

TEST_CASE("by default the first failure fails the job, but not one by a lost task") {
  driver d;
  d.run_all();
  d.to(100ms);
  auto a = d.c.task_gone({3, 0}, d.now, d.now);
  REQUIRE(a.aborts.size() == 1);
  CHECK(a.aborts[0].why == checkpoint_failure::task_failed);
  CHECK_FALSE(a.fail_job);
  d.c.task_running({3, 1}, d.now, d.now);
  d.to(300ms);
  const auto e = d.c.metadata_failed(2, error{errc::disk_full, "full"}, d.now, d.now);
  CHECK(e.aborts.empty()); // it is not being written yet
  for (std::uint32_t t : {0u, 1u, 2u, 4u})
    d.ack(2, t);
  d.ack(2, 3, 1);
  a = d.c.metadata_failed(2, error{errc::disk_full, "full"}, d.now, d.now);
  REQUIRE(a.aborts.size() == 1);
  CHECK(a.aborts[0].why == checkpoint_failure::write_failed);
  CHECK(a.fail_job);
}

TEST_CASE("at most so many checkpoints at a time; one that is due meanwhile begins when there is room") {
  for (std::uint32_t most : {1u, 2u}) {
    auto s = every(100ms);
    s.max_concurrent = most;
    driver d{s};
    d.run_all();
    std::size_t begun = 0;
    for (auto t = 100ms; t <= 500ms; t += 100ms)
      begun += d.to(t).triggers.size();
    CHECK(begun == most);
    CHECK(d.c.in_progress() == most);
    d.now = 550ms;
    const auto a = d.finish(1); // only one of those that were due: they do not pile up
    CHECK(a.triggers.size() == 1);
    CHECK(a.triggers[0].id == most + 1);
    CHECK(d.c.next_wake_up() == 600ms);
  }
}

TEST_CASE("a completed checkpoint ends those that began before it, but not savepoints") {
  auto s = every(100ms);
  s.max_concurrent = 4;
  driver d{s};
  d.run_all();
  d.to(100ms);
  d.c.request_savepoint(50, "/s", after_savepoint::go_on, d.now, d.now);
  d.to(200ms);
  d.to(300ms);
  CHECK(d.c.in_progress() == 4);
  const auto a = d.finish(3);
  REQUIRE(a.aborts.size() == 1);
  CHECK(a.aborts[0].id == 1);
  CHECK(a.aborts[0].why == checkpoint_failure::subsumed);
  CHECK(d.c.in_progress() == 2); // the savepoint and checkpoint 4
  const auto b = d.finish(2);
  REQUIRE(b.answers.size() == 1);
  CHECK(b.answers[0].request == 50);
  CHECK(b.answers[0].directory == "/s");
  CHECK_FALSE(b.answers[0].failure);
  CHECK(b.completions.empty()); // a savepoint on the way publishes nothing
  CHECK(d.c.last_completed() == 3);
}

TEST_CASE("the minimum pause counts from the end of the checkpoint before, and only for periodic ones") {
  auto s = every(100ms);
  s.min_pause = 80ms;
  driver d{s};
  d.run_all();
  d.to(100ms);
  d.now = 150ms;
  d.finish(1);
  CHECK(d.to(200ms).triggers.empty());
  CHECK(d.c.next_wake_up() == 230ms);
  const auto a = d.to(230ms);
  REQUIRE(a.triggers.size() == 1);
  d.now = 240ms;
  d.finish(2);
  CHECK(d.c.request_checkpoint(9, d.now, d.now).triggers.size() == 1); // does not wait
  d.now = 250ms;
  const auto b = d.finish(3);
  CHECK(b.answers.at(0).request == 9);
  CHECK(b.answers.at(0).directory == "/c/job/chk-3");
  CHECK(d.c.next_wake_up() == 330ms); // an interval after the delayed one
  CHECK(d.to(329ms).triggers.empty());
  CHECK(d.to(330ms).triggers.size() == 1);

  s.interval = 10ms; // shorter than the pause: the pause is the interval
  driver e{s};
  e.run_all();
  CHECK(e.c.next_wake_up() == 80ms);
}

TEST_CASE("savepoints go before periodic checkpoints and are always aligned") {
  auto s = every(100ms);
  s.unaligned = true;
  s.aligned_timeout = 7ms;
  driver d{s};
  d.run_all();
  auto a = d.to(100ms);
  CHECK(a.triggers[0].options.alignment == barrier_alignment::aligned_first);
  CHECK(a.triggers[0].options.aligned_timeout == 7ms);
  d.to(200ms); // one is due
  d.c.request_checkpoint(1, d.now, d.now);
  a = d.c.request_savepoint(2, "/s/a", after_savepoint::go_on, d.now, d.now);
  CHECK(a.triggers.empty());
  a = d.finish(1);
  REQUIRE(a.triggers.size() == 1);
  CHECK(a.triggers[0].options.kind == checkpoint_kind::savepoint);
  CHECK(a.triggers[0].options.alignment == barrier_alignment::aligned);
  CHECK(a.triggers[0].options.directory == "/s/a");
  a = d.finish(2);
  REQUIRE(a.triggers.size() == 1); // then the requested one, then the periodic one
  CHECK(a.triggers[0].options.directory == "/c/job/chk-3");
  a = d.finish(3);
  CHECK(a.answers.at(0).request == 1);
  CHECK(a.triggers.at(0).id == 4);
}

TEST_CASE("a savepoint that stops the job lets no other begin") {
  driver d;
  d.run_all();
  d.to(100ms);
  auto a = d.c.request_savepoint(5, "/s", after_savepoint::drain, d.now, d.now);
  CHECK(a.triggers.empty());
  CHECK(d.c.request_savepoint(6, "/t", after_savepoint::go_on, d.now, d.now).answers.at(0).failure.cause() ==
        "the savepoint was not begun: the job is being stopped with a savepoint");
  CHECK(d.to(200ms).skips.empty());
  a = d.finish(1);
  REQUIRE(a.triggers.size() == 1);
  CHECK(a.triggers[0].options.after == after_savepoint::drain);
  CHECK(d.to(300ms).triggers.empty());
  a = d.finish(2);
  REQUIRE(a.completions.size() == 1); // what depends on it is published
  CHECK(a.completions[0].kind == checkpoint_kind::savepoint);
  CHECK(a.completions[0].after == after_savepoint::drain);
  CHECK(d.to(900ms).triggers.empty());
}

TEST_CASE("a stop with savepoint that fails half-way fails the job; one that was not triggered does not") {
  driver d{every(100ms), true};
  d.run_all();
  d.c.request_savepoint(5, "/s", after_savepoint::suspend, d.now, d.now);
  auto a = d.c.enumerators_failed(1, error{errc::io_failed, "no"}, d.now, d.now);
  CHECK_FALSE(a.fail_job);
  CHECK(a.answers.at(0).failure.code() == errc::checkpoint_failed);
  CHECK(d.to(100ms).snapshot_enumerators.size() == 1); // periodic ones go on
  d.c.enumerators_snapshotted(2, {}, d.now, d.now);
  d.finish(2);
  d.c.request_savepoint(6, "/s", after_savepoint::suspend, d.now, d.now);
  d.c.enumerators_snapshotted(3, {}, d.now, d.now);
  a = d.c.decline(3, {4, 0}, error{errc::io_failed, "no"}, d.now, d.now).actions;
  CHECK(a.fail_job);
}

TEST_CASE("failed savepoints do not count against the job") {
  driver d;
  d.run_all();
  d.c.request_savepoint(5, "/s", after_savepoint::go_on, d.now, d.now);
  const auto a = d.c.decline(1, {4, 0}, error{errc::io_failed, "no"}, d.now, d.now).actions;
  CHECK_FALSE(a.fail_job);
  CHECK(a.answers.at(0).failure.to_string() ==
        "checkpoint_failed: savepoint 1 failed: a task declined it: 'Sink (1/1)': no (ask for it again)");
  CHECK(a.discards.at(0).options.directory == "/s");
}

TEST_CASE("requests that cannot be fulfilled are answered") {
  driver d;
  auto a = d.c.request_savepoint(1, "/s", after_savepoint::suspend, d.now, d.now);
  CHECK(a.answers.at(0).failure.cause() ==
        "the savepoint was not begun: not all tasks run: task 'Source (1/2)' is not running");
  d.run_all();
  d.c.request_checkpoint(2, d.now, d.now); // begins
  for (std::uint64_t i = 0; i < 1000; ++i)
    CHECK(d.c.request_checkpoint(3 + i, d.now, d.now).answers.empty());
  CHECK(d.c.request_checkpoint(2000, d.now, d.now).answers.at(0).failure.cause() ==
        "the checkpoint was not begun: too many requests wait already");
  a = d.c.stop(d.now, d.now);
  CHECK(a.aborts.at(0).why == checkpoint_failure::shut_down);
  CHECK(a.answers.size() == 1001);
  CHECK(d.c.request_checkpoint(1, d.now, d.now).answers.at(0).failure.cause() ==
        "the checkpoint was not begun: the job is at its end");
  CHECK_FALSE(d.c.next_wake_up());
}

TEST_CASE("without a directory there are savepoints, and no checkpoints") {
  checkpoint_coordinator c{pipeline(), checkpoint_settings{}, ""};
  c.start(0ms, 0ms);
  for (std::uint32_t t = 0; t < 5; ++t)
    c.task_running({t, 0}, 0ms, 0ms);
  CHECK_FALSE(c.next_wake_up());
  CHECK(c.request_checkpoint(1, 0ms, 0ms).answers.at(0).failure.cause() ==
        "the checkpoint was not begun: execution.checkpointing.dir is not set");
  CHECK(c.request_savepoint(2, "/s", after_savepoint::go_on, 0ms, 0ms).triggers.size() == 1);
}

TEST_CASE("finished tasks take part without being asked, and barriers begin behind them") {
  driver d;
  d.run_all();
  d.c.task_finished({0, 0}, d.now, d.now);
  auto a = d.to(100ms);
  CHECK(numbers(a.triggers.at(0).tasks) == tasks_list{1});
  for (std::uint32_t t : {1u, 2u, 3u})
    d.ack(1, t);
  auto m = d.ack(1, 4).actions.writes.at(0).metadata;
  CHECK(m.find("src")->parts[0].finished);
  CHECK_FALSE(m.find("src")->parts[1].finished);
  CHECK(numbers(d.c.metadata_written(1, d.now, d.now).completions.at(0).tasks) == tasks_list{1, 2, 3, 4});

  d.c.task_finished({1, 0}, d.now, d.now);
  d.c.task_finished({3, 0}, d.now, d.now);
  a = d.to(200ms);
  CHECK(numbers(a.triggers.at(0).tasks) == tasks_list{2}); // the sink still has a producer
  // One that ends before it has seen the barrier ends the checkpoint; one that has acknowledged does not.
  d.ack(2, 2);
  CHECK(d.c.task_finished({2, 0}, d.now, d.now).aborts.empty());
  a = d.c.task_finished({4, 0}, d.now, d.now);
  REQUIRE(a.aborts.size() == 1);
  CHECK(a.aborts[0].why == checkpoint_failure::task_finished);
  CHECK_FALSE(a.fail_job);
  a = d.to(300ms);
  CHECK(a.triggers.empty());
  CHECK(a.skips.at(0).text == "all tasks have finished");
}

TEST_CASE("a lost task ends what is under way, but not what is being written") {
  auto s = every(100ms);
  s.max_concurrent = 2;
  driver d{s};
  d.run_all();
  d.to(100ms);
  d.to(200ms);
  for (std::uint32_t t = 0; t < 5; ++t)
    d.ack(1, t);
  const auto a = d.c.task_gone({2, 0}, d.now, d.now);
  REQUIRE(a.aborts.size() == 1);
  CHECK(a.aborts[0].id == 2);
  CHECK(d.c.is_writing());
  const auto done = d.c.metadata_written(1, d.now, d.now);
  CHECK(numbers(done.completions.at(0).tasks) == tasks_list{0, 1, 3, 4});
  CHECK(d.c.last_completed() == 1);
  // News of an old attempt change nothing.
  d.c.task_running({2, 1}, d.now, d.now);
  d.to(350ms);
  CHECK(d.c.in_progress() == 1);
  CHECK(d.c.task_gone({2, 0}, d.now, d.now).aborts.empty());
  CHECK(d.c.task_finished({2, 0}, d.now, d.now).aborts.empty());
  CHECK(d.c.task_running({2, 0}, d.now, d.now).aborts.empty());
  // A task that runs anew without having been reported lost was lost all the same.
  CHECK(d.c.task_running({2, 2}, d.now, d.now).aborts.size() == 1);
}

TEST_CASE("after a restart numbers go on above the restored checkpoint") {
  checkpoint_coordinator c{pipeline(), every(100ms), "/c/job", 8};
  CHECK(c.next_id() == 8);
  c.restored(11, 0ms, 0ms);
  CHECK(c.next_id() == 12);
  c.restored(3, 0ms, 0ms);
  CHECK(c.next_id() == 12);
}

TEST_CASE("time that jumps makes one checkpoint, not many") {
  driver d;
  d.run_all();
  CHECK(d.to(1050ms).triggers.size() == 1);
  CHECK(d.c.next_wake_up() == 1100ms);
}

} // namespace checkpoint_coordinator_test
