/// assign_timestamps_and_watermarks: timestamps and watermarks in the middle of a stream.
///
/// Watermarks that come in are swallowed, except the last one; idleness of the inputs does not matter here. Watermarks
/// that a generator emits on a record go out right behind it; the others at pipeline.auto-watermark-interval.
/// State: the generator, the last watermark, the time without records and the next tick, so that a restart changes
/// nothing but that idleness is announced again.
/// Source: Flink's TimestampsAndWatermarksOperator.
#pragma once

#include <dataflow/operators/record_loop.hpp>
#include <dataflow/operators/watermark_emitter.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/time/watermark_strategy.hpp>
#include <dataflow/util/clock.hpp>

namespace dataflow {

template <class T>
class timestamps_and_watermarks_operator final : public stream_operator, declared_state {
public:
  explicit timestamps_and_watermarks_operator(const watermark_strategy<T>& strategy)
      : timestamps_(strategy.make_timestamps()), generator_(strategy.make_generator()), periodic_(strategy.periodic()) {
    if (auto& timeout = strategy.idle_timeout()) idleness_.emplace(*timeout);
  }

  void open(operator_context& context) override {
    stream_operator::open(context);
    owner_ = &context;
    pool_ = context.pool(record_type_of<T>());
    interval_ = context.watermark_interval();
    if (ticks()) next_tick_ = context.clock().wall() + interval_;
    context.states().declare(*this);
    if (ticks()) context.wake_at(next_tick_);
  }

  void process(unsigned, batch_slice& slice) override {
    if (slice.data.unique()) return assign(slice);
    batch_slice own{pool_->get(), 0, slice.limit - slice.cursor};
    slice.data->type().append(*own.data, *slice.data, slice.cursor, slice.limit, false);
    slice.cursor = slice.limit;
    assign(own);
  }

  progress advance_watermark(timestamp t) override {
    if (t == max_timestamp) {
      emitter_.emit_watermark(t);
      emitter_.flush(context().output());
    }
    return progress::done;
  }
  void change_status(bool) override {}
  bool makes_watermarks() const noexcept override { return true; }

  progress advance_processing_time(std::chrono::milliseconds now) override {
    const auto verdict = idleness_ ? idleness_->check(context().active_time()) : idleness_timer::verdict::active;
    if (verdict == idleness_timer::verdict::idle_now) emitter_.mark_idle();
    if (verdict == idleness_timer::verdict::active) generator_->on_periodic_emit(emitter_, this->now());
    emitter_.flush(context().output());
    next_tick_ = now + interval_;
    context().wake_at(next_tick_);
    return progress::done;
  }

  progress finish() override {
    generator_->on_periodic_emit(emitter_, now());
    emitter_.flush(context().output());
    return progress::done;
  }

private:
  bool ticks() const noexcept { return periodic_ && interval_.count() > 0; }
  /// For ingestion time: the clock, but never behind the watermark.
  timestamp now() {
    return std::max(timestamp{context().clock().wall()},
                    saturating_add(emitter_.current(), std::chrono::milliseconds{1}));
  }

  /// REQUIRES: the batch is ours alone.
  void assign(batch_slice& slice) {
    auto& b = slice.data.as<T>();
    const auto limit = slice.limit;
    const bool had = b.has_timestamps();
    const timestamp* times = nullptr; // for the generator, when the records have none and get none
    if (!had && !timestamps_) {
      if (none_.size() < limit) none_.assign(limit, no_timestamp);
      times = none_.data();
    } else if (!had) {
      const bool all_written = slice.cursor == 0 && limit == b.size() && !timestamps_->uses_previous();
      if (all_written)
        b.timestamps.resize_for_overwrite(limit);
      else
        b.timestamps.assign(b.size(), no_timestamp);
    }
    auto from = slice.cursor, at = slice.cursor;
    while (timestamps_ && at < limit) {
      try {
        timestamps_->stamp(b.records.data(), b.timestamps.data(), at, limit, now());
      } catch (...) {
        auto again = [&] {
          auto one = at;
          timestamps_->stamp(b.records.data(), b.timestamps.data(), one, at + 1, now());
        };
        auto divert = [&](std::uint64_t tag) {
          divert_record(context(), tag, b.records[at], had ? b.timestamps[at] : no_timestamp, had);
        };
        if (handle_record_error(context(), again, divert) == record_outcome::dropped) {
          send(slice, from, at, times);
          from = at + 1;
        }
        ++at;
      }
    }
    slice.cursor = limit;
    send(slice, from, limit, times);
  }

  /// Sends the records [from, end), cut where the generator had something to say.
  void send(batch_slice& slice, std::size_t from, std::size_t end, const timestamp* times) {
    if (from == end) return;
    const auto& b = slice.data.as<T>();
    generator_->on_batch(b.records.data(), times ? times : b.timestamps.data(), from, end, emitter_, emitter_.at);
    if (idleness_) idleness_->activity();
    emitter_.flush(context().output(), [&](std::size_t to) {
      emit_records(context().output(), *pool_, slice, from, to);
      from = to;
    });
    emit_records(context().output(), *pool_, slice, from, end);
  }

  // declared_state
  state_info info() const override { return {"watermarks", state_kind::list, "watermark generator 1"}; }
  void snapshot(state_writer& out) const override {
    auto& bytes = out.part();
    bytes.fixed(emitter_.current());
    bytes.fixed<std::uint8_t>(emitter_.is_idle() ? 1 : 0);
    bytes.fixed<std::int64_t>(next_tick_.count());
    bytes.fixed<std::uint8_t>(idleness_ ? 1 : 0);
    if (idleness_) idleness_->snapshot(bytes, owner_->active_time());
    bytes.text(generator_->kind());
    generator_->snapshot(bytes);
  }
  /// Of several, when the parallelism has changed: the one that promises least.
  void restore(const state_part& part) override {
    byte_reader in{part.bytes};
    const auto current = in.fixed<timestamp>();
    if (restored_ && current >= emitter_.current()) return;
    restored_ = true;
    emitter_.restore(current, in.fixed<std::uint8_t>() != 0);
    next_tick_ = std::min(next_tick_, std::chrono::milliseconds{in.fixed<std::int64_t>()});
    if (in.fixed<std::uint8_t>() != 0) {
      idleness_timer stored{std::chrono::milliseconds{0}};
      (idleness_ ? *idleness_ : stored).restore(in, owner_->active_time());
    }
    if (in.text() == generator_->kind()) generator_->restore(in); // another strategy than before begins anew
  }

  std::unique_ptr<detail::timestamp_loop<T>> timestamps_;
  std::unique_ptr<detail::generator_loop<T>> generator_;
  std::optional<idleness_timer> idleness_;
  watermark_emitter emitter_;
  column<timestamp> none_;
  operator_context* owner_ = nullptr;
  batch_pool::handle pool_;
  std::chrono::milliseconds interval_{0}, next_tick_{0};
  const bool periodic_;
  bool restored_ = false;
};

} // namespace dataflow
