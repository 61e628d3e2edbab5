/// A chain: the operators of one subtask, run over a slice at a time.
///
/// A barrier goes through the stages like a record: each one's state is taken when it has come there, so that it holds
/// what came before and nothing of what comes behind.
///
/// The chain is a tree of stages. Each stage has a queue of elements; the deepest stage that has something to do runs
/// first, so what lies between two stages is at most the output of one call. A call is given as many records as fit
/// into its time slice by the stage's own measured speed; between calls the chain can stop: because an output lacks
/// credit, because its time is up, or because somebody asked for a pause.
/// Threading: one task. Ownership: owns its operators; the gates and the host are borrowed and outlive it.
/// Errors: run() throws what an operator throws, as an error that names operator, subtask and attempt.
#pragma once

#include <dataflow/checkpoint/subtask_state.hpp>
#include <dataflow/exchange/output_gate.hpp>
#include <dataflow/metrics/task_metrics.hpp>
#include <dataflow/operators/operator.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

/// What a chain needs to know of the subtask that it runs in.
struct subtask_info {
  std::string job_name, job_id, task_name;
  std::uint32_t subtask = 0, parallelism = 1, max_parallelism = 128, attempt = 0;
  std::chrono::milliseconds watermark_interval{200}; ///< 0: no periodic watermarks
  bool checkpointing = false;                        ///< the job makes checkpoints by itself
};

/// One operator of a chain.
struct stage_config {
  std::string name, uid;
  operator_factory make; ///< empty for a source's stage: its batches are fed with feed_source()
  record_error_policy on_record_error;
  std::size_t parent = 0; ///< stage that it reads; of stage 0: ignored
  std::uint64_t side = 0; ///< tag's id when it reads a side output of its parent, else 0
  /// What the operator's state starts from; null: from nothing.
  std::shared_ptr<const operator_snapshot> restored = {};
  /// It had come to its end before the checkpoint that the job starts from: it is not run again.
  bool finished = false;
  /// Where its keyed state goes that is too large for memory.
  state_place place = {};
};

/// What a chain's operators remember at a barrier.
struct chain_snapshot {
  element barrier;
  subtask_state state;
  error failure; ///< some operator could not be written: the state is not complete
};

/// An output gate and the stage (and side output, or 0) that feeds it.
struct chain_output {
  output_gate* gate = nullptr;
  std::size_t stage = 0;
  std::uint64_t side = 0;
};

/// The task's services that operators reach through their context.
class chain_host {
public:
  virtual ~chain_host() = default;
  virtual const dataflow::clock& clock() const noexcept = 0;
  /// See operator_context.
  virtual steady_time active_time() const noexcept { return clock().now(); }
  /// The outside world of the operators; the default is the system's.
  virtual dataflow::platform& platform() noexcept;
  virtual batch_pool::handle pool(const record_type& type) = 0;
  virtual accumulator& accumulator_of(std::string_view name) = 0;
  virtual accumulator& counter(std::size_t stage, std::string_view name) = 0;
  virtual void report_result(std::uint64_t collector, std::string bytes) = 0;
  /// A loop probe has come to the end of the loop, or another control element that the task itself must see.
  virtual void control_at_end(std::size_t /*stage*/, const element& /*e*/) {}
  /// A barrier has passed all stages.
  virtual void snapshot_taken(chain_snapshot /*taken*/) {}
  /// Makes the task call run() soon. Safe from any thread, also after the task is gone.
  virtual std::function<void()> wake_up() {
    return [] {};
  }
};

enum class chain_state : std::uint8_t {
  drained, ///< nothing to do: needs input
  blocked, ///< an output lacks credit, or an operator waits for a wake-up
  yielded, ///< the time is up or a pause was asked for; there is more to do
};

class operator_chain {
public:
  operator_chain(subtask_info info, std::vector<stage_config> stages, std::vector<chain_output> outputs,
                 batch_limits limits, unsigned inputs, const std::atomic<bool>& pause, chain_host& host);
  ~operator_chain();
  operator_chain(const operator_chain&) = delete;

  /// Builds and opens the operators, last first, so that nobody emits into a stage that is not open.
  void open();
  /// Queues an element for the first stage. `input`: of a two-input operator.
  void feed(unsigned input, element e);
  /// Queues what the source has polled (batches), or its control elements, as the first stage's output. A barrier: the
  /// source's state is taken now.
  void feed_source(element e);
  bool has_pending() const noexcept { return pending_ > 0; }
  /// It was blocked by an operator that waits for a wake-up.
  bool held() const noexcept { return held_by_ != nullptr; }
  /// The wall time at which run() has something to do even without input.
  std::optional<std::chrono::milliseconds> next_wake() const noexcept;
  /// What the operator of a stage remembers now. REQUIRES: opened; not while run() is on the stack.
  operator_snapshot snapshot(std::size_t stage) const;
  /// The same as a checkpoint takes it: to be written while the operator goes on.
  operator_snapshot freeze(std::size_t stage);
  /// Tells the operators; see stream_operator. After an abort, operators that had stopped at that barrier go on.
  void checkpoint_completed(std::int64_t checkpoint);
  void checkpoint_aborted(std::int64_t checkpoint);
  /// The end has passed through all stages.
  bool finished() const noexcept { return finished_; }
  /// Of a finished chain: some operator must see one more checkpoint.
  bool awaits_checkpoint() const noexcept;
  /// The state of all operators behind the end, for a checkpoint that came too late to go through the chain. REQUIRES:
  /// finished().
  chain_snapshot snapshot_at_end(element barrier);
  chain_state run(steady_time deadline);

  // Barriers that overtake.

  /// The barrier passes the first stage now, before what that has not processed. To be followed by run_ahead() until
  /// it is out. REQUIRES: !barrier_inside().
  void overtake(element barrier) { pass_barrier(*stages_[0], std::move(barrier)); }
  /// Some stages have yet to see a barrier that others have seen, or that waits in front of the first one with nothing
  /// before it.
  bool barrier_inside() const noexcept;
  /// Runs what is before a barrier that is inside, whatever credit there is; drained: it is out.
  chain_state run_ahead(steady_time deadline);
  /// A copy of what the first stage has not processed of its batch; null: of none.
  batch_ptr rest_of_input() const;
  /// Closes all operators that were opened. Never throws. Called by the destructor, too.
  void close() noexcept;

  const subtask_info& info() const noexcept { return info_; }
  /// The context of a stage; of the source's stage for its reader.
  operator_context& context(std::size_t stage);
  /// What the source has polled comes of this record; null: it does not trace its records.
  void set_origin(std::shared_ptr<const record_origin> origin) noexcept { origin_ = std::move(origin); }
  /// The record at which run() has thrown; null: nobody knows, or it was at none.
  const std::shared_ptr<const record_origin>& failed_at() const noexcept { return failed_at_; }
  /// Null for a source's stage. REQUIRES: opened.
  const stream_operator* operator_at(std::size_t stage) const noexcept;
  const std::vector<operator_metrics*>& metrics() const noexcept { return metrics_; }
  void set_metrics(std::vector<operator_metrics*> m) { metrics_ = std::move(m); }
  /// How long a call of an operator may take before its slices get smaller.
  static constexpr std::chrono::microseconds slice_time{500};
  /// How long the rest of the chain may take for what a call of its first operator, or a poll of its source, brings:
  /// so long may a barrier that overtakes have to wait.
  static constexpr std::chrono::milliseconds rest_time{10};
  /// Of all calls of operators with records so far.
  steady_time busy_time() const noexcept { return busy_; }
  /// How many records may be brought, when `records` kept the rest of the chain busy for so long.
  static std::size_t fitting(std::size_t records, steady_time took) noexcept;

private:
  class stage;
  struct consumers;
  class null_output;
  void run_stage(stage& s);
  void wake_stage(stage& s, std::chrono::milliseconds now);
  void refresh_next_wake() noexcept;
  stage* next_stage(std::chrono::milliseconds now) noexcept;
  bool drained(stage& s, const element& barrier);
  void stopped_at(stage& s, const element& barrier);
  bool tell_woken();
  void pass_barrier(stage& s, element e);
  void take_state(stage& s, chain_snapshot& into);
  template <class F>
  void tell_all(F&& f);
  bool gates_writable() const noexcept;
  error located(std::size_t stage);

  subtask_info info_;
  std::vector<std::unique_ptr<stage>> stages_;
  std::vector<stage*> wakeable_; // those that have asked for wake_up()
  stage* held_by_ = nullptr;     // the stage that waits for a wake-up, where run() came to it: nothing before it runs
  std::vector<chain_output> outputs_;
  const unsigned inputs_;
  const std::atomic<bool>& pause_;
  chain_host& host_;
  batch_limits limits_;
  std::vector<operator_metrics*> metrics_;
  std::size_t pending_ = 0; // elements in all queues
  steady_time busy_{0};     // see busy_time()
  chain_snapshot taking_;   // of the barrier that is in the chain
  std::size_t to_take_ = 0; // stages that it has not passed
  static constexpr auto never = std::chrono::milliseconds::max();
  std::chrono::milliseconds next_wake_ = never; // the earliest of all stages
  bool finished_ = false;
  bool opened_ = false;
  std::shared_ptr<const record_origin> origin_, failed_at_; // of the batch at hand; see failed_at()
};

} // namespace dataflow
