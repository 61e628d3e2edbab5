#include <dataflow/metrics/registry.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

metric_scope subtask_scope(std::int64_t vertex, std::string task, std::int64_t subtask) {
  return {.job = "job", .vertex = vertex, .task = std::move(task), .subtask = subtask};
}

std::shared_ptr<task_metrics> counting(std::uint64_t in, std::uint64_t out, std::chrono::nanoseconds busy = 0ns) {
  auto m = std::make_shared<task_metrics>();
  m->records_in.add(in);
  m->records_out.add(out);
  m->busy_ns.add(static_cast<std::uint64_t>(busy.count()));
  return m;
}

} // namespace

TEST_CASE("a snapshot reads tasks and their operators under Flink's names") {
  metric_registry registry;
  auto m = counting(10, 7, 25ms);
  m->bytes_in.add(100);
  m->mailbox_size.set(3);
  m->input_queue.set(4);
  m->output_queue.set(2);
  m->stale_messages.add(1);
  auto& map = m->operators.emplace_back();
  map.name = "Map";
  map.records_in.add(10);
  map.records_out.add(7);
  map.own.of("numMyThings").add(5);
  registry.add_task(subtask_scope(0, "Source -> Map", 1), 0, m, 0s);

  const auto s = registry.snapshot(2s);
  REQUIRE(s.groups.size() == 2);
  CHECK(s.groups[0].value("numRecordsIn") == 10);
  CHECK(s.groups[0].value("numRecordsOut") == 7);
  CHECK(s.groups[0].value("numBytesIn") == 100);
  CHECK(s.groups[0].value("accumulateBusyTimeMs") == 25);
  CHECK(s.groups[0].value("mailboxQueueSize") == 3);
  CHECK(s.groups[0].value("inputQueueLength") == 4);
  CHECK(s.groups[0].value("outputQueueLength") == 2);
  CHECK(s.groups[0].value("numStaleMessages") == 1);
  CHECK(s.groups[1].value("numMyThings") == 5);
  CHECK(s.groups[1].scope.operator_name == "Map");
  CHECK(s.groups[1].value("numRecordsOut") == 7);
}

TEST_CASE("rates are the growth between two snapshots, whoever else takes some") {
  metric_registry registry;
  auto m = counting(100, 0);
  registry.add_task(subtask_scope(0, "a", 0), 0, m, 0s);
  const auto first = registry.snapshot(10s);
  CHECK(with_rates(first, {}).groups[0].value("numRecordsInPerSecond") == 10); // since it began
  m->records_in.add(500);
  m->busy_ns.add(1'500'000'000);
  (void)registry.snapshot(11s);
  const auto second = with_rates(registry.snapshot(12s), first);
  CHECK(second.groups[0].value("numRecordsInPerSecond") == 250);
  CHECK(second.groups[0].value("busyTimeMsPerSecond") == 750);
  CHECK(second.groups[0].value("idleTimeMsPerSecond") == 0);
  CHECK(with_rates(first, first).groups[0].value("numRecordsInPerSecond") == 0); // no time passed
}

TEST_CASE("a new attempt takes the place of the old one and counts from its own start") {
  metric_registry registry;
  registry.add_task(subtask_scope(0, "a", 0), 0, counting(1000, 0), 0s);
  const auto before = registry.snapshot(10s);
  registry.add_task(subtask_scope(0, "a", 0), 1, counting(30, 0), 12s);
  const auto now = with_rates(registry.snapshot(15s), before);
  REQUIRE(now.groups.size() == 1);
  CHECK(now.groups[0].attempt == 1);
  CHECK(now.groups[0].value("numRecordsIn") == 30);
  CHECK(now.groups[0].value("numRecordsInPerSecond") == 10);
}

TEST_CASE("cells of one's own join the group of their scope and live as long as somebody holds them") {
  metric_registry registry;
  const metric_scope job{.job = "job"};
  const auto restarts = registry.cell(job, "numRestarts", metric_kind::gauge);
  restarts->add(2);
  CHECK(registry.cell(job, "numRestarts", metric_kind::gauge) == restarts);
  registry.add_task(subtask_scope(0, "a", 0), 0, counting(1, 1), 0s);
  registry.cell(subtask_scope(0, "a", 0), "numMyThings")->add(5);
  const auto s = registry.snapshot(1s, "job");
  REQUIRE(s.groups.size() == 2);
  CHECK(s.find(job)->value("numRestarts") == 2);
  CHECK(s.find(subtask_scope(0, "a", 0))->value("numMyThings") == 5);
  CHECK(s.find(subtask_scope(0, "a", 0))->value("numRecordsIn") == 1);
  CHECK(registry.snapshot(1s, "other").groups.empty());
  registry.remove_job("job");
  CHECK(registry.snapshot(1s).groups.empty());
  restarts->add(1);
}

TEST_CASE("a subtask's attempt is forgotten, but not the one that took its place") {
  metric_registry registry;
  const auto scope = subtask_scope(0, "a", 0);
  const auto first = counting(1, 0), second = counting(2, 0);
  registry.add_task(scope, 0, first, 0s);
  registry.add_task(scope, 1, second, 1s);
  registry.remove_task(scope, *first);
  REQUIRE(registry.snapshot(2s).groups.size() == 1);
  CHECK(registry.snapshot(2s).groups[0].value("numRecordsIn") == 2);
  registry.remove_task(scope, *second);
  CHECK(registry.snapshot(2s).groups.empty());
}

TEST_CASE("a user's counter keeps its place however many follow, and can be read meanwhile") {
  named_counters counters;
  auto& first = counters.of("numA");
  for (int i = 0; i < 1000; ++i)
    counters.of("n" + std::to_string(i)).add(i);
  first.add(7);
  CHECK(&counters.of("numA") == &first);
  CHECK(counters.values().size() == 1001);
  CHECK(counters.values().back() == std::pair<std::string, std::int64_t>{"numA", 7});
}

TEST_CASE("snapshots of several clocks become one, as if taken at the same moment") {
  metric_registry here, there;
  here.add_task(subtask_scope(0, "a", 1), 0, counting(10, 0), 5s);
  there.add_task(subtask_scope(0, "a", 0), 0, counting(30, 0), 1005s);
  auto all = here.snapshot(10s);
  all.merge(there.snapshot(1015s));
  REQUIRE(all.groups.size() == 2);
  CHECK(all.groups[0].scope.subtask == 0);
  CHECK(all.groups[0].since == 0s); // it had run for 10 s
  CHECK(with_rates(all, {}).of_task("a", "numRecordsInPerSecond") == 5);
  CHECK(all.of_task("a", "numRecordsIn") == 40);
}

TEST_CASE("metrics are found by the name of job, task and operator, summed over subtasks") {
  metric_registry registry;
  registry.cell({.job = "job"}, "numRestarts", metric_kind::gauge)->set(2);
  for (int subtask = 0; subtask < 2; ++subtask) {
    auto m = counting(3, 0);
    auto& o = m->operators.emplace_back();
    o.name = "a"; // the chain has the name of its only operator
    o.own.of("numOdd").add(subtask + 1);
    registry.add_task(subtask_scope(0, "a", subtask), 0, m, 0s);
  }
  const auto s = registry.snapshot(1s);
  CHECK(s.of_job("numRestarts") == 2);
  CHECK(s.of_task("a", "numRecordsIn") == 6);
  CHECK(s.of_operator("a", "numRecordsIn") == 0);
  CHECK(s.of_operator("a", "numOdd") == 3);
  CHECK(s.of_operator("b", "numOdd") == 0);
  const auto table = metrics_as_table(with_rates(s, {}));
  CHECK(table.starts_with("job\n  numRestarts: 2\na (2 subtasks)\n  numRecordsIn: 6\n"));
  CHECK(table.find("  a\n    numRecordsIn: 0\n    numRecordsOut: 0\n    numOdd: 3\n") != std::string::npos);
  CHECK(table.find("PerSecond") == std::string::npos);
}

TEST_CASE("tasks are summed over their subtasks, in the order of the job graph") {
  metric_registry registry;
  registry.add_task(subtask_scope(1, "a sink", 0), 0, counting(8, 0), 0s);
  registry.add_task(subtask_scope(0, "the source", 0), 0, counting(0, 6, 1s), 0s);
  registry.add_task(subtask_scope(0, "the source", 1), 0, counting(0, 2, 500ms), 0s);
  const auto rows = summarize_tasks(with_rates(registry.snapshot(2s), {}), "job");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].task == "the source");
  CHECK(rows[0].subtasks == 2);
  CHECK(rows[0].records_out == 8);
  CHECK(rows[0].records_out_per_second == 4);
  CHECK(rows[0].busy == doctest::Approx(0.375));
  CHECK(rows[0].busiest == doctest::Approx(0.5));
  CHECK(rows[1].records_in == 8);
}

TEST_CASE("the text format is Prometheus's with Flink's scopes, the prefix can be changed") {
  metric_registry registry;
  auto m = counting(3, 0);
  m->operators.emplace_back().name = "say \"hi\"";
  registry.add_task(subtask_scope(0, "a", 0), 0, m, 0s);
  registry.cell({.job = "job"}, "numRestarts", metric_kind::gauge)->add(1);
  const auto text = metrics_as_text(with_rates(registry.snapshot(2s), {}));
  CHECK(text.find("# TYPE flink_taskmanager_job_task_numRecordsIn counter\n"
                  "flink_taskmanager_job_task_numRecordsIn{job_id=\"job\",task_name=\"a\",subtask_index=\"0\"} 3\n") !=
        std::string::npos);
  CHECK(text.find("flink_jobmanager_job_numRestarts{job_id=\"job\"} 1\n") != std::string::npos);
  CHECK(text.find("subtask_index=\"0\",operator_name=\"say \\\"hi\\\"\"} 0\n") != std::string::npos);
  CHECK(text.find("numRecordsInPerSecond{job_id=\"job\",task_name=\"a\",subtask_index=\"0\"} 1.500\n") !=
        std::string::npos);
  CHECK(metrics_as_text(registry.snapshot(2s), "my-app").find("my_app_jobmanager_job_numRestarts") !=
        std::string::npos);
}

TEST_CASE("the JSON form keeps whole numbers whole and survives names that are no UTF-8") {
  metric_registry registry;
  registry.add_task(subtask_scope(0, "bad \xff name", 0), 2, counting(3, 0), 0s);
  const auto json = metrics_as_json(registry.snapshot(1s));
  CHECK(json.find("\"attempt\":2") != std::string::npos);
  CHECK(json.find("\"numRecordsIn\":3") != std::string::npos);
}
