#include <dataflow/graph/job_status.hpp>

namespace dataflow {

std::string_view to_string(job_status s) noexcept {
  switch (s) {
  case job_status::initializing:
    return "INITIALIZING";
  case job_status::created:
    return "CREATED";
  case job_status::running:
    return "RUNNING";
  case job_status::failing:
    return "FAILING";
  case job_status::failed:
    return "FAILED";
  case job_status::cancelling:
    return "CANCELLING";
  case job_status::canceled:
    return "CANCELED";
  case job_status::finished:
    return "FINISHED";
  case job_status::restarting:
    return "RESTARTING";
  case job_status::suspended:
    return "SUSPENDED";
  case job_status::reconciling:
    return "RECONCILING";
  }
  return "?";
}

bool is_terminal(job_status s) noexcept {
  return s == job_status::failed || s == job_status::canceled || s == job_status::finished;
}

std::string_view to_string(task_status s) noexcept {
  switch (s) {
  case task_status::created:
    return "CREATED";
  case task_status::scheduled:
    return "SCHEDULED";
  case task_status::deploying:
    return "DEPLOYING";
  case task_status::initializing:
    return "INITIALIZING";
  case task_status::running:
    return "RUNNING";
  case task_status::finished:
    return "FINISHED";
  case task_status::canceling:
    return "CANCELING";
  case task_status::canceled:
    return "CANCELED";
  case task_status::failed:
    return "FAILED";
  }
  return "?";
}

bool is_terminal(task_status s) noexcept {
  return s == task_status::finished || s == task_status::canceled || s == task_status::failed;
}

} // namespace dataflow
