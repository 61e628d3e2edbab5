/// What a process function can see and do beside its record and its collector.
///
/// Threading: the task's own. Ownership: belongs to the operator; valid during the call only.
#pragma once

#include <dataflow/operators/side_collectors.hpp>
#include <dataflow/util/clock.hpp>

#include <optional>

namespace dataflow {

class process_context {
public:
  explicit process_context(operator_context& context) noexcept : sides_(context), runtime_(context) {}

  /// Puts a record into a side output. Nothing happens when nobody reads it.
  template <class T>
  void output(const output_tag<T>& tag, std::type_identity_t<T> value) {
    sides_.collect(tag, std::move(value));
  }
  /// The event-time timestamp of the record at hand, if it has one.
  std::optional<timestamp> record_timestamp() const noexcept { return stamped_ ? std::optional{time_} : std::nullopt; }
  /// min_timestamp before the first one.
  timestamp current_watermark() const noexcept { return watermark_; }
  /// Wall time.
  std::chrono::milliseconds processing_time() const noexcept { return runtime_.clock().wall(); }
  runtime_context& runtime() noexcept { return runtime_; }

  // The engine's side.
  void begin_record(bool stamped, timestamp t) noexcept {
    stamped_ = stamped;
    time_ = t;
    sides_.set_timestamp(stamped, t);
  }
  void set_watermark(timestamp t) noexcept { watermark_ = t; }
  side_collectors& sides() noexcept { return sides_; }

private:
  side_collectors sides_;
  runtime_context& runtime_;
  timestamp time_ = no_timestamp, watermark_ = min_timestamp;
  bool stamped_ = false;
};

/// On a keyed stream.
template <class K>
class keyed_process_context : public process_context {
public:
  using process_context::process_context;
  /// The key of the record at hand.
  const K& key() const noexcept { return *key_; }

  // The engine's side: a key that lives as long as the call, or a value to keep.
  void set_key(const K& key) noexcept { key_ = &key; }
  void set_key(K&& key) { key_ = &kept_.emplace(std::move(key)); }
  void set_key(std::string_view key) requires std::is_same_v<K, std::string> { key_ = &kept_.emplace(key); }

private:
  const K* key_ = nullptr;
  std::optional<K> kept_;
};

/// The functions behind process(): derive from one of these and hand the type to process<F>(arguments...), which makes
/// one instance per subtask. open() may be overridden to prepare, close() to clean up.
template <class In, class Out>
class process_function {
public:
  using input_type = In;
  using output_type = Out;
  using context = process_context;
  process_function() = default;
  process_function(const process_function&) = delete;
  virtual ~process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(const In& record, context& ctx, collector<Out>& out) = 0;
  virtual void close() {}
};

template <class K, class In, class Out>
class keyed_process_function {
public:
  using key_type = K;
  using input_type = In;
  using output_type = Out;
  using context = keyed_process_context<K>;
  keyed_process_function() = default;
  keyed_process_function(const keyed_process_function&) = delete;
  virtual ~keyed_process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(const In& record, context& ctx, collector<Out>& out) = 0;
  virtual void close() {}
};

/// Of connected streams: process1 for records of the first, process2 for those of the second, in no order between them.
template <class In1, class In2, class Out>
class co_process_function {
public:
  using input_type1 = In1;
  using input_type2 = In2;
  using output_type = Out;
  using context = process_context;
  co_process_function() = default;
  co_process_function(const co_process_function&) = delete;
  virtual ~co_process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process1(const In1& record, context& ctx, collector<Out>& out) = 0;
  virtual void process2(const In2& record, context& ctx, collector<Out>& out) = 0;
  virtual void close() {}
};

template <class K, class In1, class In2, class Out>
class keyed_co_process_function {
public:
  using key_type = K;
  using input_type1 = In1;
  using input_type2 = In2;
  using output_type = Out;
  using context = keyed_process_context<K>;
  keyed_co_process_function() = default;
  keyed_co_process_function(const keyed_co_process_function&) = delete;
  virtual ~keyed_co_process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process1(const In1& record, context& ctx, collector<Out>& out) = 0;
  virtual void process2(const In2& record, context& ctx, collector<Out>& out) = 0;
  virtual void close() {}
};

} // namespace dataflow
