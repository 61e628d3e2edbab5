/// The metrics of a process: who counts what, and what the numbers are now.
///
/// Tasks and control actors write relaxed atomics of their own; a snapshot reads them. Nothing here is touched per
/// record. Rates are made from two snapshots, so several readers at different intervals do not disturb each other.
/// Threading: all members of metric_registry are safe from any thread; snapshots are values.
/// Ownership: cells and task metrics are shared, so they outlive their task until the job is removed and its last
/// numbers stay readable.
/// Units: records, bytes, milliseconds (times), per second (rates). Names and scopes are Flink's.
#pragma once

#include <dataflow/metrics/task_metrics.hpp>
#include <dataflow/util/clock.hpp>

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// What a group of metrics belongs to. A job: only `job`; a task: with vertex and subtask; an operator: with its name.
struct metric_scope {
  static constexpr std::int64_t none = -1;
  std::string job;              ///< id
  std::int64_t vertex = none;   ///< position of the task in the job graph
  std::string task;             ///< name of the chain
  std::int64_t subtask = none;  ///< from 0
  std::int64_t position = none; ///< of the operator in its chain
  std::string operator_name;
  auto operator<=>(const metric_scope&) const = default;
};

enum class metric_kind : std::uint8_t {
  counter, ///< only grows while an attempt lives; has a rate
  gauge,   ///< a level
  rate,    ///< per second, between two snapshots
};

struct metric {
  std::string name;
  metric_kind kind = metric_kind::counter;
  double value = 0;
};

struct metric_group {
  metric_scope scope;
  std::uint32_t attempt = 0;
  steady_time since{0}; ///< when its counters were 0
  std::vector<metric> metrics;
  /// 0 when there is no such metric.
  double value(std::string_view name) const noexcept;
};

struct metrics_snapshot {
  steady_time at{0};
  std::vector<metric_group> groups; ///< in the order of their scopes
  const metric_group* find(const metric_scope& scope) const noexcept;
};

/// `now` with a rate for each counter: numRecordsInPerSecond, busyTimeMsPerSecond, ... Since `before`, or since the
/// group began when it is not in `before` (or was restarted in between). No time passed: rates are 0.
metrics_snapshot with_rates(metrics_snapshot now, const metrics_snapshot& before);

/// One row per task of a job, over its subtasks: sums of counts and rates, means and largest value of times.
struct task_summary {
  std::string task;
  std::int64_t vertex = 0;
  std::uint32_t subtasks = 0;
  double records_in = 0, records_out = 0, bytes_in = 0, bytes_out = 0;
  double records_in_per_second = 0, records_out_per_second = 0;
  /// Shares of the time, 0 to 1: the mean over the subtasks, and the busiest (most back-pressured) one.
  double busy = 0, idle = 0, backpressured = 0, busiest = 0, most_backpressured = 0;
};
/// REQUIRES: a snapshot with_rates. In the order of the job graph.
std::vector<task_summary> summarize_tasks(const metrics_snapshot& snapshot, std::string_view job);

/// Prometheus's text format: `flink_taskmanager_job_task_numRecordsIn{job="..",task="..",subtask="0"} 5`.
std::string metrics_as_text(const metrics_snapshot& snapshot, std::string_view prefix = "flink");
/// [{"scope": {"job", "task", "subtask", ...}, "metrics": {name: value}}]
std::string metrics_as_json(const metrics_snapshot& snapshot);

class metric_registry {
public:
  /// Enters a subtask's attempt; takes the place of its earlier attempt. REQUIRES: the operators of `metrics` are
  /// filled in and stay. `now`: when its counters were 0.
  void add_task(metric_scope task, std::uint32_t attempt, std::shared_ptr<const task_metrics> metrics, steady_time now);
  /// A cell of one's own, made at the first call: numRestarts in a job's scope, a user's counter in an operator's.
  std::shared_ptr<counter_cell> cell(const metric_scope& scope, std::string_view name,
                                     metric_kind kind = metric_kind::counter, steady_time now = {});
  /// All groups, or those of one job.
  metrics_snapshot snapshot(steady_time now, std::string_view job = {}) const;
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
