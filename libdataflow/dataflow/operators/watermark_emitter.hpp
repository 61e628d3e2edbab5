/// What a generator says on its way into the stream: what does not advance is dropped, the rest is kept with its place
/// among the records until flush().
///
/// Kept and not sent at once, because the generator is still looking at its records.
/// Threading: the task's own. Ownership: a value.
/// Source: Flink's TimestampsAndWatermarksOperator.WatermarkEmitter and WatermarkToDataOutput.
#pragma once

#include <dataflow/operators/operator.hpp>
#include <dataflow/time/watermark_generators.hpp>

#include <vector>

namespace dataflow {

class watermark_emitter final : public watermark_output {
public:
  void emit_watermark(timestamp t) override {
    if (t <= current_) return;
    current_ = t;
    mark_active();
    said_.push_back({at, element::watermark(t)});
  }
  void mark_idle() override { set_idle(true); }
  void mark_active() override { set_idle(false); }

  /// The last watermark; min_timestamp before the first one.
  timestamp current() const noexcept { return current_; }
  bool is_idle() const noexcept { return idle_; }
  bool empty() const noexcept { return said_.empty(); }
  /// Goes on from there. Idleness is said once more: those behind may not know of it.
  void restore(timestamp current, bool idle) noexcept {
    current_ = current;
    idle_ = repeat_ = idle;
  }

  /// Sends what was said. `reach(n)` sends the records before number n.
  template <class Reach>
  void flush(operator_output& output, Reach&& reach) {
    for (auto& s : said_) {
      reach(s.at);
      output.emit_control(std::move(s.what));
    }
    said_.clear();
  }
  void flush(operator_output& output) {
    flush(output, [](std::size_t) {});
  }

  std::size_t at = 0; ///< the number of the record that follows

private:
  struct statement {
    std::size_t at;
    element what;
  };
  void set_idle(bool idle) {
    if (idle_ == idle && !(idle && repeat_)) return;
    idle_ = idle;
    repeat_ = false;
    said_.push_back({at, element::control(idle ? element_kind::idle : element_kind::active)});
  }
  std::vector<statement> said_;
  timestamp current_ = min_timestamp;
  bool idle_ = false, repeat_ = false;
};

} // namespace dataflow
