/// What a user's function can learn about the subtask that it runs in.
///
/// Threading: used by the task's own thread of execution only (open, calls, close); accumulators and counters too.
/// Ownership: belongs to the task; do not keep references beyond close().
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace dataflow {

class clock;
struct platform;

/// A counter under a name; its sum over all subtasks is part of the job's result.
class accumulator {
public:
  void add(std::int64_t n = 1) noexcept { value_.store(value() + n, std::memory_order_relaxed); }
  std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::int64_t> value_{0}; // written by the task, read by whoever asks for metrics
};

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
  /// Created at the first call for a name. Look it up in open(), not per record.
  virtual accumulator& accumulator_of(std::string_view name) = 0;
  /// A counter in the metrics under the operator's scope, for example "numMyThings".
  virtual accumulator& counter(std::string_view name) = 0;
  virtual const dataflow::clock& clock() const noexcept = 0;
  /// The outside world: files, sockets, standard output. The task's own; system_platform() where none was given.
  virtual dataflow::platform& platform() noexcept;
};

} // namespace dataflow
