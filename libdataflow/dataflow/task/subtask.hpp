/// One subtask of a job, without the actor around it: input gate or source -> chain -> output gates.
///
/// Whoever hosts it (a task actor, a test) brings elements, credit and splits, calls step() until there is nothing to
/// do, and carries out what comes back through subtask_host. A step is bounded in time and may stop after any record.
/// Threading: one call at a time, except pause(), which any thread may set. Ownership: owns operators, gates, buffers
/// (which return to their pools when the subtask is destroyed); platform, host and metrics are borrowed.
/// Errors: open(), receive() and step() throw dataflow::error; the subtask is then only good for close().
#pragma once

#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/exchange/input_gate.hpp>
#include <dataflow/exchange/output_gate.hpp>
#include <dataflow/operators/operator_chain.hpp>
#include <dataflow/record/record_origin.hpp>
#include <dataflow/task/feedback_queue.hpp>
#include <dataflow/util/platform.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace dataflow {

struct subtask_config {
  struct output {
    std::size_t stage = 0;
    std::uint64_t side = 0;
    const record_type* type = nullptr;
    output_gate_config gate;
    std::string peer;       ///< uid of the operator that reads the edge
    std::uint32_t edge = 0; ///< its number among the edges between the two
  };
  /// An edge that the first stage reads.
  struct input_edge {
    unsigned input = 0;
    const record_type* type = nullptr;
    std::string peer;       ///< uid of the operator that writes it
    std::uint32_t edge = 0; ///< its number among the edges between the two
    bool hashed = false;    ///< records belong to the subtask that has their key groups
  };
  subtask_info info;
  std::vector<stage_config> stages;
  std::vector<output> outputs;
  std::vector<input_channel> channels;
  std::vector<input_edge> edges;          ///< that `channels` belong to
  channel_names names;                    ///< of channels, for errors; may be empty
  unsigned inputs = 1;                    ///< of the first stage; 0 for sources
  std::optional<source_factories> source; ///< of source tasks: stage 0 has no operator then
  /// Of a source: what its reader goes on with; unset: the source begins.
  std::optional<std::vector<source_split>> restored_splits;
  source_trace trace; ///< of what its source reads, or of what was under way to it
  /// What was under way when an unaligned checkpoint was made; see load(). Processed before anything that comes.
  std::vector<channel_state> restored_inputs;
  batch_limits limits;
  channel_credit credit;                         ///< granted per input channel
  std::chrono::milliseconds buffer_timeout{100}; ///< 0: at once; negative: only when full
  std::chrono::microseconds step_time{1000};     ///< how long a step may take
  feedback_limits feedback;                      ///< of iteration heads
  std::shared_ptr<const void> code;              ///< the job library; held by every buffer
};

/// A subtask's part of a checkpoint, or why there is none.
struct subtask_snapshot {
  element barrier;
  subtask_state state;
  error failure;         ///< some operator could not be written: the checkpoint is to be declined
  bool given_up = false; ///< barriers of a later checkpoint came first, or the input has ended: nobody's fault
  bool at_end = false;   ///< taken behind the end of the input
};

/// What a subtask asks of the world around it.
class subtask_host : public element_sender {
public:
  /// The receiver's credit for an input channel.
  virtual void grant(std::uint32_t channel, std::uint32_t batches, std::uint64_t bytes) = 0;
  /// Safe from the reader's own thread, where the source is a blocking one.
  virtual void request_split() = 0;
  virtual void report_result(std::uint64_t collector, std::string bytes) = 0;
  /// The source has left this record out, as it was asked to. Safe from the reader's own thread, as above.
  virtual void record_skipped(const record_origin&) {}
  /// The source's watermark, for its alignment group.
  virtual void report_watermark(timestamp) {}
  /// A barrier has passed the subtask: its state is to be written and acknowledged. Or it will not pass.
  virtual void snapshot_taken(subtask_snapshot) {}
  /// The same moment of a checkpoint whose snapshot may come later: when all that its barrier overtook is known.
  virtual void barrier_passed(std::int64_t /*checkpoint*/) {}
  /// The input has ended, and the task waits for one more checkpoint, of which it is to be told directly.
  virtual void awaits_checkpoint() {}
  /// Makes the host call step() soon. Safe from any thread, also after the subtask is gone.
  virtual std::function<void()> wake_up() = 0;
};

struct step_result {
  enum class kind : std::uint8_t { again, wait_input, wait_credit, finished };
  kind what = kind::again;
  /// Call step() again at this time even when nothing has come by then; `never` when that is not needed.
  steady_time at = never;
  static constexpr steady_time never = steady_time::max();
};

class subtask final : chain_host, reader_context {
public:
  subtask(subtask_config config, dataflow::platform& world, subtask_host& host, task_metrics& metrics,
          std::shared_ptr<std::atomic<bool>> pause = std::make_shared<std::atomic<bool>>(false));
  ~subtask() override;
  subtask(const subtask&) = delete;

  void open();
  void receive(std::uint32_t channel, std::uint64_t sequence, std::uint64_t bytes, element e);
  /// Of the record type that comes on the channel; for elements that were bytes.
  batch_pool& pool_of_channel(std::uint32_t channel);
  void credit(std::uint32_t gate, std::uint32_t channel, std::uint32_t batches, std::uint64_t bytes);
  void add_splits(std::vector<source_split> splits);
  void no_more_splits();
  /// The source's alignment group allows watermarks up to here.
  void limit_watermark(timestamp most);
  // Checkpoints.

  /// Of a source: the barrier goes out between two records. Of any other task: all its producers have finished, so none
  /// will come to it, and it begins behind the end of its channels. Of one that waits for its last checkpoint: now.
  ///
  /// At the barrier of a savepoint that stops the job the subtask stands still: it finishes when the savepoint is
  /// complete, and goes on when it is aborted.
  void trigger_checkpoint(element barrier);
  void abort_checkpoint(std::int64_t checkpoint);
  void checkpoint_completed(std::int64_t checkpoint);

  step_result step();
  void close() noexcept;

  /// While it is set, step() returns after the record at hand.
  std::atomic<bool>& pause() noexcept { return *pause_; }
  const subtask_info& info() const noexcept { return config_.info; }
  bool is_source() const noexcept { return config_.source.has_value(); }
  std::map<std::string, std::int64_t> accumulators() const;
  /// The record at which step() has thrown; null: nobody knows, or it was at none.
  const std::shared_ptr<const record_origin>& failed_at() const noexcept {
    return failed_at_ ? failed_at_ : chain_->failed_at();
  }
  /// What the source has read.
  std::uint64_t records_read() const noexcept { return is_source() ? metrics_.operators[0].records_out.value() : 0; }

private:
  // chain_host
  const dataflow::clock& clock() const noexcept override { return *world_.clock; }
  steady_time active_time() const noexcept override {
    return world_.clock->now() - steady_time{static_cast<std::int64_t>(metrics_.backpressured_ns.value())};
  }
  batch_pool::handle pool(const record_type& type) override;
  accumulator& accumulator_of(std::string_view name) override;
  accumulator& counter(std::size_t stage, std::string_view name) override;
  void report_result(std::uint64_t collector, std::string bytes) override;
  void snapshot_taken(chain_snapshot taken) override;
  // reader_context
  runtime_context& runtime() noexcept override { return chain_->context(0); }
  dataflow::platform& platform() noexcept override { return world_; }
  void request_split() override { host_.request_split(); }
  std::function<void()> wake_up() override { return host_.wake_up(); }

  enum class fed : std::uint8_t { element, nothing };
  fed feed_from_source();
  std::size_t records_to_poll();
  fed feed_from_gate();
  fed feed_restored();
  void restore_inputs();
  void trace_restored(std::uint32_t edge, batch_base& data);
  void open_source();
  void record_skipped(const record_origin& record);
  void inject_barrier();
  void give_up(element barrier, std::string why);
  // barriers that overtake
  const element* barrier_to_come() const noexcept;
  bool may_overtake(const element& barrier) const;
  std::optional<std::chrono::milliseconds> overtaking_at() const;
  void let_overtake(std::int64_t checkpoint);
  std::optional<chain_state> overtake(steady_time deadline);
  channel_state received(std::uint32_t edge, std::uint32_t number) const;
  std::vector<channel_state> rest_of_input() const;
  void tell_given_up();
  void complete_snapshot();
  bool ends_at_once() const { return config_.stages[0].finished; }
  void feed_loop_control(input_gate::arrival& a);
  void return_credit(std::uint32_t channel, std::uint32_t batches, std::uint64_t bytes);
  void send_grants();
  void account(steady_time now);
  step_result finish_step(step_result::kind what);
  steady_time next_wake(steady_time now, bool with_source) const;
  steady_time steady_of(std::chrono::milliseconds at, steady_time now) const;
  void publish_event_time(steady_time now);
  void flush_gates();
  bool gates_writable() const noexcept;

  subtask_config config_;
  dataflow::platform& world_;
  subtask_host& host_;
  task_metrics& metrics_;
  std::shared_ptr<std::atomic<bool>> pause_;
  std::unordered_map<const record_type*, batch_pool::handle> pools_; // looked up when opening, never walked
  std::map<std::string, accumulator, std::less<>> accumulators_;
  std::vector<std::unique_ptr<output_gate>> gates_;
  std::unique_ptr<input_gate> input_;
  std::unique_ptr<operator_chain> chain_;

  // sources
  std::unique_ptr<source_driver> source_;
  std::unique_ptr<source_event_time> event_time_; // null: the source has no watermark strategy
  split_marks marks_;
  accumulator* skipped_ = nullptr;                 // poisoned records; of a source that is to leave some out
  std::shared_ptr<const record_origin> failed_at_; // of one that has not come to the chain
  bool source_ended_ = false;
  bool said_that_it_waits_ = false;          // for one more checkpoint
  std::deque<element> triggered_;            // barriers to go out
  std::vector<source_split> taken_splits_;   // at the barrier that is in the chain
  std::size_t polled_ = 0, most_polled_ = 0; // records: by the last poll; by the next one at most
  steady_time busy_at_poll_{0};              // the chain's, before the last poll
  steady_time source_at_ = step_result::never;

  // credit that was consumed and not yet granted again, per channel
  struct owed {
    std::uint32_t batches = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<owed> owed_;
  std::vector<std::uint32_t> owing_; // channels with something owed

  // iteration heads: the search for the end of the loop
  std::unique_ptr<feedback_queue> feedback_;
  bool outer_ended_ = false, loop_dirty_ = false, last_dirty_ = true;
  std::int64_t loop_round_ = 0;

  task_event_time event_times_; // as last published
  steady_time published_ = step_result::never;

  steady_time flush_at_ = step_result::never;
  steady_time last_ = steady_time{-1};
  step_result::kind last_state_ = step_result::kind::wait_input;

  // barriers that overtake
  struct restored_batch {
    std::uint32_t edge = 0;
    batch_ptr data;
  };
  std::deque<restored_batch> restored_;      // not processed yet
  std::uint64_t traced_ = 0;                 // of them, each alone
  std::uint32_t fed_edge_ = 0;               // of the batch that the first stage has
  std::int64_t overtaking_ = 0;              // the last checkpoint whose barrier may overtake here
  element in_chain_;                         // the last barrier that was fed
  std::vector<channel_state> rest_;          // of the first stage's input, at that barrier, when it has overtaken
  std::optional<subtask_snapshot> snapshot_; // the barrier has passed; what it overtook is not all known

  std::optional<std::int64_t> stop_; // stands still at the barrier of this savepoint
  bool stopped_ = false;             // which is complete
};

} // namespace dataflow
