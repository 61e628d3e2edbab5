#include <dataflow/api/report_metrics.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;

TEST_CASE("a job's report has its metrics under Flink's names, and two of them have rates") {
  job_report r;
  r.id = "job";
  r.restarts = 2;
  r.started = 1'000'000ms;
  r.now = 1'002'000ms;
  task_report t;
  t.name = "Source -> Map";
  t.vertex = 3;
  t.subtask = 1;
  t.records_out = 500;
  t.busy_ns = 1'000'000'000;
  t.operators = {{"Source", "", 0, 500}, {"Map", "", 500, 500}};
  r.tasks = {t};
  const auto first = with_rates(metrics_of(r), {});
  REQUIRE(first.groups.size() == 4);
  CHECK(first.groups[0].value("numRestarts") == 2);
  CHECK(first.groups[1].scope.position == metric_scope::none); // the task, then its operators
  CHECK(first.groups[1].value("numRecordsOutPerSecond") == 250);
  CHECK(first.groups[3].scope.operator_name == "Map");
  CHECK(first.groups[3].value("numRecordsIn") == 500);

  r.now += 1s;
  r.tasks[0].records_out = 600;
  r.tasks[0].busy_ns += 500'000'000;
  const auto rows = summarize_tasks(with_rates(metrics_of(r), first), "job");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].records_out_per_second == 100);
  CHECK(rows[0].busy == doctest::Approx(0.5));
}
