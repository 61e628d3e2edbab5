/// The consuming end of all edges into one subtask: checks sequences, keeps the order of arrival, and merges control
/// elements over channels (watermarks to their minimum, ends and loop probes to "all of them", barriers as
/// barrier_aligner.hpp says).
///
/// A barrier may overtake: from when its first one is here, whoever feeds the operator may take it with overtake(),
/// before everything that is queued. Then what had not been taken of channels whose barrier has not come is recorded,
/// and what comes on them until it does. Channels on which barriers do not overtake must have delivered theirs before.
///
/// A pure state machine. Threading: one task. Ownership: owns what has arrived and is not yet taken.
/// Errors: a gap or repeat in a channel's sequence throws error{errc::channel_gap} naming the channel.
#pragma once

#include <dataflow/exchange/barrier_aligner.hpp>
#include <dataflow/exchange/element.hpp>
#include <dataflow/exchange/watermark_merger.hpp>
#include <dataflow/util/fifo.hpp>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

struct input_channel {
  unsigned input = 0;                    ///< of the operator: 0, or 1 for the second of a two-input operator
  bool feedback = false;                 ///< closes an iteration: does not count for the end of its input
  bool overtakes = false;                ///< barriers may overtake what is on this channel
  std::uint32_t edge = 0, number = 0;    ///< position among the edges that the task reads; of the channel in the edge
  std::uint32_t vertex = 0, subtask = 0; ///< who writes it, for explaining silence
};
/// The name of a channel, like "Map (2/4) -> Sink (1/1)", for errors: made when it is needed, for a task may have
/// thousands of channels.
using channel_names = std::function<std::string(std::uint32_t channel)>;

class input_gate {
public:
  explicit input_gate(std::vector<input_channel> channels, unsigned inputs = 1, channel_names names = {});

  /// An element has arrived. Only queues it.
  void receive(std::uint32_t channel, std::uint64_t sequence, std::uint64_t bytes, element e);

  struct arrival {
    static constexpr std::uint32_t merged = ~std::uint32_t{0};
    std::uint32_t channel = merged; ///< of batches: whom to grant credit; of merged control elements: `merged`
    unsigned input = 0;
    std::uint64_t bytes = 0;
    element what; ///< end: of that input as a whole
  };
  /// The next element for the operator, or nothing.
  std::optional<arrival> next();
  struct consumed_control {
    std::uint32_t channel;
    std::uint64_t bytes;
  };
  /// Credit of watermarks and the like that next() has taken from their channels, until clear_consumed().
  const std::vector<consumed_control>& consumed() const noexcept { return consumed_; }
  void clear_consumed() noexcept { consumed_.clear(); }

  // Checkpoints.

  /// See barrier_aligner.
  void abort_checkpoint(std::int64_t checkpoint);
  /// `barrier`: what is to pass when all channels have ended.
  void expect_checkpoint(element barrier);
  /// Checkpoints that will not complete here, since the last call.
  std::vector<std::int64_t> take_given_up() { return std::exchange(given_up_, {}); }

  // Barriers that overtake.

  /// The newest barrier that has come or is expected, and has neither passed nor been given up; null: none.
  const element* waiting_barrier() const noexcept { return announced_ ? &*announced_ : nullptr; }
  /// It has come on all channels where it cannot overtake.
  bool may_overtake() const noexcept;
  /// It passes now. REQUIRES: may_overtake().
  element overtake();
  /// It has not come on all channels.
  bool recording() const noexcept { return recording_ > 0; }
  /// What it has overtaken, by channel. REQUIRES: !recording().
  std::vector<overtaken_batches> take_overtaken() { return std::exchange(recorded_, {}); }

  /// Some channels have delivered a barrier that others have not.
  bool aligning() const noexcept { return aligner_.aligning(); }

  bool has_arrivals() const noexcept { return !queue_.empty(); }
  /// Those that wait behind a barrier included.
  std::size_t queued() const noexcept { return queue_.size() + held_.size(); }
  bool all_ended() const noexcept { return open_inputs_ == 0; }
  unsigned inputs() const noexcept { return static_cast<unsigned>(open_channels_.size()); }
  const std::vector<input_channel>& channels() const noexcept { return channels_; }
  struct holding_channel {
    std::uint32_t channel;
    timestamp watermark;
    bool idle;
  };
  /// For explaining silence: the channel that holds an input's watermark back; when all are idle, one of them; none
  /// when all have ended.
  std::optional<holding_channel> holding(unsigned input);

private:
  struct queued_element {
    std::uint32_t channel;
    std::uint64_t bytes;
    element what;
  };
  struct state {
    std::uint64_t next_sequence = 0;
    std::uint32_t position = 0; // among the channels of its input that count, as its merger knows it
    bool ended = false;
    bool recorded = false;     // until its barrier of passed_ has come
    fifo<std::uint8_t> probes; // flags of the rounds that came on this channel and are not merged yet
  };
  void note(std::uint32_t channel, const element& e);
  void announce(const element& barrier);
  void forget(std::int64_t checkpoint);
  void stop_recording();
  void record(std::uint32_t channel, const element& e);
  std::optional<arrival> merge(queued_element q);
  std::optional<arrival> merge_watermark(std::uint32_t channel, const element& e);
  void combine(unsigned input, const merged_time& change);
  void publish(const merged_time& change);
  std::optional<arrival> merge_end(std::uint32_t channel);
  std::optional<arrival> merge_barrier(std::uint32_t channel, element e);
  void aligned(barrier_aligner::outcome&& what);
  std::optional<arrival> merge_probe(std::uint32_t channel, const element& e);
  std::optional<arrival> probe_if_complete();

  std::vector<input_channel> channels_;
  channel_names names_;
  std::vector<state> states_;
  std::vector<watermark_merger> mergers_;    // one per input
  two_input_watermarks combined_;            // of two inputs
  std::vector<std::uint32_t> open_channels_; // per input, feedback not counted
  std::vector<std::uint32_t> holding_;       // per input, what holding() found last
  unsigned open_inputs_ = 0;
  barrier_aligner aligner_;
  std::map<std::int64_t, element> barriers_; // of checkpoints that are being aligned
  std::vector<std::int64_t> given_up_;
  std::deque<queued_element> queue_;
  std::deque<queued_element> held_; // came on blocked channels, before what is in queue_
  std::deque<arrival> ready_;       // more than one result of one element
  std::vector<consumed_control> consumed_;
  std::int64_t probe_round_ = 1; // the next one to complete

  std::optional<element> announced_; // see waiting_barrier()
  std::int64_t passed_ = 0;          // the last checkpoint whose barrier has passed
  std::uint32_t recording_ = 0;      // channels that are recorded
  std::vector<overtaken_batches> recorded_;
};

} // namespace dataflow
