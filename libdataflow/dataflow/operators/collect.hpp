/// collect(): sends a bounded job's records to the client, as encoded batches under a collector's id.
///
/// Threading: the task's own. The client gets the batches of the successful attempt only.
#pragma once

#include <dataflow/operators/operator.hpp>

namespace dataflow {

class collect_operator final : public stream_operator {
public:
  explicit collect_operator(std::uint64_t collector) noexcept : collector_(collector) {}
  void process(unsigned input, batch_slice& slice) override;

private:
  std::uint64_t collector_;
};

} // namespace dataflow
