/// The metrics of a task manager or job master: who counts what, and what the numbers are now.
///
/// Tasks and control actors write relaxed atomics of their own; a snapshot reads them. Nothing here is touched per
/// record. Rates are made from two snapshots, so several readers at different intervals do not disturb each other.
/// Threading: all members are safe from any thread.
/// Ownership: cells and task metrics are shared, so they outlive their task until the job is removed and its last
/// numbers stay readable.
#pragma once

#include <dataflow/metrics/snapshot.hpp>
#include <dataflow/metrics/task_metrics.hpp>

#include <map>
#include <memory>
#include <mutex>

namespace dataflow {

class metric_registry {
public:
  /// Enters a subtask's attempt; takes the place of its earlier attempt. REQUIRES: the operators of `metrics` are
  /// filled in and stay. `now`: when its counters were 0.
  void add_task(metric_scope task, std::uint32_t attempt, std::shared_ptr<const task_metrics> metrics, steady_time now);
  /// Forgets a subtask's attempt; nothing when another one has taken its place.
  void remove_task(const metric_scope& task, const task_metrics& metrics);
  /// A cell of one's own, made at the first call: numRestarts in a job's scope, for example.
  std::shared_ptr<counter_cell> cell(const metric_scope& scope, std::string_view name,
                                     metric_kind kind = metric_kind::counter, steady_time now = {});
  /// All groups, or those of one job.
  metrics_snapshot snapshot(steady_time now, std::string_view job = {}) const;
  /// Where event time stands in the tasks of a job.
  std::vector<task_event_time> event_times(steady_time now, std::string_view job) const;
  /// Forgets a job. Whoever still holds its cells may go on writing.
  void remove_job(std::string_view job);

private:
  struct task_entry {
    std::uint32_t attempt = 0;
    steady_time since{0};
    std::shared_ptr<const task_metrics> metrics;
  };
  struct own_cell {
    metric_kind kind;
    steady_time since;
    std::shared_ptr<counter_cell> value;
  };

  mutable std::mutex mutex_; // guards both
  std::map<metric_scope, task_entry> tasks_;
  std::map<metric_scope, std::map<std::string, own_cell, std::less<>>> cells_;
};

} // namespace dataflow
