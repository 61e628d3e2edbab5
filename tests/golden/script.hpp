/// Plays the lines of a golden case as the source of a pipeline: events with their timestamps, watermarks in between.
///
/// Lines with a time to play are played then; time is the simulation's, so that one line is dealt with everywhere
/// before the next one comes. A script_source plays them itself and knows how far it has come, so that a job can stop
/// between two lines. Threading: an operator's.
#pragma once

#include <dataflow/connectors/source.hpp>
#include <dataflow/operators/operator.hpp>

#include <deque>
#include <functional>
#include <optional>

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

/// Hands out each line when its time has come; one split, whose position is the next line.
class script_source final : public source<script_line> {
public:
  explicit script_source(std::vector<script_line> lines)
      : lines_(std::make_shared<const std::vector<script_line>>(std::move(lines))) {}
  boundedness bounds() const noexcept override { return boundedness::bounded; }
  std::unique_ptr<source_reader<script_line>> make_reader() const override { return std::make_unique<reader>(lines_); }
  std::unique_ptr<split_enumerator> make_enumerator() const override { return std::make_unique<enumerator>(); }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string& assigned) const override {
    auto e = std::make_unique<enumerator>();
    e->assigned = assigned == "yes";
    return e;
  }

private:
  using script = std::shared_ptr<const std::vector<script_line>>;
  struct enumerator final : split_enumerator {
    void start(enumerator_context&) override {}
    void split_requested(enumerator_context& context, std::uint32_t subtask) override {
      if (!std::exchange(assigned, true)) context.assign(subtask, {"all", "0"});
    }
    void splits_returned(enumerator_context&, std::uint32_t, std::vector<source_split> splits) override {
      if (!splits.empty()) assigned = false;
    }
    std::string snapshot(std::uint64_t) override { return assigned ? "yes" : "no"; }
    bool assigned = false;
  };
  struct reader final : source_reader<script_line> {
    explicit reader(script all) : lines(std::move(all)) {}
    void open(reader_context& context) override {
      time = context.platform().clock;
      if (!begun) context.request_split();
    }
    void add_splits(std::vector<source_split> splits) override {
      begun = true;
      next = std::stoul(splits.at(0).payload);
      for (std::size_t i = 0; i < next; ++i) // what a watermark generator remembers
        if ((*lines)[i].what.id.empty()) again = i;
    }
    void no_more_splits() override {}
    std::vector<source_split> snapshot(std::uint64_t) override {
      if (!begun) return {};
      return {{"all", std::to_string(next)}};
    }
    poll_result poll(source_output<script_line>& out) override {
      if (!begun) return poll_result::wait();
      if (again) {
        auto line = (*lines)[*std::exchange(again, {})];
        line.play_at = 0;
        out.collect(line);
        return poll_result::more();
      }
      if (next == lines->size()) return poll_result::end();
      auto line = (*lines)[next];
      const auto left = std::chrono::milliseconds{line.play_at} - time->wall();
      if (left.count() > 0) return poll_result::wait_until(time->now() + left);
      line.play_at = 0; // now
      out.collect(line);
      ++next;
      return poll_result::more();
    }
    const script lines;
    const dataflow::clock* time = nullptr;
    bool begun = false;
    std::size_t next = 0;
    std::optional<std::size_t> again;
  };
  const script lines_;
};

} // namespace dataflow::test::golden
