/// Timestamps and watermarks of a source's subtask: one generator per split, the smallest watermark of all splits goes
/// out.
///
/// A split holds the watermark back from its assignment until it is finished, or idle. Records that a reader gives to
/// no split have a generator of their own, whose watermarks go out as they are. When all are idle the source is.
/// Alignment: a source whose watermark is above what its group allows is not polled; of several splits, those that are
/// above it are paused. Time in which it is paused, or waits for credit, makes nothing idle.
/// State: each split's generator, watermark and idleness; whoever reads the split next goes on with it.
/// Threading: the task's own. Ownership: belongs to the subtask; the context and the reader outlive it.
/// Source: Flink's ProgressiveTimestampsAndWatermarks, WatermarkOutputMultiplexer, SourceOperator.
#pragma once

#include <dataflow/connectors/source.hpp>
#include <dataflow/connectors/split_marks.hpp>
#include <dataflow/operators/watermark_emitter.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/time/watermark_strategy.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

/// What a split's event time is now, for people.
struct split_time {
  std::string split;
  timestamp watermark = min_timestamp;
  bool idle = false, paused = false;
  steady_time advanced{0};    ///< when the watermark last advanced, or the split came
  steady_time last_record{0}; ///< when it last had a record; 0: never
};

class source_event_time : declared_state {
public:
  /// Sends the source's watermark to the alignment group.
  using report_function = std::function<void(timestamp watermark)>;

  virtual ~source_event_time() = default;
  void open(operator_context& context, source_reader_base& reader, report_function report);
  void add_splits(const std::vector<source_split>& splits);
  /// Stamps the records and sends them on, with watermarks between them where a generator had something to say.
  void polled(batch_ptr b, const split_marks& marks);
  /// Does what is due at this wall time; false when nothing was.
  bool advance(std::chrono::milliseconds wall);
  /// When there is something to do; max() for never.
  std::chrono::milliseconds next() const noexcept { return std::min(next_tick_, next_report_); }
  /// The largest watermark, before the end of the input.
  void finish();

  /// The group allows watermarks up to here.
  void limit(timestamp most);
  /// Do not poll: the source is ahead of its group.
  bool must_wait() const noexcept { return waiting_since_.has_value(); }
  std::optional<timestamp> limit() const noexcept { return limit_; }
  const std::optional<watermark_alignment>& alignment() const noexcept { return alignment_; }
  timestamp watermark() const noexcept { return emitter_.current(); }
  bool is_idle() const noexcept { return emitter_.is_idle(); }
  std::vector<split_time> splits() const;
  /// Records that belong to no split.
  const split_time& of_no_split() const noexcept { return main_.time; }
  std::chrono::milliseconds idle_timeout() const noexcept {
    return idle_timeout_.value_or(std::chrono::milliseconds{0});
  }

protected:
  source_event_time(std::optional<std::chrono::milliseconds> idle_timeout, std::optional<watermark_alignment> alignment,
                    bool periodic)
      : idle_timeout_(idle_timeout), alignment_(std::move(alignment)), periodic_(periodic) {}
  virtual std::unique_ptr<detail::generator_base> make_generator() const = 0;
  /// Makes room for timestamps.
  virtual void prepare(batch_base& b) = 0;
  /// Stamps the records [begin, end), then shows them to the generator.
  virtual void run(batch_base& b, std::size_t begin, std::size_t end, detail::generator_base& g, watermark_output& out,
                   std::size_t& at, timestamp now) = 0;

private:
  static constexpr auto never = std::chrono::milliseconds::max();
  /// A split, or the source as a whole for records of no split.
  struct input {
    split_time time;
    std::unique_ptr<detail::generator_base> generator;
    std::optional<idleness_timer> idleness;
    std::optional<steady_time> paused_since;
    steady_time paused_for{0};
  };
  class split_output;
  class main_output;

  input make_input(std::string split);
  input& input_of(const std::string& split);
  void finish_split(const std::string& split);
  steady_time active_time(const input& i) const;
  timestamp now() const;
  template <class Output>
  void tick(input& i, Output&& out);
  void combine();
  void split_advanced(input& i);
  void set_paused(input& i, bool paused);
  void check_waiting();
  void flush();
  // declared_state
  state_info info() const override { return {"source watermarks", state_kind::union_list, "split watermark 1"}; }
  void snapshot(state_writer& out) const override;
  void restore(const state_part& part) override;

  const std::optional<std::chrono::milliseconds> idle_timeout_;
  const std::optional<watermark_alignment> alignment_;
  const bool periodic_;
  operator_context* context_ = nullptr;
  source_reader_base* reader_ = nullptr;
  report_function report_;
  batch_pool::handle pool_;
  watermark_emitter emitter_;
  input main_;
  std::map<std::string, input> splits_;
  std::map<std::string, std::string> restored_; ///< by split: what is not yet taken
  timestamp combined_ = min_timestamp;          ///< over the splits
  bool splits_idle_ = true, main_idle_ = true;
  std::chrono::milliseconds interval_{0}, next_tick_ = never, next_report_ = never, restored_tick_ = never;
  std::optional<timestamp> limit_;
  std::optional<steady_time> waiting_since_;
  steady_time waited_{0};
};

template <class T>
class typed_source_event_time final : public source_event_time {
public:
  explicit typed_source_event_time(const watermark_strategy<T>& strategy)
      : source_event_time(strategy.idle_timeout(), strategy.alignment(), strategy.periodic()), strategy_(strategy),
        timestamps_(strategy.make_timestamps()) {}

private:
  std::unique_ptr<detail::generator_base> make_generator() const override { return strategy_.make_generator(); }
  void prepare(batch_base& b) override {
    if (b.has_timestamps()) return;
    if (!timestamps_)
      none_.assign(std::max(none_.size(), b.size()), no_timestamp);
    else if (!timestamps_->uses_previous())
      b.timestamps.resize_for_overwrite(b.size());
    else
      b.timestamps.assign(b.size(), no_timestamp);
  }
  void run(batch_base& b, std::size_t begin, std::size_t end, detail::generator_base& g, watermark_output& out,
           std::size_t& at, timestamp now) override {
    auto& records = static_cast<batch<T>&>(b).records;
    auto i = begin;
    if (timestamps_) timestamps_->stamp(records.data(), b.timestamps.data(), i, end, now);
    const auto* times = b.has_timestamps() ? b.timestamps.data() : none_.data();
    static_cast<detail::generator_loop<T>&>(g).on_batch(records.data(), times, begin, end, out, at);
  }

  watermark_strategy<T> strategy_;
  std::unique_ptr<detail::timestamp_loop<T>> timestamps_;
  column<timestamp> none_; // for the generator, when the records have none and get none
};

} // namespace dataflow
