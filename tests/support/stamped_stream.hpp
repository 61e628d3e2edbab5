/// An operator that gives records their timestamps, and turns records that say so into watermarks: streams with exactly
/// the event time that a test wants.
#pragma once

#include <dataflow/operators/operator.hpp>
#include <dataflow/record/record_type.hpp>

#include <memory>
#include <optional>

namespace dataflow::test {

/// Time: time(const T&) -> std::int64_t, milliseconds. Mark: mark(const T&) -> std::optional<std::int64_t>, a watermark
/// in the place of the record.
template <class T, class Time, class Mark>
class stamp_operator final : public stream_operator {
public:
  stamp_operator(Time time, Mark mark) : time_(std::move(time)), mark_(std::move(mark)) {}
  void process(unsigned, batch_slice& slice) override {
    auto& in = slice.data.as<T>();
    batch_ptr part;
    for (; slice.cursor < slice.limit; ++slice.cursor) {
      const T& record = in.records[slice.cursor];
      if (const auto watermark = mark_(record)) {
        if (part) emit(std::move(part));
        part.reset();
        context().output().emit_control(element::watermark(timestamp{std::chrono::milliseconds{*watermark}}));
        continue;
      }
      if (!part) part = context().pool(record_type_of<T>())->get();
      part.template as<T>().records.push_back(record);
      part->timestamps.push_back(timestamp{std::chrono::milliseconds{time_(record)}});
    }
    if (part) emit(std::move(part));
  }
  progress finish() override { return progress::done; }

private:
  Time time_;
  Mark mark_;
};

template <class T, class Time, class Mark>
operator_factory stamp(Time time, Mark mark) {
  return [time, mark] { return std::make_unique<stamp_operator<T, Time, Mark>>(time, mark); };
}

} // namespace dataflow::test
