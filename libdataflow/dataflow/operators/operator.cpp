#include <dataflow/operators/operator.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/platform.hpp>

namespace dataflow {

std::string runtime_context::task_name_with_subtasks() const {
  return task_name() + " (" + std::to_string(subtask_index() + 1) + "/" + std::to_string(parallelism()) + ")#" +
         std::to_string(attempt());
}

state_registry& runtime_context::states() {
  throw error{errc::invalid_argument, "state is declared where none can be kept",
              "declare state in the functions of operators; sources keep theirs in their splits"};
}

dataflow::platform& runtime_context::platform() noexcept { return system_platform(); }

std::chrono::nanoseconds operator_context::active_time() const noexcept { return clock().now(); }

std::function<void()> operator_context::wake_up() {
  return [] {};
}

progress stream_operator::advance_watermark(timestamp t) {
  context_->output().emit_control(element::watermark(t));
  return progress::done;
}

void stream_operator::pass_control(element e) { context_->output().emit_control(std::move(e)); }

void stream_operator::change_status(bool idle) {
  context_->output().emit_control(element::control(idle ? element_kind::idle : element_kind::active));
}

} // namespace dataflow
