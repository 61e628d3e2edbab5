/// map: one result per record. Where the type stays the same, records are replaced in place.
#pragma once

#include <dataflow/operators/record_loop.hpp>
#include <dataflow/operators/record_size.hpp>

namespace dataflow {

template <class I, class O, class F>
class map_operator final : public stream_operator {
public:
  explicit map_operator(F f) : f_(std::move(f)) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    pool_ = context.pool(record_type_of<O>());
    largest_ = context.limits().record_bytes;
    open_function(f_, context);
  }
  void close() noexcept override { close_function(f_); }

  void process(unsigned, batch_slice& slice) override {
    if constexpr (std::is_same_v<I, O>)
      if (slice.data.unique()) return replace(slice);
    transform(slice);
  }

private:
  [[gnu::always_inline]] O call(const I& record) {
    if constexpr (std::is_trivially_copyable_v<O>) {
      return f_(record);
    } else {
      O made = f_(record);
      check_record_size(made, largest_);
      return made;
    }
  }

  void replace(batch_slice& slice) {
    auto& records = slice.data.as<I>().records;
    auto from = slice.cursor;
    auto body = [&](std::size_t i) __attribute__((always_inline)) { records[i] = call(std::as_const(records[i])); };
    auto stopped = run_records(context(), slice.cursor, slice.limit, body, [&](std::size_t i) {
      auto divert = [&](std::uint64_t tag) { divert_record(context(), tag, slice.data.as<I>(), i); };
      if (handle_record_error(
              context(), [&] { body(i); }, divert) == record_outcome::recovered)
        return;
      if (from < i) { // what stands before the dropped record goes on as a part of its own
        auto part = pool_->get();
        slice.data->type().append(*part, *slice.data, from, i, true);
        part->hashes.clear();
        emit(std::move(part));
      }
      from = i + 1;
    });
    slice.cursor = stopped;
    emit_records(context().output(), *pool_, slice, from, stopped);
  }

  void transform(batch_slice& slice) {
    const auto& in = slice.data.as<I>();
    auto result = pool_->get();
    auto& out = result.as<O>();
    out.records.reserve(slice.limit - slice.cursor);
    const bool stamped = in.has_timestamps();
    auto body = [&](std::size_t i) __attribute__((always_inline)) {
      out.records.emplace_back(call(in.records[i]));
      if (stamped) out.timestamps.push_back(in.timestamps[i]);
    };
    slice.cursor = run_records(context(), slice.cursor, slice.limit, body, [&](std::size_t i) {
      handle_record_error(
          context(), [&] { body(i); }, [&](std::uint64_t tag) { divert_record(context(), tag, in, i); });
    });
    emit(std::move(result));
  }

  F f_;
  std::size_t largest_ = 0;
  batch_pool::handle pool_;
};

} // namespace dataflow
