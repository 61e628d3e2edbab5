#include <dataflow/config/configuration.hpp>
#include <dataflow/resources/task_manager_provider.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>

using dataflow::pool_settings_of;
using dataflow::task_manager_pool;
using dataflow::task_manager_pool_settings;
using dataflow::test::error_of;

namespace task_manager_pool_test {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// A pool in virtual time.
struct bench {
  task_manager_pool pool;
  milliseconds now{1'000'000};
  std::set<std::string> busy;
  std::vector<task_manager_pool::demand> missing;

  explicit bench(task_manager_pool_settings s) : pool(std::move(s)) {}
  task_manager_pool::decision decide() { return pool.decide(missing, busy, now); }
  /// Of those that are started now, the ids.
  std::vector<std::string> started() {
    std::vector<std::string> ids;
    for (auto& o : decide().start)
      ids.push_back(o.id);
    return ids;
  }
  /// One that runs and is free.
  std::string one_up(const std::string& job) {
    missing = {{job, 1}};
    const auto ids = started();
    REQUIRE(ids.size() == 1);
    REQUIRE(pool.registered(ids[0], now));
    missing.clear();
    return ids[0];
  }
};

task_manager_pool_settings settings(std::uint32_t slots = 1, bool per_job = true) {
  task_manager_pool_settings s;
  s.slots = slots;
  s.most_slots = 10;
  s.per_job = per_job;
  s.idle_timeout = 30s;
  s.start_timeout = 60s;
  s.retry = 1s;
  s.longest_retry = 5s;
  s.name = "tm";
  return s;
}

using names = std::vector<std::string>;

} // namespace task_manager_pool_test
using namespace task_manager_pool_test;

TEST_CASE("task managers are started for the slots that are missing, and those on the way count") {
  bench b{settings(4)};
  CHECK(b.started().empty());
  b.missing = {{"a", 5}};
  const auto d = b.decide();
  REQUIRE(d.start.size() == 2);
  CHECK(d.start[0].id == "tm-1");
  CHECK(d.start[1].id == "tm-2");
  CHECK(d.start[0].job == "a");
  CHECK(d.start[0].slots == 4);
  CHECK(b.pool.outlook("a") == "2 task managers are being started");
  CHECK(b.started().empty());
  REQUIRE(b.pool.registered("tm-1", b.now));
  b.missing = {{"a", 1}};
  CHECK(b.started().empty());
  CHECK(b.pool.outlook("a") == "1 task manager is being started");
}

TEST_CASE("each job has task managers of its own, or all share them") {
  bench own{settings(4)};
  own.missing = {{"a", 1}, {"b", 2}};
  CHECK(own.started() == names{"tm-1", "tm-2"});
  REQUIRE(own.pool.registered("tm-1", own.now));
  CHECK(own.pool.serves("tm-1", "a"));
  CHECK(own.pool.belongs_to("tm-1", "a"));
  CHECK_FALSE(own.pool.serves("tm-1", "b"));
  CHECK_FALSE(own.pool.serves("tm-2", "b")); // it is not there yet
  CHECK(own.pool.serves("", "b"));           // one that was started by hand

  bench shared{settings(4, false)};
  shared.missing = {{"a", 1}, {"b", 2}};
  CHECK(shared.started() == names{"tm-1"});
  REQUIRE(shared.pool.registered("tm-1", shared.now));
  CHECK(shared.pool.serves("tm-1", "b"));
  CHECK_FALSE(shared.pool.belongs_to("tm-1", "a"));
  shared.pool.job_over("a");
  CHECK(shared.decide().stop.empty());
}

TEST_CASE("the task managers of a job are stopped at its end, also those that are on the way") {
  bench b{settings()};
  b.missing = {{"a", 2}, {"b", 1}};
  CHECK(b.started() == names{"tm-1", "tm-2", "tm-3"});
  REQUIRE(b.pool.registered("tm-1", b.now));
  b.missing.clear();
  b.pool.job_over("a");
  CHECK(b.decide().stop == names{"tm-1", "tm-2"});
  CHECK(b.decide().stop.empty()); // once
  CHECK_FALSE(b.pool.registered("tm-2", b.now));
  CHECK_FALSE(b.pool.serves("tm-1", "a"));
  b.pool.ended("tm-1", "exit code 0", b.now);
  b.pool.ended("tm-2", "exit code 0", b.now);
  CHECK(b.pool.size() == 1);
  CHECK(b.pool.trouble().empty());
}

TEST_CASE("an idle task manager is stopped after its time, one that is used or waited for is not") {
  auto s = settings(2);
  s.most_slots = 2;
  bench b{s};
  const auto id = b.one_up("a");
  b.now += 20s;
  b.busy = {id};
  CHECK(b.decide().stop.empty());
  b.now += 40s;
  CHECK(b.decide().stop.empty());
  b.busy.clear();
  CHECK(b.decide().stop.empty());
  b.now += 29'999ms;
  CHECK(b.decide().stop.empty());
  b.missing = {{"a", 8}}; // it is free, and what the job waits for beside it does not come
  b.decide();
  b.now += 30s;
  CHECK(b.decide().stop.empty());
  b.missing.clear();
  b.decide();
  b.now += 29'999ms;
  CHECK(b.decide().stop.empty());
  b.now += 1ms;
  CHECK(b.decide().stop == names{id});
}

TEST_CASE("no more are started than slots are allowed, and one that is stopping counts until it is gone") {
  auto s = settings(4);
  s.most_slots = 11;
  bench b{s};
  CHECK(b.pool.largest() == 8);
  b.missing = {{"a", 4}, {"b", 8}, {"c", 1}};
  CHECK(b.started() == names{"tm-1"}); // all that a job needs, or nothing; and nobody overtakes
  CHECK(b.pool.outlook("b") == "no more are started: slotmanager.number-of-slots.max is 11");
  REQUIRE(b.pool.registered("tm-1", b.now));
  b.missing = {{"b", 8}};
  b.busy = {"tm-1"};
  CHECK(b.started().empty());
  b.pool.job_over("a");
  b.busy.clear();
  CHECK(b.started().empty());
  b.pool.ended("tm-1", "exit code 0", b.now);
  CHECK(b.started() == names{"tm-2", "tm-3"});
  CHECK(b.pool.trouble().empty());

  s.per_job = false;
  bench shared{s};
  shared.missing = {{"a", 4}, {"b", 8}};
  CHECK(shared.started() == names{"tm-1", "tm-2"});
  CHECK(shared.started().empty());
}

TEST_CASE("a job that works and has lost a task manager gets another one before jobs that wait to begin") {
  auto s = settings();
  s.most_slots = 2;
  bench b{s};
  b.missing = {{"a", 2}};
  CHECK(b.started() == names{"tm-1", "tm-2"});
  REQUIRE(b.pool.registered("tm-1", b.now));
  REQUIRE(b.pool.registered("tm-2", b.now));
  b.busy = {"tm-1", "tm-2"};
  b.missing = {{"b", 2}};
  CHECK(b.started().empty());
  b.pool.ended("tm-2", "signal 9", b.now);
  b.busy = {"tm-1"};
  b.missing = {{"b", 2}, {"a", 1}};
  const auto d = b.decide();
  REQUIRE(d.start.size() == 1);
  CHECK(d.start[0].job == "a");
}

TEST_CASE("after failed starts the next one waits, twice as long each time, until one comes about") {
  bench b{settings()};
  b.missing = {{"a", 2}};
  for (const auto pause : {1s, 2s, 4s, 5s, 5s}) {
    const auto ids = b.started();
    REQUIRE(ids.size() == 2);
    b.pool.start_failed(ids[0], "no such command", b.now);
    b.pool.ended(ids[1], "exit code 127", b.now); // the same failure
    CHECK(b.pool.outlook("a") ==
          "the last start failed: task manager " + ids[1] + " ended before it registered: exit code 127");
    b.now += pause - 1ms;
    CHECK(b.started().empty());
    b.now += 1ms;
  }
  const auto ids = b.started();
  REQUIRE(ids.size() == 2);
  REQUIRE(b.pool.registered(ids[0], b.now));
  CHECK(b.pool.trouble().empty());
  b.pool.ended(ids[0], "signal 9", b.now); // no failed start: it is replaced at once
  CHECK(b.started().size() == 1);
}

TEST_CASE("a task manager that does not register in time is given up, and another one is started after a pause") {
  bench b{settings()};
  b.missing = {{"a", 1}};
  CHECK(b.started() == names{"tm-1"});
  b.now += 59'999ms;
  CHECK(b.decide().stop.empty());
  b.now += 1ms;
  auto d = b.decide();
  CHECK(d.stop == names{"tm-1"});
  CHECK(d.start.empty());
  CHECK(b.pool.trouble() == "the last start failed: task manager tm-1 did not register within 60000 ms");
  CHECK_FALSE(b.pool.registered("tm-1", b.now)); // too late
  b.now += 1s;
  CHECK(b.started() == names{"tm-2"});
}

TEST_CASE("a task manager that was lost is stopped and replaced at once") {
  bench b{settings()};
  const auto id = b.one_up("a");
  b.pool.lost(id);
  b.missing = {{"a", 1}};
  const auto d = b.decide();
  CHECK(d.stop == names{id});
  CHECK(d.start.size() == 1);
  b.pool.lost("nobody");
  b.pool.ended("nobody", "", b.now);
  CHECK(b.pool.size() == 2);
}

TEST_CASE("a task manager of an earlier life is taken in and serves the first job that takes it") {
  bench b{settings()};
  REQUIRE(b.pool.registered("old-7", b.now));
  CHECK(b.pool.serves("old-7", "a"));
  CHECK_FALSE(b.pool.belongs_to("old-7", "a"));
  b.pool.use("old-7", "a");
  CHECK(b.pool.belongs_to("old-7", "a"));
  CHECK_FALSE(b.pool.serves("old-7", "b"));
}

TEST_CASE("a new resource manager waits for task managers to register again, and starts none in their place") {
  bench b{settings()};
  const auto id = b.one_up("a");
  b.pool.expect_all_again(b.now);
  b.missing = {{"a", 1}};
  CHECK(b.started().empty());
  CHECK_FALSE(b.pool.serves(id, "a"));
  REQUIRE(b.pool.registered(id, b.now));
  CHECK(b.pool.belongs_to(id, "a"));
}

TEST_CASE("settings of started task managers follow from the configuration") {
  dataflow::configuration c;
  c.set("taskmanager.numberOfTaskSlots", "3");
  c.set("slotmanager.number-of-slots.max", "7");
  c.set("resourcemanager.taskmanager-timeout", "5 s");
  c.set("resourcemanager.start-worker.retry-interval", "2 min");
  const auto s = pool_settings_of(c, "x");
  CHECK(s.slots == 3);
  CHECK(s.most_slots == 7);
  CHECK(s.per_job);
  CHECK(s.idle_timeout == 5s);
  CHECK(s.start_timeout == 5min);
  CHECK(s.retry == 2min);
  CHECK(s.longest_retry == 2min);
  CHECK(s.name == "x");
  c.set("slotmanager.number-of-slots.max", "2");
  const auto e = error_of([&] { pool_settings_of(c, "x"); });
  CHECK(e.code() == dataflow::errc::invalid_option);
  CHECK(e.cause() == "slotmanager.number-of-slots.max is 2, and one task manager has 3 slots");
}
