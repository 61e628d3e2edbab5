#include <dataflow/metrics/registry.hpp>

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
      {"inputQueueLength", gauge, count(m.input_queue)},
      {"outputQueueLength", gauge, count(m.output_queue)},
      {"mailboxQueueSize", gauge, count(m.mailbox_size)},
      {"numStaleMessages", counter, count(m.stale_messages)},
  };
}

} // namespace

void metric_registry::add_task(metric_scope task, std::uint32_t attempt, std::shared_ptr<const task_metrics> metrics,
                               steady_time now) {
  const std::lock_guard guard{mutex_};
  tasks_[std::move(task)] = {attempt, now, std::move(metrics)};
}

void metric_registry::remove_task(const metric_scope& task, const task_metrics& metrics) {
  const std::lock_guard guard{mutex_};
  const auto i = tasks_.find(task);
  if (i != tasks_.end() && i->second.metrics.get() == &metrics) tasks_.erase(i);
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
        auto add_watermark = [&](const char* name, const watermark_cell& cell) {
          if (cell.value() != no_watermark_yet)
            group.metrics.push_back({name, gauge, static_cast<double>(cell.value())});
        };
        add_watermark("currentInputWatermark", o.input_watermark);
        add_watermark("currentOutputWatermark", o.output_watermark);
        for (auto& [name, value] : o.own.values())
          group.metrics.push_back({name, counter, static_cast<double>(value)});
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

std::vector<task_event_time> metric_registry::event_times(steady_time now, std::string_view job) const {
  std::vector<task_event_time> all;
  const std::lock_guard guard{mutex_};
  for (const auto& [scope, entry] : tasks_) {
    if (scope.job != job) continue;
    auto& t = all.emplace_back(entry.metrics->event_time.last());
    t.scope = scope;
    t.attempt = entry.attempt;
    t.at = now;
  }
  return all;
}

void metric_registry::remove_job(std::string_view job) {
  const std::lock_guard guard{mutex_};
  std::erase_if(tasks_, [&](const auto& item) { return item.first.job == job; });
  std::erase_if(cells_, [&](const auto& item) { return item.first.job == job; });
}

} // namespace dataflow
