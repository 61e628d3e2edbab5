/// A source reader without its record type: what the first stage of a source task drives.
///
/// Threading: as source_reader. Ownership: owns the reader.
#pragma once

#include <dataflow/connectors/source.hpp>
#include <dataflow/connectors/source_event_time.hpp>
#include <dataflow/connectors/source_factories.hpp>

#include <type_traits>

namespace dataflow {

class source_driver {
public:
  virtual ~source_driver() = default;
  virtual source_reader_base& reader() noexcept = 0;
  virtual const record_type& type() const noexcept = 0;
  /// Polls once into an empty batch of type(). `marks` may be null.
  virtual poll_result poll(batch_base& into, const batch_limits& limits, split_marks* marks = nullptr) = 0;
};

template <class T>
class typed_source_driver final : public source_driver {
public:
  explicit typed_source_driver(std::unique_ptr<source_reader<T>> reader) noexcept : reader_(std::move(reader)) {}
  source_reader_base& reader() noexcept override { return *reader_; }
  const record_type& type() const noexcept override { return record_type_of<T>(); }
  poll_result poll(batch_base& into, const batch_limits& limits, split_marks* marks) override {
    if constexpr (std::is_trivially_copyable_v<T>) {
      const auto of_these = limits.of_records(sizeof(T));
      source_output<T> out{static_cast<batch<T>&>(into), of_these, marks};
      return reader_->poll(out);
    } else {
      source_output<T> out{static_cast<batch<T>&>(into), limits, marks};
      return reader_->poll(out);
    }
  }

private:
  std::unique_ptr<source_reader<T>> reader_;
};

/// The factories that a stream node of this source needs.
template <class S>
source_factories factories_of(S source) {
  using T = typename S::record;
  auto shared = std::make_shared<const S>(std::move(source));
  source_factories f;
  f.bounded = shared->bounds() == boundedness::bounded;
  f.blocking = shared->blocking();
  f.make_reader = [shared] { return std::make_unique<typed_source_driver<T>>(shared->make_reader()); };
  f.make_enumerator = [shared] { return shared->make_enumerator(); };
  f.listener = shared->listener();
  f.restore_enumerator = [shared](const std::string& snapshot) { return shared->restore_enumerator(snapshot); };
  return f;
}

/// The same for a source with event time.
template <class S>
source_factories factories_of(S source, const watermark_strategy<typename S::record>& strategy) {
  auto f = factories_of(std::move(source));
  f.make_event_time = [strategy] { return std::make_unique<typed_source_event_time<typename S::record>>(strategy); };
  f.alignment = strategy.alignment();
  return f;
}

} // namespace dataflow
