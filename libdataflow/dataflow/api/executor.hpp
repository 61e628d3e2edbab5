/// Where jobs run: the line between the DataStream API, which knows no actor, and the runtimes that execute.
///
/// Threading: executors and job clients are safe to use from any thread; wait() blocks the caller.
/// Ownership: a job client does not own its job: dropping it leaves the job running (detached).
#pragma once

#include <dataflow/checkpoint/checkpoint_settings.hpp>
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

/// What somebody asks of a running job.
struct checkpoint_request {
  checkpoint_kind kind = checkpoint_kind::checkpoint;
  /// Of a savepoint: where it gets a directory of its own; empty: execution.checkpointing.savepoint-dir.
  std::string directory = {};
  after_savepoint after = after_savepoint::go_on;
  bool cancel = false; ///< the job, once the savepoint is complete
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

  // Checkpoints and savepoints. Each waits until it is complete and returns its directory: what
  // environment::start_from() and `dataflow run -s` take. Errors: checkpoint_failed, with what was in the way;
  // invalid_option when nobody says where savepoints go; job_not_found when the job has ended.

  /// A checkpoint now, whatever the interval.
  std::string trigger_checkpoint() { return take({}); }
  /// The job runs on. `directory`: where the savepoint gets a directory of its own; empty:
  /// execution.checkpointing.savepoint-dir.
  std::string trigger_savepoint(const std::string& directory = {}) {
    return take({.kind = checkpoint_kind::savepoint, .directory = directory});
  }
  /// The job stops at the savepoint, and is FINISHED when this returns. Without `drain` time stands still: no window
  /// and no timer fires, and whatever is started from the savepoint goes on as if nothing had happened. With it the
  /// job ends as if its input had ended: watermarks go to the maximum, everything fires, then the savepoint is taken.
  std::string stop_with_savepoint(const std::string& directory = {}, bool drain = false) {
    return take({.kind = checkpoint_kind::savepoint,
                 .directory = directory,
                 .after = drain ? after_savepoint::drain : after_savepoint::suspend});
  }
  /// The job is cancelled once the savepoint is complete; what it does in between is not in the savepoint. Use
  /// stop_with_savepoint() where results must count once.
  std::string cancel_with_savepoint(const std::string& directory = {}) {
    return take({.kind = checkpoint_kind::savepoint, .directory = directory, .cancel = true});
  }
  /// What the job has counted so far, under Flink's names and those that its functions chose
  /// (runtime_context::counter); rates come from two of them, see with_rates().
  metrics_snapshot metrics() { return report().metrics; }

protected:
  virtual std::string take(const checkpoint_request& what);
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
