/// process: the general operator over one or two inputs, with side outputs and, on keyed streams, the key.
///
/// Two-input operators of all kinds (co_map, co_flat_map, co_process) are this one with an adapter around the user's
/// functions. Threading: the task's own.
#pragma once

#include <dataflow/operators/collecting_loop.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/operators/process_context.hpp>
#include <dataflow/state/look_ahead.hpp>

#include <functional>
#include <optional>
#include <tuple>
#include <vector>

namespace dataflow {

namespace detail {
/// For whoever asks why no timer fires. `timers`: how many there are; 0: unknown.
event_time_wait wait_for_timer(timestamp next, std::size_t timers);

/// What process operators without keys have: the context, and the last watermark.
template <class O, class Context = process_context>
class unkeyed_scope {
public:
  using context = Context;
  void open(operator_context& context) {
    ctx_.emplace(context);
    context.states().declare(watermark_);
    ctx_->set_watermark(watermark_.value());
  }
  context& ctx() noexcept { return *ctx_; }
  template <class T>
  void begin_slice(no_key&, const batch<T>&, std::size_t) noexcept {}
  void end_slice(operator_context&, std::size_t) noexcept {}
  template <class T>
  void set_key(no_key&, const batch<T>&, std::size_t) noexcept {}
  template <class F>
  progress advance(operator_context&, F&, collector<O>&, timestamp t) {
    watermark_.set(t);
    ctx_->set_watermark(t);
    return progress::done;
  }
  template <class F>
  progress advance_processing_time(operator_context&, F&, collector<O>&, std::chrono::milliseconds) {
    return progress::done;
  }
  std::optional<event_time_wait> waits_for() const { return {}; }

private:
  std::optional<Context> ctx_;
  last_watermark watermark_{"_watermark"};
};

/// What keyed ones have: the keyed store, timers, the key of each record.
template <class K, class O, class Context = keyed_timer_context<K>>
class keyed_scope {
public:
  using context = Context;
  void open(operator_context& context) {
    keys_.open(context.states(), context.clock());
    keys_.set_wake_up(context.wake_up());
    context.states().set_keyed(keys_);
    timers_.open(context.states(), keys_, context.clock());
    ctx_.emplace(context, keys_, timers_);
    ctx_->set_watermark(timers_.current_watermark());
    ask_to_be_woken(context);
  }
  context& ctx() noexcept { return *ctx_; }
  keyed_context<K>& keys() noexcept { return keys_; }

  template <class T, class Key>
  void begin_slice(Key& key, const batch<T>& in, std::size_t cursor) {
    hashes_ = in.has_hashes() ? in.hashes.data() : hash_all(key, in, cursor);
    looked_up_ = cursor;
    ahead_.reset();
    if (keys_.has_columns())
      ahead_.emplace(keys_, hashes_, cursor, in.size());
    else
      looked_up_ = in.size();
  }
  void end_slice(operator_context& context, std::size_t records) {
    keys_.clear_key();
    if (keys_.has_expiring_columns()) keys_.clean_up(records * 2 + 2);
    ask_to_be_woken(context);
    if (keys_.must_wait()) context.wait_for_wake_up();
  }
  /// Makes the key of record i the current one.
  template <class T, class Key>
  [[gnu::always_inline]] void set_key(Key& key, const batch<T>& in, std::size_t i) {
    if (i >= looked_up_) [[unlikely]] // another core may have written the records
      looked_up_ = ahead_->advance(i, [&in](std::size_t k) { __builtin_prefetch(&in.records[k]); });
    keys_.set_key(std::invoke(key, in.records[i]), hashes_[i], ahead_ ? (*ahead_)[i] : keyed_store::none);
  }
  /// Records without a key: those of a broadcast stream.
  template <class T>
  void begin_slice(no_key&, const batch<T>&, std::size_t) noexcept {}
  template <class T>
  void set_key(no_key&, const batch<T>&, std::size_t) noexcept {}
  template <class F>
  progress advance(operator_context& context, F& f, collector<O>& out, timestamp t) {
    ctx_->set_watermark(std::max(t, timers_.current_watermark()));
    const auto start = context.clock().now();
    const bool done = timers_.advance(
        t, [&](const timer<K>& due) { fire(context, f, out, due.time, time_domain::event); },
        [&] { return should_stop(context, out, start); });
    return after_timers(context, done);
  }
  template <class F>
  progress advance_processing_time(operator_context& context, F& f, collector<O>& out, std::chrono::milliseconds now) {
    const auto start = context.clock().now();
    const bool done = timers_.advance_processing_time(
        now, [&](const timer<K>& due) { fire(context, f, out, due.time, time_domain::processing); },
        [&] { return should_stop(context, out, start); });
    return after_timers(context, done);
  }
  std::optional<event_time_wait> waits_for() const {
    if (const auto next = timers_.next_event_time()) return wait_for_timer(*next, timers_.known_event_timers());
    return {};
  }

private:
  static constexpr steady_time longest_pass = std::chrono::milliseconds{2};
  static constexpr unsigned most_timers = 4096; // per pass, where no time passes

  /// Where the batch comes from an edge that does not hash. A key function that throws does so again for its record.
  template <class T, class Key>
  [[gnu::noinline]] const std::uint64_t* hash_all(Key& key, const batch<T>& in, std::size_t cursor) {
    computed_.resize(in.size());
    for (auto i = cursor; i < in.size(); ++i)
      try {
        computed_[i] = key_hash(std::invoke(key, in.records[i]));
      } catch (...) {
        computed_[i] = 0;
      }
    return computed_.data();
  }
  void ask_to_be_woken(operator_context& context) {
    if (auto t = timers_.next_processing_time()) context.wake_at(*t);
  }
  bool should_stop(operator_context& context, const collector<O>& out, steady_time start) {
    if (out.has_full_batch() || ctx_->sides().has_full_batch() || context.pause_requested()) return true;
    if (++fired_ % 16 != 0) return false;
    if (keys_.must_wait()) return true;
    return fired_ % most_timers == 0 || context.clock().now() - start > longest_pass;
  }
  progress after_timers(operator_context& context, bool done) {
    ask_to_be_woken(context);
    if (keys_.must_wait()) context.wait_for_wake_up();
    return done ? progress::done : progress::yielded;
  }
  template <class F>
  void fire(operator_context& context, F& f, collector<O>& out, timestamp time, time_domain domain) {
    if constexpr (requires { f.on_timer(time, *ctx_, out); }) {
      const auto mark = out.position();
      ctx_->sides().save();
      ctx_->set_domain(domain);
      ctx_->begin_record(true, time);
      if (domain == time_domain::event)
        out.set_timestamp(time);
      else
        out.clear_timestamp();
      auto attempt = [&] { f.F::on_timer(time, *ctx_, out); };
      auto rollback = [&] {
        out.rollback(mark);
        ctx_->sides().restore();
      };
      try {
        attempt();
      } catch (...) {
        rollback();
        if (context.on_record_error().action == record_error_policy::kind::side_output)
          rethrow_record_error(); // there is no record that could go there
        auto again = [&] {
          rollback();
          attempt();
        };
        try {
          handle_record_error(context, again, [](std::uint64_t) {});
        } catch (...) {
          rollback();
          throw;
        }
      }
    }
  }

  keyed_context<K> keys_;
  timer_service<K> timers_;
  std::optional<context> ctx_;
  const std::uint64_t* hashes_ = nullptr; // of the batch's records
  std::vector<std::uint64_t> computed_;
  std::size_t looked_up_ = 0; // records of the batch whose keys have been looked for
  std::optional<look_ahead<keyed_store>> ahead_;
  unsigned fired_ = 0;
};

template <class Key, class T, class O>
struct scope_for {
  using type = keyed_scope<selected_key<Key, T>, O>;
};
template <class T, class O>
struct scope_for<no_key, T, O> {
  using type = unkeyed_scope<O>;
};

/// What one- and two-input process operators share. Scope: unkeyed_scope or keyed_scope.
template <class O, class F, class Scope>
class process_base : public stream_operator {
public:
  template <class... Arguments>
  explicit process_base(const std::tuple<Arguments...>& arguments)
      : process_base(arguments, std::index_sequence_for<Arguments...>{}) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    scope_.open(context);
    scope_opened();
    if constexpr (std::is_base_of_v<stateful_function, F>) f_.bind_states(context.states());
    open_function(f_, context);
  }
  void close() noexcept override { close_function(f_); }
  progress advance_watermark(timestamp t) override {
    const auto passed = scope_.advance(context(), f_, *out_, t);
    flush();
    return passed == progress::done ? stream_operator::advance_watermark(t) : passed;
  }
  progress advance_processing_time(std::chrono::milliseconds now) override {
    const auto passed = scope_.advance_processing_time(context(), f_, *out_, now);
    flush();
    return passed;
  }
  std::optional<event_time_wait> waits_for() const override { return scope_.waits_for(); }

protected:
  /// The context is there; before the function is opened.
  virtual void scope_opened() {}
  /// call(record, context, collector) for each record of the slice; stops when a batch of results is full or a pause is
  /// asked for. As collect_records(), written out: the failing case is in a function of its own, so that nothing
  /// outside of the loop gets hold of what the loop uses.
  template <class I, class Key, class Call>
  void process_slice(batch_slice& slice, Key& key, Call call) {
    const auto& in = slice.data.as<I>();
    const auto* const times = in.has_timestamps() ? in.timestamps.data() : nullptr;
    const auto first = slice.cursor, limit = slice.limit;
    auto at = first;
    scope_.begin_slice(key, in, first);
    begin_record(nullptr, first);
    do {
      scope_.ctx().sides().save();
      const auto before = out_->position();
      try {
        if (times) begin_record(times, at);
        scope_.set_key(key, in, at);
        call(in.records[at], scope_.ctx(), *out_);
      } catch (...) {
        recover(in, key, call, at, before);
      }
      ++at;
    } while (at < limit && !out_->has_full_batch() && !this->context().pause_requested());
    slice.cursor = at;
    scope_.end_slice(this->context(), at - first);
    flush();
  }
  void flush() {
    out_->flush();
    scope_.ctx().sides().flush();
  }

  F f_;
  Scope scope_;

private:
  /// times: of the batch, null when it has none.
  [[gnu::always_inline]] void begin_record(const timestamp* times, std::size_t i) {
    scope_.ctx().begin_record(times != nullptr, times ? times[i] : no_timestamp);
    if (times)
      out_->set_timestamp(times[i]);
    else
      out_->clear_timestamp();
  }
  /// Deals with the exception of record i, which is in flight.
  template <class I, class Key, class Call>
  [[gnu::noinline]] void recover(const batch<I>& in, Key& key, Call call, std::size_t i,
                                 typename collector<O>::mark before) {
    auto rollback = [&] {
      scope_.ctx().sides().restore();
      out_->rollback(before);
    };
    auto again = [&] {
      rollback();
      begin_record(in.has_timestamps() ? in.timestamps.data() : nullptr, i);
      scope_.set_key(key, in, i);
      call(in.records[i], scope_.ctx(), *out_);
    };
    auto divert = [&](std::uint64_t tag) { divert_record(this->context(), tag, in, i); };
    rollback();
    try {
      handle_record_error(this->context(), again, divert);
    } catch (...) {
      rollback();
      throw;
    }
  }

  template <class Tuple, std::size_t... I>
  process_base(const Tuple& arguments, std::index_sequence<I...>) : f_(std::get<I>(arguments)...) {}

  std::optional<collector<O>> out_;
};
} // namespace detail

/// F has process(const I&, context&, collector<O>&), or is callable with these.
template <class I, class O, class F, class Key = no_key>
class process_operator final : public detail::process_base<O, F, typename detail::scope_for<Key, I, O>::type> {
  using base = detail::process_base<O, F, typename detail::scope_for<Key, I, O>::type>;

public:
  template <class... Arguments>
  explicit process_operator(Key key, const std::tuple<Arguments...>& arguments)
      : base(arguments), key_(std::move(key)) {}

  void process(unsigned, batch_slice& slice) override {
    this->template process_slice<I>(slice, key_, [this](const I& record, auto& ctx, auto& out) {
      if constexpr (requires { this->f_.process(record, ctx, out); })
        this->f_.F::process(record, ctx, out); // F is the whole object: no virtual call
      else
        this->f_(record, ctx, out);
    });
  }

private:
  Key key_;
};

/// F has process1(const A&, context&, collector<O>&) and process2(const B&, context&, collector<O>&).
template <class A, class B, class O, class F, class KeyA = no_key, class KeyB = no_key>
class co_process_operator final : public detail::process_base<O, F, typename detail::scope_for<KeyA, A, O>::type> {
  using base = detail::process_base<O, F, typename detail::scope_for<KeyA, A, O>::type>;

public:
  template <class... Arguments>
  explicit co_process_operator(KeyA key1, KeyB key2, const std::tuple<Arguments...>& arguments)
      : base(arguments), key1_(std::move(key1)), key2_(std::move(key2)) {}

  void process(unsigned input, batch_slice& slice) override {
    if (input == 0)
      this->template process_slice<A>(
          slice, key1_, [this](const A& record, auto& ctx, auto& out) { this->f_.F::process1(record, ctx, out); });
    else
      this->template process_slice<B>(
          slice, key2_, [this](const B& record, auto& ctx, auto& out) { this->f_.F::process2(record, ctx, out); });
  }

private:
  KeyA key1_;
  KeyB key2_;
};

/// co_map and co_flat_map as functions of co_process: two callables.
template <class F1, class F2>
struct co_map_functions {
  F1 f1;
  F2 f2;
  co_map_functions(F1 a, F2 b) : f1(std::move(a)), f2(std::move(b)) {}
  void open(runtime_context& context) {
    open_function(f1, context);
    open_function(f2, context);
  }
  void close() noexcept {
    close_function(f1);
    close_function(f2);
  }
  void process1(const auto& record, auto&, auto& out) { out.collect(f1(record)); }
  void process2(const auto& record, auto&, auto& out) { out.collect(f2(record)); }
};
template <class F1, class F2>
struct co_flat_map_functions : co_map_functions<F1, F2> {
  using co_map_functions<F1, F2>::co_map_functions;
  void process1(const auto& record, auto&, auto& out) { this->f1(record, out); }
  void process2(const auto& record, auto&, auto& out) { this->f2(record, out); }
};
/// One object with map1 and map2, or flat_map1 and flat_map2: the two share its members.
template <class F>
struct co_map_object : F {
  explicit co_map_object(F f) : F(std::move(f)) {}
  void process1(const auto& record, auto&, auto& out) { out.collect(this->map1(record)); }
  void process2(const auto& record, auto&, auto& out) { out.collect(this->map2(record)); }
};
template <class F>
struct co_flat_map_object : F {
  explicit co_flat_map_object(F f) : F(std::move(f)) {}
  void process1(const auto& record, auto&, auto& out) { this->flat_map1(record, out); }
  void process2(const auto& record, auto&, auto& out) { this->flat_map2(record, out); }
};

} // namespace dataflow
