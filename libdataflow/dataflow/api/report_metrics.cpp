#include <dataflow/api/report_metrics.hpp>

#include <algorithm>

namespace dataflow {

metrics_snapshot metrics_of(const job_report& report) {
  metrics_snapshot out;
  out.at = report.now;
  const auto number = [](std::uint64_t n) { return static_cast<double>(n); };
  const auto milliseconds = [](std::uint64_t ns) { return static_cast<double>(ns / 1'000'000); };
  constexpr auto counter = metric_kind::counter;
  constexpr auto gauge = metric_kind::gauge;

  metric_group job;
  job.scope.job = report.id;
  job.since = report.started;
  job.metrics.push_back({"numRestarts", gauge, number(report.restarts)});
  out.groups.push_back(std::move(job));

  for (const auto& t : report.tasks) {
    metric_group task;
    task.scope.job = report.id;
    task.scope.vertex = t.vertex;
    task.scope.task = t.name;
    task.scope.subtask = t.subtask;
    task.attempt = t.attempt;
    task.since = report.started;
    task.metrics = {
        {"numRecordsIn", counter, number(t.records_in)},
        {"numRecordsOut", counter, number(t.records_out)},
        {"numBytesIn", counter, number(t.bytes_in)},
        {"numBytesOut", counter, number(t.bytes_out)},
        {"accumulateBusyTimeMs", counter, milliseconds(t.busy_ns)},
        {"accumulateIdleTimeMs", counter, milliseconds(t.idle_ns)},
        {"accumulateBackPressuredTimeMs", counter, milliseconds(t.backpressured_ns)},
        {"inputQueueLength", gauge, number(t.queued_elements)},
    };
    std::int64_t position = 0;
    for (const auto& o : t.operators) {
      metric_group inner;
      inner.scope = task.scope;
      inner.scope.position = position++;
      inner.scope.operator_name = o.name;
      inner.attempt = t.attempt;
      inner.since = report.started;
      inner.metrics = {{"numRecordsIn", counter, number(o.records_in)},
                       {"numRecordsOut", counter, number(o.records_out)}};
      out.groups.push_back(std::move(inner));
    }
    out.groups.push_back(std::move(task));
  }
  std::sort(out.groups.begin(), out.groups.end(),
            [](const metric_group& a, const metric_group& b) { return a.scope < b.scope; });
  return out;
}

} // namespace dataflow
