/// The states of jobs and tasks, with Flink's names.
#pragma once

#include <cstdint>
#include <string_view>

namespace dataflow {

/// Flink's JobStatus.
enum class job_status : std::uint8_t {
  initializing,
  created,
  running,
  failing,
  failed,
  cancelling,
  canceled,
  finished,
  restarting,
  suspended,
  reconciling,
};
std::string_view to_string(job_status s) noexcept; ///< "RUNNING"
bool is_terminal(job_status s) noexcept;           ///< failed, canceled, finished

/// Flink's ExecutionState of a task.
enum class task_status : std::uint8_t {
  created,
  scheduled,
  deploying,
  initializing,
  running,
  finished,
  canceling,
  canceled,
  failed,
};
std::string_view to_string(task_status s) noexcept;
bool is_terminal(task_status s) noexcept;

} // namespace dataflow
