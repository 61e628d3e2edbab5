/// Runs one operator without a chain: for sinks. Slices are given by hand; what goes to side outputs is kept.
#pragma once

#include <dataflow/operators/operator.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/state/declared_state.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <tests/support/test_platform.hpp>
#include <utility>
#include <vector>

namespace dataflow::test {

template <class T>
class sink_harness final : public operator_context {
public:
  sink_harness(const operator_factory& make, dataflow::platform& world, std::uint32_t subtask = 0,
               std::uint32_t parallelism = 1, record_error_policy policy = {}, std::uint32_t attempt = 0,
               std::shared_ptr<const operator_snapshot> restored = {}, bool checkpointing = false)
      : operator_context(pause), info_(world, subtask, parallelism), states_({0, 127}, 128, std::move(restored)),
        policy_(policy), attempt_(attempt), checkpointing_(checkpointing), operator_(make()) {
    operator_->open(*this);
  }
  ~sink_harness() override { operator_->close(); }

  /// One batch, processed to its end.
  void push(std::vector<T> records, std::vector<timestamp> times = {}) {
    auto slice = slice_of(std::move(records), std::move(times));
    while (slice.data && slice.cursor < slice.limit)
      operator_->process(0, slice);
  }
  /// One batch, one call. Returns how many records were processed.
  std::size_t push_once(std::vector<T> records) {
    auto slice = slice_of(std::move(records), {});
    operator_->process(0, slice);
    return slice.cursor;
  }
  void finish() { operator_->finish(); }
  /// A barrier passes: what the operator remembers.
  operator_snapshot barrier(std::int64_t checkpoint) {
    operator_->prepare_snapshot(checkpoint);
    return states_.snapshot();
  }
  /// The wall time has come that was asked for last.
  void wake() { operator_->advance_processing_time(std::exchange(wakes_at, {}).value()); }
  stream_operator& sink() noexcept { return *operator_; }
  std::optional<std::chrono::milliseconds> wakes_at; ///< the earliest that was asked for

  std::atomic<bool> pause{false};
  std::vector<T> diverted;
  std::uint64_t diverted_to = 0;
  test_runtime_context& info() noexcept { return info_; }

  const std::string& job_name() const noexcept override { return info_.job_name(); }
  const std::string& job_id() const noexcept override { return info_.job_id(); }
  const std::string& operator_name() const noexcept override { return info_.operator_name(); }
  const std::string& operator_uid() const noexcept override { return info_.operator_uid(); }
  const std::string& task_name() const noexcept override { return info_.task_name(); }
  std::uint32_t subtask_index() const noexcept override { return info_.subtask_index(); }
  std::uint32_t parallelism() const noexcept override { return info_.parallelism(); }
  std::uint32_t max_parallelism() const noexcept override { return info_.max_parallelism(); }
  std::uint32_t attempt() const noexcept override { return attempt_; }
  accumulator& accumulator_of(std::string_view name) override { return info_.accumulator_of(name); }
  accumulator& counter(std::string_view name) override { return info_.counter(name); }
  const dataflow::clock& clock() const noexcept override { return info_.clock(); }
  dataflow::platform& platform() noexcept override { return info_.platform(); }
  operator_output& output() override { return nowhere_; }
  operator_output& side_output(std::uint64_t tag) override {
    diverted_to = tag;
    return side_;
  }
  batch_pool::handle pool(const record_type& type) override { return batch_pool::make(type); }
  const batch_limits& limits() const noexcept override { return limits_; }
  const record_error_policy& on_record_error() const noexcept override { return policy_; }
  state_registry& states() override { return states_; }
  void wake_at(std::chrono::milliseconds wall) override { wakes_at = std::min(wakes_at.value_or(wall), wall); }
  bool checkpointing_enabled() const noexcept override { return checkpointing_; }
  void report_result(std::uint64_t, std::string) override {}

private:
  struct nowhere final : operator_output {
    void emit(batch_ptr) override {}
    void emit_control(element) override {}
  };
  struct keeper final : operator_output {
    explicit keeper(std::vector<T>& into) : into(into) {}
    void emit(batch_ptr b) override {
      for (auto& record : b.as<T>().records)
        into.push_back(record);
    }
    void emit_control(element) override {}
    std::vector<T>& into;
  };

  batch_slice slice_of(std::vector<T> records, std::vector<timestamp> times) {
    batch_ptr b = batch_pool::make(record_type_of<T>())->get();
    for (auto& record : records)
      b.as<T>().records.push_back(std::move(record));
    for (auto t : times)
      b->timestamps.push_back(t);
    const auto size = b->size();
    return {std::move(b), 0, size};
  }

  test_runtime_context info_;
  state_registry states_;
  batch_limits limits_;
  record_error_policy policy_;
  std::uint32_t attempt_;
  bool checkpointing_;
  nowhere nowhere_;
  keeper side_{diverted};
  std::unique_ptr<stream_operator> operator_;
};

/// What each subtask gets of union lists, from what all of them remembered.
inline std::shared_ptr<const operator_snapshot> united(const std::vector<operator_snapshot>& of_subtasks) {
  auto all = std::make_shared<operator_snapshot>();
  for (auto& one : of_subtasks)
    for (auto& [name, state] : one.states) {
      auto& into = all->states[name];
      into.info = state.info;
      into.parts.insert(into.parts.end(), state.parts.begin(), state.parts.end());
    }
  return all;
}

} // namespace dataflow::test
