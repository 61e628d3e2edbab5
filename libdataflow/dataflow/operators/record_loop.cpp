#include <dataflow/operators/record_loop.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>

#include <bit>

namespace dataflow {

namespace detail {

void count_skipped_record(operator_context& context) {
  auto& skipped = context.counter("numRecordsSkipped");
  skipped.add(1);
  const auto n = static_cast<std::uint64_t>(skipped.value());
  if (!std::has_single_bit(n)) return; // the 1st, 2nd, 4th, 8th ...
  log_warn({"operator " + context.operator_name(), context.job_id(), context.task_name_with_subtasks()},
           "skipped " + std::to_string(n) + (n == 1 ? " record" : " records") +
               " so far; the last one: " + current_error().to_string());
}

void rethrow_record_error() { throw current_error(); }

} // namespace detail

void emit_records(operator_output& output, batch_pool& pool, batch_slice& slice, std::size_t begin, std::size_t end) {
  if (begin >= end) return;
  const bool owned = slice.data.unique();
  if (owned && begin == 0 && end == slice.data->size()) {
    slice.data->hashes.clear();
    output.emit(std::move(slice.data));
    return;
  }
  auto part = pool.get();
  slice.data->type().append(*part, *slice.data, begin, end, owned);
  part->hashes.clear();
  output.emit(std::move(part));
}

} // namespace dataflow
