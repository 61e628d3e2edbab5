/// Where jobs run: the line between the DataStream API, which knows no actor, and the runtimes that execute.
///
/// Threading: executors and job clients are safe to use from any thread; wait() blocks the caller.
/// Ownership: a job client does not own its job: dropping it leaves the job running (detached).
#pragma once

#include <dataflow/graph/job_status.hpp>
#include <dataflow/graph/stream_graph.hpp>
#include <dataflow/metrics/event_time.hpp>
#include <dataflow/metrics/snapshot.hpp>
#include <dataflow/util/error.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

class configuration;

/// One subtask as it is now. What it has counted is in the job's metrics.
struct task_report {
  std::string name; ///< of the task: "Source: numbers -> Map"
  std::uint32_t vertex = 0, subtask = 0, parallelism = 1, attempt = 0;
  task_status status = task_status::created;
};

/// A failure that was handled or ended the job, for the job's history.
struct failure_report {
  std::chrono::milliseconds at{0}; ///< wall time
  std::string task;                ///< "map (3/4)#1", or empty
  error cause;
};

/// How a job's checkpoints are doing. Flink's counts.
struct checkpoint_statistics {
  std::uint64_t restored = 0; ///< so often tasks have started from one
  std::uint64_t completed = 0, failed = 0;
  std::uint32_t in_progress = 0;
  // The last one that was completed and is kept.
  std::uint64_t last_id = 0; ///< 0: there is none
  std::string last_path;     ///< where it is
  std::uint64_t last_bytes = 0;
  std::chrono::milliseconds last_duration{0};
};

struct job_report {
  std::string id, name;
  job_status status = job_status::initializing;
  std::chrono::milliseconds started{0}, now{0}; ///< wall time
  std::uint32_t restarts = 0;
  checkpoint_statistics checkpoints;
  std::vector<task_report> tasks; ///< by vertex, then subtask
  std::vector<failure_report> failures;
  std::map<std::string, std::int64_t> accumulators;
  metrics_snapshot metrics;                 ///< of the job, its tasks (of the present attempts) and their operators
  std::vector<task_event_time> event_times; ///< where event time stands; see explain_silence()
};

struct job_result {
  std::string id, name;
  job_status status = job_status::finished;
  error failure; ///< of failed and canceled jobs
  std::chrono::milliseconds duration{0};
  std::uint32_t restarts = 0;
  std::map<std::string, std::int64_t> accumulators;
  /// What collect() asked for, by collector id: encoded batches of the successful attempt, by subtask, in order.
  std::map<std::uint64_t, std::vector<std::string>> collected;
  job_report final_report;
  /// Throws `failure` unless the job is finished.
  void raise() const;
};

class job_client {
public:
  virtual ~job_client() = default;
  virtual const std::string& id() const noexcept = 0; ///< 32 hexadecimal digits
  virtual job_status status() const = 0;
  /// Asks for cancellation; returns at once. No effect on a job that has ended.
  virtual void cancel() = 0;
  /// Blocks until the job has ended, however it ended.
  virtual job_result wait() = 0;
  /// Blocks for at most `timeout`; true when the job has ended.
  virtual bool wait_for(std::chrono::milliseconds timeout) = 0;
  /// A picture of the job now; also after its end.
  virtual job_report report() = 0;
  /// Takes a checkpoint now, whatever the interval, and waits for it. Returns where it is. Errors: checkpoint_failed,
  /// with what was in the way; job_not_found when the job has ended.
  virtual std::string trigger_checkpoint();
  /// What the job has counted so far, under Flink's names and those that its functions chose
  /// (runtime_context::counter); rates come from two of them, see with_rates().
  metrics_snapshot metrics() { return report().metrics; }
};

class executor {
public:
  virtual ~executor() = default;
  /// Checks the graph (throws invalid_graph and the like) and starts it.
  virtual std::shared_ptr<job_client> submit(std::shared_ptr<const stream_graph> graph) = 0;
};

/// What an environment uses when it was not given an executor: an embedded cluster of this process.
/// `settings`: what files and flags say; what a job sets in code comes on top. Throws error{errc::internal} when no
/// runtime is linked.
std::shared_ptr<executor> default_executor(const configuration& settings);
using executor_factory = std::shared_ptr<executor> (*)(const configuration& settings);
/// Called once by the runtime that is linked in.
void set_default_executor(executor_factory factory) noexcept;

} // namespace dataflow
