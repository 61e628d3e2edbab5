#include <dataflow/recovery/job_execution.hpp>

#include <doctest/doctest.h>

#include <tests/support/graph_builder.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using dataflow::test::graph_builder;

namespace {

/// Two pipelines without an exchange at parallelism 2: four regions of one task; or one keyed pipeline: one region.
std::shared_ptr<const execution_plan> plan(bool keyed) {
  graph_builder b;
  b.graph.settings.parallelism = 2;
  const auto source = b.source("numbers");
  const auto last = keyed ? b.keyed("sum", source) : b.op("map", source);
  b.sink("out", last);
  return std::make_shared<const execution_plan>(std::make_shared<const job_graph>(make_job_graph(b.share())), 4);
}

job_execution running(const std::shared_ptr<const execution_plan>& p, restart_settings restarts,
                      failover_strategy failover = failover_strategy::region) {
  job_execution e{p, make_restart_strategy(restarts, 1), failover};
  e.start();
  for (task_index t = 0; t < p->tasks().size(); ++t)
    e.task_changed(t, 0, task_status::running, {}, 0ms);
  return e;
}

const error broken{errc::user_function_failed, "broken"};

} // namespace

TEST_CASE("a job runs when all of its tasks do, and is finished when all of them are") {
  const auto p = plan(true);
  job_execution e{p, make_restart_strategy(restart_settings::never(), 1)};
  CHECK(e.start().deploy.size() == p->regions().size());
  const auto n = static_cast<task_index>(p->tasks().size());
  REQUIRE(n == 4);
  for (task_index t = 0; t < n; ++t) {
    CHECK(e.status() == job_status::created);
    e.task_changed(t, 0, task_status::running, {}, 0ms);
  }
  CHECK(e.status() == job_status::running);
  for (task_index t = 0; t + 1 < n; ++t)
    CHECK_FALSE(e.task_changed(t, 0, task_status::finished, {}, 0ms).ended);
  CHECK(e.task_changed(n - 1, 0, task_status::finished, {}, 0ms).ended);
  CHECK(e.status() == job_status::finished);
}

TEST_CASE("a failure restarts its region and nothing else, after the delay, at the next attempt") {
  const auto p = plan(false);
  REQUIRE(p->regions().size() == 2);
  auto e = running(p, restart_settings::fixed(3, 100ms));
  const auto actions = e.task_changed(1, 0, task_status::failed, broken, 1000ms);
  CHECK(e.status() == job_status::restarting);
  CHECK(actions.cancel.empty()); // the only task of its region is gone already
  REQUIRE(actions.restarts.size() == 1);
  CHECK(actions.restarts[0].delay == 100ms);
  const auto due = e.restart_due(actions.restarts[0].region);
  REQUIRE(due.deploy.size() == 1);
  CHECK(e.attempt_of(1) == 1);
  CHECK(e.attempt_of(0) == 0);
  CHECK(e.status_of(0) == task_status::running);
  e.task_changed(1, 1, task_status::running, {}, 1100ms);
  CHECK(e.status() == job_status::running);
  CHECK(e.restarts() == 1);
}

TEST_CASE("with the failover strategy `full` a failure restarts all regions, finished ones, too") {
  const auto p = plan(false);
  REQUIRE(p->regions().size() == 2);
  auto e = running(p, restart_settings::fixed(3, 100ms), failover_strategy::full);
  e.task_changed(0, 0, task_status::finished, {}, 500ms);
  auto actions = e.task_changed(1, 0, task_status::failed, broken, 1000ms);
  CHECK(e.status() == job_status::restarting);
  CHECK(e.restarts() == 1);
  REQUIRE(actions.restarts.size() == 2);
  CHECK(actions.restarts[0].delay == 100ms);
  CHECK(actions.restarts[1].delay == 100ms);
  for (const auto& r : actions.restarts)
    CHECK(e.restart_due(r.region).deploy.size() == 1);
  for (task_index t = 0; t < 2; ++t) {
    CHECK(e.attempt_of(t) == 1);
    e.task_changed(t, 1, task_status::running, {}, 1100ms);
  }
  CHECK(e.status() == job_status::running);

  actions = e.task_changed(0, 1, task_status::failed, broken, 2000ms);
  REQUIRE(actions.cancel.size() == 1); // the other one runs and is stopped first
  CHECK(actions.cancel[0].task == 1);
  REQUIRE(actions.restarts.size() == 1);
  CHECK(e.task_changed(1, 1, task_status::canceled, {}, 2001ms).restarts.size() == 1);
}

TEST_CASE("a failed task takes its region along: all of it is cancelled before any of it restarts") {
  const auto p = plan(true);
  REQUIRE(p->regions().size() == 1);
  auto e = running(p, restart_settings::fixed(1, 0ms));
  auto actions = e.task_changed(2, 0, task_status::failed, broken, 5ms);
  CHECK(actions.cancel.size() == 3);
  CHECK(actions.restarts.empty());
  CHECK(e.task_changed(0, 0, task_status::canceled, {}, 6ms).restarts.empty());
  CHECK(e.task_changed(1, 0, task_status::canceled, {}, 6ms).restarts.empty());
  // One that fails while it is cancelled is no second failure.
  actions = e.task_changed(3, 0, task_status::failed, broken, 7ms);
  REQUIRE(actions.restarts.size() == 1);
  CHECK(e.restarts() == 1);
  e.restart_due(actions.restarts[0].region);
  for (task_index t = 0; t < 4; ++t)
    CHECK(e.attempt_of(t) == 1);
}

TEST_CASE("when the strategy allows no more restarts the job fails, with the last failure, once all tasks are gone") {
  const auto p = plan(true);
  auto e = running(p, restart_settings::never());
  auto actions = e.task_changed(0, 0, task_status::failed, broken, 0ms);
  CHECK(e.status() == job_status::failing);
  CHECK(actions.cancel.size() == 3);
  CHECK_FALSE(actions.ended);
  e.task_changed(1, 0, task_status::canceled, {}, 0ms);
  e.task_changed(2, 0, task_status::finished, {}, 0ms); // one may finish before the order reaches it
  CHECK(e.task_changed(3, 0, task_status::canceled, {}, 0ms).ended);
  CHECK(e.status() == job_status::failed);
  CHECK(e.failure().cause() == "broken");
}

TEST_CASE("reports of an earlier attempt change nothing") {
  const auto p = plan(false);
  auto e = running(p, restart_settings::fixed(3, 0ms));
  const auto actions = e.task_changed(0, 0, task_status::failed, broken, 0ms);
  e.restart_due(actions.restarts.at(0).region);
  CHECK(e.status_of(0) == task_status::scheduled);
  e.task_changed(0, 0, task_status::running, {}, 0ms);
  e.task_changed(0, 0, task_status::failed, broken, 0ms);
  CHECK(e.status_of(0) == task_status::scheduled);
  CHECK(e.restarts() == 1);
}

TEST_CASE("cancel during a restart ends the job as canceled; the restart that was due does not come") {
  const auto p = plan(false);
  auto e = running(p, restart_settings::fixed(3, 1h));
  const auto failed = e.task_changed(0, 0, task_status::failed, broken, 0ms);
  const auto actions = e.cancel();
  CHECK(e.status() == job_status::cancelling);
  CHECK(actions.cancel.size() == 1);
  CHECK(e.restart_due(failed.restarts.at(0).region).deploy.empty());
  CHECK(e.task_changed(1, 0, task_status::canceled, {}, 0ms).ended);
  CHECK(e.status() == job_status::canceled);
}

TEST_CASE("a failure that is nobody's alone stops every region, and all restart") {
  const auto p = plan(false);
  auto e = running(p, restart_settings::fixed(1, 10ms));
  const auto actions = e.job_failed(broken, 0ms);
  CHECK(actions.cancel.size() == 2);
  CHECK(e.task_changed(0, 0, task_status::canceled, {}, 1ms).restarts.size() == 1);
  CHECK(e.task_changed(1, 0, task_status::canceled, {}, 1ms).restarts.size() == 1);
  e.job_failed(broken, 2ms);
  CHECK(e.status() == job_status::failed); // one restart was allowed, and no task is left
}

TEST_CASE("a job says when everything that has failed may run again") {
  const auto p = plan(false);
  auto e = running(p, restart_settings::fixed(3, 100ms));
  CHECK(e.restarts_at() == 0ms);
  const auto first = e.task_changed(0, 0, task_status::failed, broken, 1000ms);
  CHECK(e.restarts_at() == 1100ms);
  const auto second = e.task_changed(1, 0, task_status::failed, broken, 1050ms);
  CHECK(e.restarts_at() == 1150ms);
  e.restart_due(second.restarts.at(0).region);
  CHECK(e.restarts_at() == 1100ms);
  e.restart_due(first.restarts.at(0).region);
  CHECK(e.restarts_at() == 0ms);
}

TEST_CASE("an execution that goes on with the strategy of the one before has its failures, too") {
  const auto p = plan(true);
  auto before = running(p, restart_settings::fixed(2, 0ms));
  before.task_changed(0, 0, task_status::failed, broken, 0ms);
  job_execution e{p, before.hand_over_strategy()};
  e.start();
  e.job_failed(broken, 1ms);
  CHECK(e.status() == job_status::restarting);
  e.job_failed(broken, 2ms);
  CHECK(e.status() == job_status::failed);
}
