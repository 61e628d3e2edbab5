/// How far a window operator has come, as declared state: its watermark, the next window, and how many records it has
/// counted. Every subtask starts from the least of what was stored.
///
/// Threading: the task's own.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/windows/window.hpp>

namespace dataflow::detail {

class window_progress final : public declared_state {
public:
  timestamp watermark() const noexcept { return watermark_; }
  wide next_window() const noexcept { return next_; }
  /// Of the next record, in the order of arrival.
  std::uint64_t number() const noexcept { return number_; }
  void set(timestamp watermark, wide next) noexcept {
    watermark_ = watermark;
    next_ = next;
  }
  void count(std::uint64_t records) noexcept { number_ += records; }

  state_info info() const override {
    return {"_window-progress", state_kind::union_list, "watermark, window, records"};
  }
  void snapshot(state_writer& out) const override;
  void restore(const state_part& part) override;

private:
  timestamp watermark_ = min_timestamp;
  wide next_ = -(wide{1} << 100);
  std::uint64_t number_ = 0;
  bool restored_ = false;
};

} // namespace dataflow::detail
