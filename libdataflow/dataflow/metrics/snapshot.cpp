#include <dataflow/metrics/snapshot.hpp>

#include <algorithm>
#include <chrono>

namespace dataflow {

namespace {

/// Flink: accumulateBusyTimeMs counts, busyTimeMsPerSecond is its rate.
std::string rate_name(const std::string& counter_name) {
  constexpr std::string_view times = "accumulate";
  if (!counter_name.starts_with(times)) return counter_name + "PerSecond";
  auto name = counter_name.substr(times.size()) + "PerSecond";
  name[0] = static_cast<char>(name[0] - 'A' + 'a');
  return name;
}

} // namespace

double metric_group::value(std::string_view name) const noexcept {
  for (const auto& m : metrics)
    if (m.name == name) return m.value;
  return 0;
}

const metric_group* metrics_snapshot::find(const metric_scope& scope) const noexcept {
  const auto at = std::lower_bound(groups.begin(), groups.end(), scope,
                                   [](const metric_group& g, const metric_scope& s) { return g.scope < s; });
  return at != groups.end() && at->scope == scope ? &*at : nullptr;
}

double metrics_snapshot::of_operator(std::string_view operator_name, std::string_view metric) const noexcept {
  double sum = 0;
  for (const auto& g : groups)
    if (g.scope.position != metric_scope::none && g.scope.operator_name == operator_name) sum += g.value(metric);
  return sum;
}

double metrics_snapshot::of_task(std::string_view task, std::string_view metric) const noexcept {
  double sum = 0;
  for (const auto& g : groups)
    if (g.scope.subtask != metric_scope::none && g.scope.position == metric_scope::none && g.scope.task == task)
      sum += g.value(metric);
  return sum;
}

double metrics_snapshot::of_job(std::string_view metric) const noexcept {
  double sum = 0;
  for (const auto& g : groups)
    if (g.scope.vertex == metric_scope::none) sum += g.value(metric);
  return sum;
}

void metrics_snapshot::merge(metrics_snapshot other) {
  for (auto& g : other.groups) {
    g.since += at - other.at;
    groups.push_back(std::move(g));
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const metric_group& a, const metric_group& b) { return a.scope < b.scope; });
}

metrics_snapshot with_rates(metrics_snapshot now, const metrics_snapshot& before) {
  for (auto& group : now.groups) {
    const auto* earlier = before.find(group.scope);
    if (earlier && (earlier->attempt != group.attempt || earlier->since != group.since)) earlier = nullptr;
    const auto start = earlier ? before.at : group.since;
    const auto seconds = std::chrono::duration<double>(now.at - start).count();
    const auto counters = group.metrics.size();
    for (std::size_t i = 0; i < counters; ++i) {
      if (group.metrics[i].kind != metric_kind::counter) continue;
      const auto& name = group.metrics[i].name;
      const auto grown = group.metrics[i].value - (earlier ? earlier->value(name) : 0);
      metric rate{rate_name(name), metric_kind::rate, seconds > 0 ? grown / seconds : 0};
      group.metrics.push_back(std::move(rate));
    }
  }
  return now;
}

std::vector<task_summary> summarize_tasks(const metrics_snapshot& snapshot, std::string_view job) {
  std::vector<task_summary> rows;
  for (const auto& group : snapshot.groups) {
    const auto& s = group.scope;
    if (s.job != job || s.subtask == metric_scope::none || s.position != metric_scope::none) continue;
    if (rows.empty() || rows.back().vertex != s.vertex) rows.push_back({.task = s.task, .vertex = s.vertex});
    auto& row = rows.back();
    ++row.subtasks;
    row.records_in += group.value("numRecordsIn");
    row.records_out += group.value("numRecordsOut");
    row.bytes_in += group.value("numBytesIn");
    row.bytes_out += group.value("numBytesOut");
    row.records_in_per_second += group.value("numRecordsInPerSecond");
    row.records_out_per_second += group.value("numRecordsOutPerSecond");
    const auto busy = std::min(1.0, group.value("busyTimeMsPerSecond") / 1000);
    const auto backpressured = std::min(1.0, group.value("backPressuredTimeMsPerSecond") / 1000);
    row.busy += busy;
    row.idle += std::min(1.0, group.value("idleTimeMsPerSecond") / 1000);
    row.backpressured += backpressured;
    row.busiest = std::max(row.busiest, busy);
    row.most_backpressured = std::max(row.most_backpressured, backpressured);
  }
  for (auto& row : rows) {
    row.busy /= row.subtasks;
    row.idle /= row.subtasks;
    row.backpressured /= row.subtasks;
  }
  return rows;
}

} // namespace dataflow
