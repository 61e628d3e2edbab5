/// Hands every batch on as it is: the two ends of a loop.
#pragma once

#include <dataflow/operators/operator.hpp>

namespace dataflow {

class pass_through_operator final : public stream_operator {
public:
  void process(unsigned, batch_slice& slice) override {
    slice.cursor = slice.limit = slice.data->size();
    emit(std::move(slice.data));
  }
};

} // namespace dataflow
