#include <dataflow/operators/collect.hpp>
#include <dataflow/record/record_type.hpp>

namespace dataflow {

void collect_operator::process(unsigned, batch_slice& slice) {
  const auto& type = slice.data->type();
  byte_writer out;
  if (slice.cursor == 0 && slice.limit == slice.data->size()) {
    type.encode(*slice.data, out);
  } else {
    auto part = context().pool(type)->get();
    type.append(*part, *slice.data, slice.cursor, slice.limit, slice.data.unique());
    type.encode(*part, out);
  }
  slice.cursor = slice.limit;
  context().report_result(collector_, out.take());
}

} // namespace dataflow
