/// interval_join: pairs of records of two keyed streams with equal keys whose timestamps are close to each other.
///
/// A pair comes out at once, when the later one of it arrives, with the larger of the two timestamps; the partners of a
/// record in the order of their timestamps, of equal ones in the order of arrival. A record is late when its timestamp
/// is less than the watermark (an equal one is on time, unlike in windows): it joins with nothing and is counted under
/// numLateRecordsDropped, or goes to a side output. Records are forgotten as soon as no partner on time can come. The
/// task can stop between any two pairs of a record (join_cursor.hpp); under a record-error policy other than fail the
/// pairs of a record go on together, so that they can be taken back.
/// Threading: the task's own. Errors: errc::missing_timestamp for records without one.
/// Source: Flink's IntervalJoinOperator and ProcessJoinFunction.
#pragma once

#include <dataflow/operators/collecting_loop.hpp>
#include <dataflow/operators/interval_join_buffers.hpp>
#include <dataflow/operators/join_cursor.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/operators/side_collectors.hpp>
#include <dataflow/operators/stored_join_buffers.hpp>
#include <dataflow/state/last_watermark.hpp>

#include <memory>
#include <optional>
#include <tuple>

namespace dataflow {

/// What the function of a join can see and do beside its pair and its collector. Valid during the call.
class join_context {
public:
  explicit join_context(operator_context& context) noexcept : sides_(context), runtime_(context) {}
  timestamp left_timestamp() const noexcept { return left_; }
  timestamp right_timestamp() const noexcept { return right_; }
  /// The larger of the two: the timestamp of the results.
  timestamp result_timestamp() const noexcept { return std::max(left_, right_); }
  /// Puts a record into a side output, with the result's timestamp. Nothing happens when nobody reads it.
  template <class T>
  void output(const output_tag<T>& tag, std::type_identity_t<T> value) {
    sides_.collect(tag, std::move(value));
  }
  /// min_timestamp before the first one.
  timestamp current_watermark() const noexcept { return watermark_; }
  runtime_context& runtime() noexcept { return runtime_; }

  // The engine's side.
  void begin_pair(timestamp left, timestamp right) noexcept {
    left_ = left;
    right_ = right;
    sides_.set_timestamp(true, result_timestamp());
  }
  void set_watermark(timestamp t) noexcept { watermark_ = t; }
  side_collectors& sides() noexcept { return sides_; }

private:
  side_collectors sides_;
  runtime_context& runtime_;
  timestamp left_{}, right_{}, watermark_ = min_timestamp;
};

/// Derive from it and hand the type to process<F>(arguments...), which makes one instance per subtask.
template <class Left, class Right, class Out>
class process_join_function {
public:
  using input_type1 = Left;
  using input_type2 = Right;
  using output_type = Out;
  using context = join_context;
  process_join_function() = default;
  process_join_function(const process_join_function&) = delete;
  virtual ~process_join_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(const Left& left, const Right& right, context& ctx, collector<Out>& out) = 0;
  virtual void close() {}
};

namespace detail {
[[noreturn]] void record_without_timestamp(const char* where);
} // namespace detail

template <class L, class R>
struct interval_join_config {
  interval_bounds bounds;
  std::optional<output_tag<L>> late_left = {};
  std::optional<output_tag<R>> late_right = {};
};

/// F has process(left, right, join_context&, collector<O>&), or is callable with these or without the context.
template <class L, class R, class O, class F, class KeyL, class KeyR>
class interval_join_operator final : public stream_operator {
public:
  using key_type = selected_key<KeyL, L>;
  static_assert(std::is_same_v<key_type, selected_key<KeyR, R>>);

  template <class... Arguments>
  interval_join_operator(KeyL left, KeyR right, interval_join_config<L, R> config,
                         const std::tuple<Arguments...>& arguments)
      : interval_join_operator(std::move(left), std::move(right), std::move(config), arguments,
                               std::index_sequence_for<Arguments...>{}) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    wake_ = context.wake_up();
    ctx_.emplace(context);
    late_ = &context.counter("numLateRecordsDropped");
    buffers_.emplace(config_.bounds, context.max_parallelism());
    context.states().declare(watermark_);
    if (context.states().has_databases()) {
      stored_ = std::make_unique<stored_buffers>(config_.bounds, buffers_->info());
      stored_->open(context.states(), context.clock());
      context.states().declare(visited_);
      if (visited_.value() > min_timestamp && visited_.value() < watermark_.value()) { // a snapshot in between
        stored_->set_watermark(watermark_.value());
        while (!stored_->visit_expired(visits_per_call))
          stored_->make_room();
        stored_->make_room();
      }
    } else {
      context.states().declare(*buffers_);
      in_files_.read(context.states(), context.clock(), buffers_->info().name,
                     [this](const state_part& p) { buffers_->restore(p); });
    }
    cursor_.emplace(context.max_parallelism());
    context.states().declare(*cursor_);
    sends_early_ = context.on_record_error().action == record_error_policy::kind::fail;
    ctx_->set_watermark(watermark_.value());
    open_function(f_, context);
  }
  void close() noexcept override { close_function(f_); }

  void process(unsigned input, batch_slice& slice) override {
    if (input == 0)
      join<0, L>(slice, left_key_, config_.late_left);
    else
      join<1, R>(slice, right_key_, config_.late_right);
    if (must_wait()) context().wait_for_wake_up();
    if (stored_) stored_->make_room();
    if (cursor_->keeps_results()) return;
    out_->flush();
    ctx_->sides().flush();
  }

  progress advance_watermark(timestamp t) override {
    if (t > watermark_.value()) {
      watermark_.set(t);
      ctx_->set_watermark(t);
      buffers_->set_watermark(t);
      if (stored_) stored_->set_watermark(t);
      cursor_->forget_before(t);
    }
    const bool done = stored_ ? stored_->visit_expired(visits_per_call) : buffers_->visit_expired(visits_per_call);
    if (stored_) stored_->make_room();
    if (must_wait()) context().wait_for_wake_up();
    if (!done) return progress::yielded;
    if (stored_) visited_.set(t);
    return stream_operator::advance_watermark(t);
  }

  /// Keys that are remembered now.
  std::size_t keys() const { return stored_ ? stored_->keys() : buffers_->keys(); }
  /// Of what is in a database, what is in memory.
  std::size_t counted_bytes() const noexcept { return stored_ ? stored_->counted_bytes() : 0; }

private:
  using stored_buffers = detail::stored_join_buffers<key_type, L, R>;
  static constexpr std::size_t block = 64;             // records whose look-ups overlap
  static constexpr std::size_t visits_per_call = 4096; // keys
  static constexpr std::ptrdiff_t most_at_once = 64;   // pairs of a record that are kept, without a stop in between

  template <class Tuple, std::size_t... I>
  interval_join_operator(KeyL left, KeyR right, interval_join_config<L, R> config, const Tuple& arguments,
                         std::index_sequence<I...>)
      : left_key_(std::move(left)), right_key_(std::move(right)), config_(std::move(config)),
        f_(std::get<I>(arguments)...) {}

  template <unsigned Side, class T, class Key>
  void join(batch_slice& slice, Key& key, const std::optional<output_tag<T>>& late) {
    auto& in = slice.data.as<T>();
    const auto limit = slice.limit;
    const bool owned = slice.data.unique(); // then records move into the buffers
    auto mark = [&] {
      if (cursor_->keeps_results()) return record_mark_; // what has been kept of this record can fail with it
      ctx_->sides().save();
      return record_mark_ = out_->position();
    };
    auto rollback = [&](const typename collector<O>::mark&) {
      cursor_->end();
      ctx_->sides().restore();
      out_->rollback(record_mark_);
    };
    auto body = [&](std::size_t i) { join_record<Side>(in, i, key, late, owned); };
    while (slice.cursor < limit) {
      slice.limit = std::min(limit, slice.cursor + block);
      if (in.has_hashes() && !stored_) {
        for (auto i = slice.cursor; i < slice.limit; ++i)
          buffers_->prefetch(in.hashes[i]);
        for (auto i = slice.cursor; i < slice.limit; ++i)
          buffers_->prefetch_slot(in.hashes[i]);
      }
      collect_records<T>(context(), slice, *out_, body, mark, rollback);
      if (cursor_->stopped()) --slice.cursor; // it has more pairs
      const bool stopped = slice.cursor < slice.limit;
      slice.limit = limit;
      if (stopped || out_->has_full_batch() || context().pause_requested() || must_wait()) return;
    }
  }

  template <unsigned Side, class T, class Key>
  void join_record(batch<T>& in, std::size_t i, Key& key, const std::optional<output_tag<T>>& late, bool owned) {
    T& record = in.records[i];
    if (!in.has_timestamps() || in.timestamps[i] == no_timestamp) detail::record_without_timestamp("an interval join");
    const auto t = in.timestamps[i];
    if (t < watermark_.value()) return drop_late(record, t, late);
    decltype(auto) k = std::invoke(key, std::as_const(record));
    const auto hash = in.has_hashes() ? in.hashes[i] : key_hash<key_type>(key_type(k));
    if (stored_) [[unlikely]]
      return join_with<Side>(stored_->enter(k, hash), record, t, hash, owned);
    join_with<Side>(buffers_->find_or_insert(k, hash, Side, t), record, t, hash, owned);
  }
  template <unsigned Side, class Slot, class T>
  void join_with(Slot& mine, T& record, timestamp t, std::uint64_t hash, bool owned) {
    if (const auto partners = config_.bounds.partners_of(Side, t)) {
      const auto from = cursor_->begin(Side, t, hash);
      std::size_t stopped_at = 0;
      if constexpr (Side == 0)
        stopped_at =
            each(mine.right, *partners, from, [&](const R& right, timestamp at) { call(record, t, right, at); });
      else
        stopped_at = each(mine.left, *partners, from, [&](const L& left, timestamp at) { call(left, at, record, t); });
      if (stopped_at > 0) return cursor_->stop(Side, t, hash, stopped_at, sends_early_);
      cursor_->end();
    }
    if constexpr (!std::is_same_v<Slot, typename stored_buffers::slot>) {
      if (owned)
        buffers_->template add<Side, T>(mine, t, std::move(record));
      else
        buffers_->template add<Side, T>(mine, t, record);
    } else if constexpr (Side == 0) {
      mine.left.insert(t, owned ? std::move(record) : T(record));
    } else {
      mine.right.insert(t, owned ? std::move(record) : T(record));
    }
  }
  /// From partner number `from` on. 0: all are through; else how many are, and there are more.
  template <class Run, class Each>
  std::size_t each(const Run& run, const std::pair<timestamp, timestamp>& partners, std::size_t from, Each&& f) {
    const auto* const first = run.from(partners.first);
    const auto* const end = run.end();
    bool may_stop = sends_early_;
    if (!sends_early_ && run.after(partners.second) - first > most_at_once) {
      may_stop = true;
      if (!cursor_->stopped()) keep_from_here();
    }
    for (auto* e = first + std::min(from, static_cast<std::size_t>(end - first));
         e != end && e->at <= partners.second;) {
      f(e->record, e->at);
      ++e;
      if (may_stop && must_stop() && e != end && e->at <= partners.second) return static_cast<std::size_t>(e - first);
    }
    return 0;
  }
  /// Snapshots in progress hold more than they may.
  bool must_wait() {
    return buffers_->is_held() && buffers_->holds_more_than(context().states().place().snapshot_bytes, wake_);
  }
  bool must_stop() { return context().pause_requested() || (sends_early_ && out_->has_full_batch()); }
  /// What was collected before goes on: only results of the record at hand are kept, and can be taken back.
  void keep_from_here() {
    out_->flush();
    ctx_->sides().flush();
    record_mark_ = out_->position();
    ctx_->sides().save();
  }
  void call(const L& left, timestamp left_at, const R& right, timestamp right_at) {
    ctx_->begin_pair(left_at, right_at);
    out_->set_timestamp(ctx_->result_timestamp());
    if constexpr (requires { f_.process(left, right, *ctx_, *out_); })
      f_.process(left, right, *ctx_, *out_);
    else if constexpr (requires { f_(left, right, *ctx_, *out_); })
      f_(left, right, *ctx_, *out_);
    else
      f_(left, right, *out_);
  }
  template <class T>
  void drop_late(const T& record, timestamp t, const std::optional<output_tag<T>>& tag) {
    if (!tag) return late_->add(1);
    ctx_->sides().set_timestamp(true, t);
    ctx_->sides().collect(*tag, record);
  }

  KeyL left_key_;
  KeyR right_key_;
  interval_join_config<L, R> config_;
  F f_;
  accumulator* late_ = nullptr;
  last_watermark watermark_;
  std::function<void()> wake_;
  std::optional<interval_join_buffers<key_type, L, R>> buffers_;
  rows_in_files<key_type> in_files_;
  last_watermark visited_{"_visited"};     // of stored_: all that had expired then has gone
  std::unique_ptr<stored_buffers> stored_; // in the place of these, where there are databases
  std::optional<join_cursor> cursor_;
  bool sends_early_ = true; // pairs go on before their record is through
  std::optional<collector<O>> out_;
  typename collector<O>::mark record_mark_{}; // before the record at hand
  std::optional<join_context> ctx_;
};

} // namespace dataflow
