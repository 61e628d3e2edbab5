/// filter: lets records through for which the function says true.
#pragma once

#include <dataflow/operators/compact_loop.hpp>

namespace dataflow {

template <class T, class F>
class filter_operator final : public stream_operator {
public:
  explicit filter_operator(F f) : f_(std::move(f)) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    pool_ = context.pool(record_type_of<T>());
    open_function(f_, context);
  }
  void close() noexcept override { close_function(f_); }

  void process(unsigned, batch_slice& slice) override {
    compact_records<T>(context(), *pool_, slice, [&](const T& record) { return static_cast<bool>(f_(record)); });
  }

private:
  F f_;
  batch_pool::handle pool_;
};

} // namespace dataflow
