#include <dataflow/connectors/print.hpp>
#include <dataflow/util/platform.hpp>

namespace dataflow::detail {

void print_target::open(runtime_context& context, const std::string& identifier, bool to_err) {
  prefix_ = identifier;
  if (context.parallelism() > 1) {
    if (!prefix_.empty()) prefix_ += ':';
    prefix_ += std::to_string(context.subtask_index() + 1);
  }
  if (!prefix_.empty()) prefix_ += "> ";
  auto& world = context.platform();
  out_ = to_err ? world.err : world.out;
  if (out_ == nullptr) out_ = to_err ? system_platform().err : system_platform().out;
}

void print_target::flush() {
  if (text_.empty()) return;
  out_->write(text_);
  text_.clear();
}

} // namespace dataflow::detail
