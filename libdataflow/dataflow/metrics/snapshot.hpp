/// What metrics were at one moment, as values: what a job handle gives out and reporters print.
///
/// Threading: values and pure functions. Units: records, bytes, milliseconds (times), per second (rates). Names and
/// scopes are Flink's.
#pragma once

#include <dataflow/util/clock.hpp>

#include <compare>
#include <cstdint>
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
  /// A metric of an operator, a user's counter for example, summed over its subtasks; 0 when there is none.
  double of_operator(std::string_view operator_name, std::string_view metric) const noexcept;
  /// A metric of a task (a chain, by its full name), summed over its subtasks.
  double of_task(std::string_view task, std::string_view metric) const noexcept;
  /// A metric of the job itself: numRestarts.
  double of_job(std::string_view metric) const noexcept;
  /// Adds what another clock has measured; its times are moved so that both snapshots were taken at the same moment.
  void merge(metrics_snapshot other);
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

/// Counters and gauges summed over subtasks, for people: a line per task with its metrics, its operators below it.
std::string metrics_as_table(const metrics_snapshot& snapshot);
/// Prometheus's text format: `flink_taskmanager_job_task_numRecordsIn{job_id="..",task_name="..",subtask_index="0"} 5`.
std::string metrics_as_text(const metrics_snapshot& snapshot, std::string_view prefix = "flink");
/// [{"scope": {"job", "task", "subtask", ...}, "metrics": {name: value}}]
std::string metrics_as_json(const metrics_snapshot& snapshot);

} // namespace dataflow
