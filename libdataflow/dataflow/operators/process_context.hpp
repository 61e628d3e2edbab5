/// What a process function can see and do beside its record and its collector.
///
/// Threading: the task's own. Ownership: belongs to the operator; valid during the call only.
#pragma once

#include <dataflow/operators/side_collectors.hpp>
#include <dataflow/state/keyed_states.hpp>
#include <dataflow/time/timer_service.hpp>
#include <dataflow/util/clock.hpp>

#include <optional>

namespace dataflow {

/// The timers of streams without keys: the times can be asked for, timers cannot be set.
class no_timers {
public:
  explicit no_timers(runtime_context& runtime) noexcept : runtime_(runtime) {}
  timestamp current_watermark() const noexcept { return watermark_; }
  timestamp current_processing_time() const noexcept { return timestamp{runtime_.clock().wall()}; }
  [[noreturn]] void register_event_time(timestamp) { keyed_store::fail_no_key("a timer"); }
  [[noreturn]] void delete_event_time(timestamp) { keyed_store::fail_no_key("a timer"); }
  [[noreturn]] void register_processing_time(timestamp) { keyed_store::fail_no_key("a timer"); }
  [[noreturn]] void delete_processing_time(timestamp) { keyed_store::fail_no_key("a timer"); }
  void set_watermark(timestamp t) noexcept { watermark_ = t; }

private:
  runtime_context& runtime_;
  timestamp watermark_ = min_timestamp;
};

class process_context {
public:
  explicit process_context(operator_context& context) noexcept : sides_(context), runtime_(context), timers_(context) {}

  /// Puts a record into a side output. Nothing happens when nobody reads it.
  template <class T>
  void output(const output_tag<T>& tag, std::type_identity_t<T> value) {
    sides_.collect(tag, std::move(value));
  }
  /// The event-time timestamp of the record at hand, if it has one; of a timer its time.
  std::optional<timestamp> record_timestamp() const noexcept { return stamped_ ? std::optional{time_} : std::nullopt; }
  /// min_timestamp before the first one.
  timestamp current_watermark() const noexcept { return timers_.current_watermark(); }
  no_timers& timers() noexcept { return timers_; }
  /// Wall time.
  std::chrono::milliseconds processing_time() const noexcept { return runtime_.clock().wall(); }
  runtime_context& runtime() noexcept { return runtime_; }

  // The engine's side.
  void begin_record(bool stamped, timestamp t) noexcept {
    stamped_ = stamped;
    time_ = t;
    sides_.set_timestamp(stamped, t);
  }
  void set_watermark(timestamp t) noexcept { timers_.set_watermark(t); }
  side_collectors& sides() noexcept { return sides_; }

private:
  side_collectors sides_;
  runtime_context& runtime_;
  no_timers timers_;
  timestamp time_ = no_timestamp;
  bool stamped_ = false;
};
/// On a keyed stream.
template <class K>
class keyed_process_context : public process_context {
public:
  keyed_process_context(operator_context& context, keyed_context<K>& keys, timer_service<K>& timers) noexcept
      : process_context(context), keys_(keys), timers_(timers) {}
  /// The key of the record or timer at hand.
  const K& key() const { return keys_.key(); }
  /// Timers of this key.
  timer_service<K>& timers() noexcept { return timers_; }
  /// min_timestamp before the first one. In on_timer(), the one that made the timer fire.
  timestamp current_watermark() const noexcept { return timers_.current_watermark(); }

private:
  keyed_context<K>& keys_;
  timer_service<K>& timers_;
};

/// In on_timer().
template <class K>
class keyed_timer_context : public keyed_process_context<K> {
public:
  using keyed_process_context<K>::keyed_process_context;
  /// Which of the two times the timer was registered in.
  time_domain domain() const noexcept { return domain_; }
  void set_domain(time_domain d) noexcept { domain_ = d; } // the engine's side

private:
  time_domain domain_ = time_domain::event;
};

/// The functions behind process(): derive from one of these and hand the type to process<F>(arguments...), which makes
/// one instance per subtask. open() may be overridden to prepare, close() to clean up. Keyed ones declare state as
/// members (state_handle.hpp) and set timers through their context.
template <class In, class Out>
class process_function : public stateful_function {
public:
  using input_type = In;
  using output_type = Out;
  using context = process_context;
  virtual ~process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(const In& record, context& ctx, collector<Out>& out) = 0;
  virtual void close() {}
};

template <class K, class In, class Out>
class keyed_process_function : public stateful_function {
public:
  using key_type = K;
  using input_type = In;
  using output_type = Out;
  using context = keyed_process_context<K>;
  using timer_context = keyed_timer_context<K>;
  virtual ~keyed_process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(const In& record, context& ctx, collector<Out>& out) = 0;
  /// A timer of ctx.key() fires. Results carry its time (those of processing-time timers none).
  virtual void on_timer(timestamp /*time*/, timer_context& /*ctx*/, collector<Out>& /*out*/) {}
  virtual void close() {}
};

/// Of connected streams: process1 for records of the first, process2 for those of the second, in no order between them.
template <class In1, class In2, class Out>
class co_process_function : public stateful_function {
public:
  using input_type1 = In1;
  using input_type2 = In2;
  using output_type = Out;
  using context = process_context;
  virtual ~co_process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process1(const In1& record, context& ctx, collector<Out>& out) = 0;
  virtual void process2(const In2& record, context& ctx, collector<Out>& out) = 0;
  virtual void close() {}
};

template <class K, class In1, class In2, class Out>
class keyed_co_process_function : public stateful_function {
public:
  using key_type = K;
  using input_type1 = In1;
  using input_type2 = In2;
  using output_type = Out;
  using context = keyed_process_context<K>;
  using timer_context = keyed_timer_context<K>;
  virtual ~keyed_co_process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process1(const In1& record, context& ctx, collector<Out>& out) = 0;
  virtual void process2(const In2& record, context& ctx, collector<Out>& out) = 0;
  /// A timer of ctx.key() fires. Results carry its time (those of processing-time timers none).
  virtual void on_timer(timestamp /*time*/, timer_context& /*ctx*/, collector<Out>& /*out*/) {}
  virtual void close() {}
};

} // namespace dataflow
