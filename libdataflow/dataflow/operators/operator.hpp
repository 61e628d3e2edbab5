/// The operator interface: what a stage of a chain is.
///
/// An operator takes slices of batches and emits batches. It is called by one chain, never concurrently, and it can
/// stop after any record: it leaves slice.cursor where it stopped and is called again later. Two members are
/// mandatory (process, and a constructor), everything else has a default.
/// Threading: one call at a time, on changing threads. Ownership: the chain owns its operators.
/// Errors: whatever a member throws fails the task with operator, subtask and attempt in the text; the record-error
/// policy has been applied before (see record_errors.hpp).
/// Source: the shape follows Flink's StreamOperator and DuckDB's pipeline operators (progress as an enum).
#pragma once

#include <dataflow/exchange/element.hpp>
#include <dataflow/operators/runtime_context.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace dataflow {

class byte_writer;
class clock;
class error;
class state_registry;

/// Part of a batch: the records [cursor, limit) are to be processed now.
struct batch_slice {
  batch_ptr data;
  std::size_t cursor = 0;
  std::size_t limit = 0; ///< at most data->size(); the chain chooses it so that a call stays short
};

enum class progress : std::uint8_t {
  done,    ///< all that was asked for has happened
  yielded, ///< call again: there is more to do, and stopping in between was asked for (or output is full)
};

/// Where an operator's output goes. Implemented by the chain.
class operator_output {
public:
  virtual ~operator_output() = default;
  /// Hands a batch on. Never blocks; what cannot be sent yet is kept by the chain, which then does not call the
  /// operator until it has room again. Empty batches are dropped.
  virtual void emit(batch_ptr b) = 0;
  /// Emits a control element to the main and all side outputs.
  virtual void emit_control(element e) = 0;
};

/// What to do with a record that a user's function throws on.
struct record_error_policy {
  enum class kind : std::uint8_t { fail, skip, retry, side_output };
  kind action = kind::fail;
  std::uint32_t retries = 0; ///< of kind::retry: so many more calls, then fail
  std::uint64_t tag = 0;     ///< of kind::side_output: the id of the output_tag
};

class operator_context : public runtime_context {
public:
  virtual operator_output& output() = 0;
  /// The side output of a tag's id; emissions go nowhere when nobody reads it.
  virtual operator_output& side_output(std::uint64_t tag) = 0;
  /// Buffers of one type for this task.
  virtual batch_pool::handle pool(const record_type& type) = 0;
  virtual const batch_limits& limits() const noexcept = 0;
  virtual const record_error_policy& on_record_error() const noexcept = 0;
  /// Somebody wants the task to stop between records (cancel, a checkpoint). Cheap: a relaxed load.
  bool pause_requested() const noexcept { return pause_.load(std::memory_order_relaxed); }
  /// Asks for a call of advance_processing_time() as soon as wall time has reached `wall`. Of several times the
  /// earliest counts; the request is gone with the call, and operators that wait for more ask again.
  virtual void wake_at(std::chrono::milliseconds wall) = 0;
  /// How often watermarks are emitted (pipeline.auto-watermark-interval); 0: never at an interval.
  virtual std::chrono::milliseconds watermark_interval() const noexcept { return std::chrono::milliseconds{200}; }
  /// A clock that stands still while the task waits for credit: no input in that time is nobody's silence.
  virtual std::chrono::nanoseconds active_time() const noexcept;
  /// Sends a part of a bounded job's result to the client (see collect()); `bytes` is one encoded batch.
  virtual void report_result(std::uint64_t collector, std::string bytes) = 0;
  /// For operators that wait for something outside the task: calling the result makes the task call on_wake_up() soon.
  /// Safe from any thread, also after the task is gone. Take it in open(); the default does nothing.
  virtual std::function<void()> wake_up();
  /// Said in process(), advance_watermark() or finish(): without progress until the next wake-up, so do not call these
  /// before. Input that comes meanwhile waits, and holds up whoever sends it; no thread is held. REQUIRES: wake_up()
  /// was taken.
  virtual void wait_for_wake_up() noexcept {}

protected:
  explicit operator_context(const std::atomic<bool>& pause) noexcept : pause_(pause) {}

private:
  const std::atomic<bool>& pause_;
};

/// What an operator waits for in event time, for whoever asks why nothing comes out.
struct event_time_wait {
  timestamp at;
  std::string what; ///< "the window [12:00, 12:05) fires"
};

class stream_operator {
public:
  virtual ~stream_operator() = default;
  /// Before the first element. The context stays valid until after close().
  virtual void open(operator_context& context) { context_ = &context; }
  /// Processes slice.data's records from slice.cursor to slice.limit; moves the cursor on; may stop early. May take
  /// the batch (leave slice.data empty) when it has consumed all of it.
  virtual void process(unsigned input, batch_slice& slice) = 0;
  /// The combined watermark of all inputs has advanced. The default forwards it.
  virtual progress advance_watermark(timestamp t);
  /// Wall time has reached the time that was asked for with operator_context::wake_at(). Called again when it yields.
  /// Not called any more once the end has passed.
  virtual progress advance_processing_time(std::chrono::milliseconds /*now*/) { return progress::done; }
  /// Another control element goes through. The default forwards it.
  virtual void pass_control(element e);
  /// All inputs have become idle, or one is active again. The default forwards it.
  virtual void change_status(bool idle);
  /// Input `input` has ended (of two-input operators; the last one is followed by finish()).
  virtual void end_input(unsigned /*input*/) {}
  /// Somebody has called what operator_context::wake_up() gave. May emit. Several wake-ups may become one call.
  virtual void on_wake_up() {}
  /// All inputs have ended: emit what is left. The chain sends the end on afterwards.
  virtual progress finish() { return progress::done; }
  /// The next watermark at which it has something to do. Asked now and then, between two calls.
  virtual std::optional<event_time_wait> waits_for() const { return {}; }
  /// Everything before a checkpoint's barrier has been processed, and the declared state is about to be written. May
  /// emit: that comes before the barrier. What it throws makes the checkpoint fail, not the task.
  virtual void prepare_snapshot(std::int64_t /*checkpoint*/) {}
  /// The checkpoint is complete: what depends on it may be published. A best effort: it may never be said, or be said
  /// of a later checkpoint only, so whatever depends on it must be in the state as well.
  virtual void checkpoint_completed(std::int64_t /*checkpoint*/) {}
  /// The checkpoint will never be complete. What was prepared for it belongs to the next one.
  virtual void checkpoint_aborted(std::int64_t /*checkpoint*/) {}
  /// It has prepared something for checkpoints that it publishes when they are complete. When a checkpoint says that it
  /// had come to its end, it is opened all the same, to publish what that checkpoint holds.
  virtual bool publishes() const noexcept { return false; }
  /// Behind finish(): the task must not end before one more checkpoint is complete.
  virtual bool awaits_checkpoint() const noexcept { return false; }
  /// Whether the watermarks that it sends are its own: those that come in do not matter.
  virtual bool makes_watermarks() const noexcept { return false; }
  /// After the last call, also after failures and cancellation. Must not throw.
  virtual void close() noexcept {}

protected:
  operator_context& context() noexcept { return *context_; }
  void emit(batch_ptr b) { context_->output().emit(std::move(b)); }

private:
  operator_context* context_ = nullptr;
};

/// Makes one operator per subtask. Called once per attempt and subtask, on the task's thread.
using operator_factory = std::function<std::unique_ptr<stream_operator>()>;

} // namespace dataflow
