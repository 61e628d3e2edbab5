/// flat_map: any number of results per record.
#pragma once

#include <dataflow/operators/collecting_loop.hpp>

#include <optional>

namespace dataflow {

template <class I, class O, class F>
class flat_map_operator final : public stream_operator {
public:
  explicit flat_map_operator(F f) : f_(std::move(f)) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    open_function(f_, context);
  }
  void close() noexcept override { close_function(f_); }

  void process(unsigned, batch_slice& slice) override {
    const auto& in = slice.data.as<I>();
    collect_records<I>(context(), slice, *out_, [&](std::size_t i) { f_(in.records[i], *out_); });
    out_->flush();
  }

private:
  F f_;
  std::optional<collector<O>> out_;
};

} // namespace dataflow
