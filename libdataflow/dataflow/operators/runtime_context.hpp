/// What a user's function can learn about the subtask that it runs in.
///
/// Threading: used by the task's own thread of execution only (open, calls, close); accumulators and counters too.
/// Ownership: belongs to the task; do not keep references beyond close().
#pragma once

#include <dataflow/metrics/task_metrics.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace dataflow {

class clock;
class state_registry;
struct platform;

class runtime_context {
public:
  virtual ~runtime_context() = default;
  virtual const std::string& job_name() const noexcept = 0;
  virtual const std::string& job_id() const noexcept = 0; ///< 32 hexadecimal digits
  virtual const std::string& operator_name() const noexcept = 0;
  virtual const std::string& operator_uid() const noexcept = 0; ///< the given uid, or the generated id
  virtual const std::string& task_name() const noexcept = 0;    ///< of the chain: "Source: numbers -> Map"
  virtual std::uint32_t subtask_index() const noexcept = 0;     ///< 0 .. parallelism - 1
  virtual std::uint32_t parallelism() const noexcept = 0;
  virtual std::uint32_t max_parallelism() const noexcept = 0;
  virtual std::uint32_t attempt() const noexcept = 0; ///< 0 at the first run, one more after each restart
  /// "map (3/4)#1": name, subtask (from 1) of parallelism, attempt.
  std::string task_name_with_subtasks() const;
  /// Its sum over all subtasks is part of the job's result. Created at the first call for a name. Look it up in open(),
  /// not per record.
  virtual accumulator& accumulator_of(std::string_view name) = 0;
  /// A counter in the metrics under the operator's scope, for example "numMyThings". Look it up in open(), too. What it
  /// counts can be read while the job runs (job_client::metrics()); a restarted task counts from 0.
  virtual accumulator& counter(std::string_view name) = 0;
  virtual const dataflow::clock& clock() const noexcept = 0;
  /// Whether the job makes checkpoints by itself (execution.checkpointing.interval).
  virtual bool checkpointing_enabled() const noexcept { return false; }
  /// Where state is declared in open(), by functions that do not declare it as members.
  virtual state_registry& states();
  /// The outside world: files, sockets, standard output. The task's own; system_platform() where none was given.
  virtual dataflow::platform& platform() noexcept;
};

} // namespace dataflow
