// The coordinator and tasks that wait for their last checkpoint.
#include <dataflow/checkpoint/checkpoint_coordinator.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using std::chrono::milliseconds;

namespace last_checkpoint_of_tasks_test {
using namespace std::chrono_literals;

/// source -> first sink, which sends to a second one: tasks 0, 1, 2.
struct line {
  explicit line(std::uint32_t most = 1, milliseconds pause = 0ms) : c(plan(), settings(most, pause), "/c/job") {
    c.start(now, now);
    for (std::uint32_t t = 0; t < 3; ++t)
      c.task_running({t, 0}, now, now);
  }
  static checkpoint_plan plan() {
    checkpoint_plan p;
    for (std::uint32_t t = 0; t < 3; ++t) {
      p.tasks.push_back({"Task " + std::to_string(t), 0, 1, 128, {{"uid" + std::to_string(t), "Task"}}, {}});
      if (t > 0) p.tasks[t].producers = {t - 1};
    }
    return p;
  }
  static checkpoint_settings settings(std::uint32_t most, milliseconds pause) {
    checkpoint_settings s;
    s.interval = 1000ms;
    s.min_pause = pause;
    s.directory = "/c";
    s.max_concurrent = most;
    s.tolerable_failures = 100;
    return s;
  }
  static std::vector<std::uint32_t> first(const checkpoint_actions& a) {
    std::vector<std::uint32_t> out;
    for (auto& t : a.triggers)
      for (auto& task : t.tasks)
        out.push_back(task.task);
    return out;
  }
  checkpoint_actions complete(std::uint64_t id, const std::vector<std::uint32_t>& tasks) {
    checkpoint_actions last;
    for (auto t : tasks)
      last = c.acknowledge(id, {t, 0}, {}, true, now, now).actions;
    REQUIRE(last.writes.size() == 1);
    written = last.writes[0].metadata;
    return c.metadata_written(id, now, now);
  }
  milliseconds now{0};
  checkpoint_coordinator c;
  checkpoint_metadata written;
};
using tasks_list = std::vector<std::uint32_t>;

} // namespace last_checkpoint_of_tasks_test
using namespace last_checkpoint_of_tasks_test;

TEST_CASE("the last checkpoint begins as soon as all tasks that run wait for it, at each of them, and once") {
  for (const std::uint32_t most : {1u, 3u}) {
    line l{most, 500ms};
    CHECK(l.c.task_finished({0, 0}, l.now, l.now).triggers.empty());
    CHECK(l.c.task_awaits_last({1, 0}, l.now, l.now).triggers.empty());
    const auto a = l.c.task_awaits_last({2, 0}, l.now, l.now);
    CHECK(line::first(a) == tasks_list{1, 2}); // no barrier comes through a task that is at its end
    CHECK(l.c.in_progress() == 1);
    CHECK(l.c.task_awaits_last({2, 0}, l.now, l.now).triggers.empty());
    const auto done = l.complete(1, {1, 2});
    REQUIRE(done.completions.size() == 1);
    CHECK(done.completions[0].tasks.size() == 2);
    CHECK(done.triggers.empty());
    for (auto& op : l.written.operators)
      CHECK(op.finished());
    l.now += 10ms;
    CHECK(l.c.time_passed(l.now, l.now).triggers.empty());
    CHECK(l.c.task_finished({1, 0}, l.now, l.now).triggers.empty());
    CHECK(l.c.task_finished({2, 0}, l.now, l.now).triggers.empty());
  }
}

TEST_CASE("while others still run, a task waits for the next periodic checkpoint") {
  line l;
  CHECK(l.c.task_awaits_last({2, 0}, l.now, l.now).triggers.empty());
  l.now = 1000ms;
  CHECK(line::first(l.c.time_passed(l.now, l.now)) == tasks_list{0, 2});
}

TEST_CASE(
    "a checkpoint whose barrier a task has not seen when it came to its end is given up, and the last one begins") {
  line l;
  l.now = 1000ms;
  REQUIRE(line::first(l.c.time_passed(l.now, l.now)) == tasks_list{0});
  l.c.acknowledge(1, {0, 0}, {}, false, l.now, l.now);
  l.c.task_finished({0, 0}, l.now, l.now);
  auto a = l.c.task_awaits_last({1, 0}, l.now, l.now);
  REQUIRE(a.aborts.size() == 1);
  CHECK(a.aborts[0].why == checkpoint_failure::task_finished);
  CHECK(a.triggers.empty());
  CHECK(line::first(l.c.task_awaits_last({2, 0}, l.now, l.now)) == tasks_list{1, 2});
}

TEST_CASE("a checkpoint that a task has acknowledged in front of its end goes on, and is not its last one") {
  line l;
  l.now = 1000ms;
  l.c.time_passed(l.now, l.now);
  l.c.acknowledge(1, {0, 0}, {}, false, l.now, l.now);
  l.c.acknowledge(1, {1, 0}, {}, false, l.now, l.now);
  l.c.task_finished({0, 0}, l.now, l.now);
  CHECK(l.c.task_awaits_last({1, 0}, l.now, l.now).aborts.empty());
  const auto ack = l.c.acknowledge(1, {2, 0}, {}, false, l.now, l.now);
  REQUIRE(ack.actions.writes.size() == 1);
  CHECK(l.c.task_awaits_last({2, 0}, l.now, l.now).aborts.empty());
  CHECK(line::first(l.c.metadata_written(1, l.now, l.now)) == tasks_list{1, 2});
}

TEST_CASE("a last checkpoint that failed is tried again at the next interval, not at once") {
  line l;
  l.c.task_finished({0, 0}, l.now, l.now);
  l.c.task_awaits_last({1, 0}, l.now, l.now);
  l.c.task_awaits_last({2, 0}, l.now, l.now);
  const auto declined = l.c.decline(1, {2, 0}, error{errc::io_failed, "full"}, l.now, l.now);
  CHECK(declined.actions.triggers.empty());
  l.now = 1000ms;
  CHECK(line::first(l.c.time_passed(l.now, l.now)) == tasks_list{1, 2});
}

TEST_CASE("a task that starts again waits for nothing") {
  line l;
  l.c.task_finished({0, 0}, l.now, l.now);
  l.c.task_awaits_last({1, 0}, l.now, l.now);
  l.c.task_awaits_last({2, 0}, l.now, l.now);
  for (std::uint32_t t = 0; t < 3; ++t)
    l.c.task_gone({t, 0}, l.now, l.now);
  for (std::uint32_t t = 0; t < 3; ++t)
    CHECK(l.c.task_running({t, 1}, l.now, l.now).triggers.empty());
  CHECK(l.c.in_progress() == 0);
  CHECK(l.c.task_awaits_last({1, 0}, l.now, l.now).triggers.empty()); // of the attempt before
}
