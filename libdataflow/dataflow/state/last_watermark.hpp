/// The last watermark that an operator has seen, as state: what was late stays late after a restart.
///
/// After a change of the parallelism every subtask starts with the least of all: no record becomes late by it.
/// Threading: the task's own.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/time/timestamp.hpp>

#include <algorithm>

namespace dataflow {

class last_watermark final : public declared_state {
public:
  explicit last_watermark(std::string name = "watermark") : name_(std::move(name)) {}
  /// min_timestamp before the first one.
  timestamp value() const noexcept { return value_; }
  void set(timestamp t) noexcept { value_ = t; }
  state_info info() const override { return {name_, state_kind::union_list, "int64"}; }
  void snapshot(state_writer& out) const override { out.part().fixed<std::int64_t>(value_.time_since_epoch().count()); }
  void restore(const state_part& part) override {
    const timestamp t{std::chrono::milliseconds{byte_reader{part.bytes}.fixed<std::int64_t>()}};
    value_ = restored_ ? std::min(value_, t) : t;
    restored_ = true;
  }

private:
  std::string name_;
  timestamp value_ = min_timestamp;
  bool restored_ = false;
};

} // namespace dataflow
