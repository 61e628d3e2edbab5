// What the coordinator's verdicts are called.
#include <dataflow/checkpoint/checkpoint_coordinator.hpp>

namespace dataflow {

std::string_view to_string(checkpoint_failure why) noexcept {
  switch (why) {
  case checkpoint_failure::tasks_not_running:
    return "not all tasks run";
  case checkpoint_failure::too_many_requests:
    return "too many requests wait already";
  case checkpoint_failure::stopping:
    return "the job is being stopped with a savepoint";
  case checkpoint_failure::declined:
    return "a task declined it";
  case checkpoint_failure::expired:
    return "it took longer than execution.checkpointing.timeout";
  case checkpoint_failure::enumerator_failed:
    return "a source's enumerator could not be stored";
  case checkpoint_failure::write_failed:
    return "its metadata could not be written";
  case checkpoint_failure::subsumed:
    return "a later one was complete first";
  case checkpoint_failure::task_failed:
    return "a task was lost";
  case checkpoint_failure::task_finished:
    return "a task finished without it";
  case checkpoint_failure::task_not_ready:
    return "a task was not ready";
  case checkpoint_failure::shut_down:
    return "the job is at its end";
  case checkpoint_failure::no_directory:
    return "execution.checkpointing.dir is not set";
  }
  return "unknown";
}

bool counts_as_failure(checkpoint_failure why) noexcept {
  switch (why) {
  case checkpoint_failure::declined:
  case checkpoint_failure::expired:
  case checkpoint_failure::enumerator_failed:
  case checkpoint_failure::write_failed:
    return true;
  default:
    return false;
  }
}

std::string_view to_string(ack_result result) noexcept {
  switch (result) {
  case ack_result::accepted:
    return "accepted";
  case ack_result::duplicate:
    return "duplicate";
  case ack_result::unknown_task:
    return "of a task that takes no part";
  case ack_result::stale_attempt:
    return "of another attempt";
  case ack_result::late:
    return "late";
  case ack_result::unknown:
    return "of an unknown checkpoint";
  }
  return "unknown";
}

std::string_view to_string(checkpoint_record::status status) noexcept {
  switch (status) {
  case checkpoint_record::status::in_progress:
    return "IN_PROGRESS";
  case checkpoint_record::status::completed:
    return "COMPLETED";
  case checkpoint_record::status::failed:
    return "FAILED";
  }
  return "UNKNOWN";
}

} // namespace dataflow
