#include <dataflow/operators/record_loop.hpp>

namespace dataflow {

namespace detail {

void count_skipped_record(operator_context& context) { context.counter("numRecordsSkipped").add(1); }

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
