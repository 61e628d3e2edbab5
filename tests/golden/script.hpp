/// Plays the lines of a golden case as the source of a pipeline: events with their timestamps, watermarks in between.
///
/// Lines with a time to play are played then; time is the simulation's, so that one line is dealt with everywhere
/// before the next one comes. Threading: an operator's.
#pragma once

#include <dataflow/operators/operator.hpp>

#include <deque>
#include <functional>

#include "operator_table.hpp"

namespace dataflow::test::golden {

struct script_line {
  event what; ///< without an id: a watermark
  std::int64_t watermark = 0;
  std::int64_t play_at = 0; ///< wall time; 0: at once
};

} // namespace dataflow::test::golden
DATAFLOW_RECORD(dataflow::test::golden::script_line, what, watermark, play_at);

namespace dataflow::test::golden {

class script_operator final : public stream_operator {
public:
  void open(operator_context& context) override {
    stream_operator::open(context);
    wake_ = context.wake_up();
  }
  void process(unsigned, batch_slice& slice) override {
    const auto& b = slice.data.as<script_line>();
    for (; slice.cursor < slice.limit; ++slice.cursor)
      lines_.push_back(b.records[slice.cursor]);
    if (lines_.front().play_at == 0) play(0);
  }
  progress advance_processing_time(std::chrono::milliseconds now) override {
    play(now.count());
    if (!lines_.empty()) context().wake_at(std::chrono::milliseconds{lines_.front().play_at});
    return progress::done;
  }
  progress advance_watermark(timestamp) override { return progress::done; }
  progress finish() override {
    if (lines_.empty()) return progress::done;
    context().wake_at(std::chrono::milliseconds{lines_.front().play_at});
    context().wait_for_wake_up();
    return progress::yielded;
  }

private:
  void play(std::int64_t now) {
    batch_ptr part;
    for (; !lines_.empty() && lines_.front().play_at <= now; lines_.pop_front()) {
      const auto& line = lines_.front();
      if (!line.what.id.empty()) {
        if (!part) part = context().pool(record_type_of<event>())->get();
        part.as<event>().records.push_back(line.what);
        part->timestamps.push_back(at_ms(line.what.ts));
        continue;
      }
      if (part) emit(std::move(part));
      part.reset();
      if (line.watermark <= watermark_) continue;
      watermark_ = line.watermark;
      context().output().emit_control(element::watermark(at_ms(watermark_)));
    }
    if (part) emit(std::move(part));
  }
  std::deque<script_line> lines_;
  std::int64_t watermark_ = ms(min_timestamp);
  std::function<void()> wake_;
};

} // namespace dataflow::test::golden
