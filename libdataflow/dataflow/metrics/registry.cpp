#include <dataflow/metrics/registry.hpp>

#include <algorithm>

namespace dataflow {

namespace {

double ms(const counter_cell& ns) { return static_cast<double>(ns.value() / 1'000'000); }
double count(const counter_cell& n) { return static_cast<double>(n.value()); }

constexpr auto counter = metric_kind::counter;
constexpr auto gauge = metric_kind::gauge;

std::vector<metric> metrics_of(const task_metrics& m) {
  return {
      {"numRecordsIn", counter, count(m.records_in)},
      {"numRecordsOut", counter, count(m.records_out)},
      {"numBytesIn", counter, count(m.bytes_in)},
      {"numBytesOut", counter, count(m.bytes_out)},
      {"accumulateBusyTimeMs", counter, ms(m.busy_ns)},
      {"accumulateIdleTimeMs", counter, ms(m.idle_ns)},
      {"accumulateBackPressuredTimeMs", counter, ms(m.backpressured_ns)},
      {"inputQueueLength", gauge, count(m.queued_elements)},
      {"mailboxQueueSize", gauge, count(m.mailbox_size)},
  };
}

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

metrics_snapshot with_rates(metrics_snapshot now, const metrics_snapshot& before) {
  for (auto& group : now.groups) {
    const auto* earlier = before.find(group.scope);
    if (earlier && (earlier->attempt != group.attempt || earlier->since != group.since)) earlier = nullptr;
    const auto start = earlier ? before.at : group.since;
    const auto seconds = std::chrono::duration<double>(now.at - start).count();
    const auto counters = group.metrics.size();
    for (std::size_t i = 0; i < counters; ++i) {
      if (group.metrics[i].kind != counter) continue;
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

void metric_registry::add_task(metric_scope task, std::uint32_t attempt, std::shared_ptr<const task_metrics> metrics,
                               steady_time now) {
  const std::lock_guard guard{mutex_};
  tasks_[std::move(task)] = {attempt, now, std::move(metrics)};
}

std::shared_ptr<counter_cell> metric_registry::cell(const metric_scope& scope, std::string_view name, metric_kind kind,
                                                    steady_time now) {
  const std::lock_guard guard{mutex_};
  auto& cells = cells_[scope];
  auto found = cells.find(name);
  if (found == cells.end())
    found = cells.emplace(std::string{name}, own_cell{kind, now, std::make_shared<counter_cell>()}).first;
  return found->second.value;
}

metrics_snapshot metric_registry::snapshot(steady_time now, std::string_view job) const {
  std::map<metric_scope, metric_group> groups;
  const auto wanted = [&](const metric_scope& s) { return job.empty() || s.job == job; };
  {
    const std::lock_guard guard{mutex_};
    for (const auto& [scope, entry] : tasks_) {
      if (!wanted(scope)) continue;
      groups[scope] = {scope, entry.attempt, entry.since, metrics_of(*entry.metrics)};
      std::int64_t position = 0;
      for (const auto& o : entry.metrics->operators) {
        auto inner = scope;
        inner.position = position++;
        inner.operator_name = o.name;
        auto& group = groups[inner];
        group = {inner, entry.attempt, entry.since, {}};
        group.metrics.push_back({"numRecordsIn", counter, count(o.records_in)});
        group.metrics.push_back({"numRecordsOut", counter, count(o.records_out)});
      }
    }
    for (const auto& [scope, cells] : cells_) {
      if (!wanted(scope)) continue;
      auto& group = groups[scope];
      if (group.metrics.empty()) {
        group.scope = scope;
        group.since = cells.begin()->second.since;
      }
      for (const auto& [name, c] : cells)
        group.metrics.push_back({name, c.kind, count(*c.value)});
    }
  }
  metrics_snapshot out{now, {}};
  out.groups.reserve(groups.size());
  for (auto& [scope, group] : groups)
    out.groups.push_back(std::move(group));
  return out;
}

void metric_registry::remove_job(std::string_view job) {
  const std::lock_guard guard{mutex_};
  std::erase_if(tasks_, [&](const auto& item) { return item.first.job == job; });
  std::erase_if(cells_, [&](const auto& item) { return item.first.job == job; });
}

} // namespace dataflow
