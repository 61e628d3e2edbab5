/// The producing end of one edge at one subtask: spreads batches over the channels, collects small ones into larger
/// ones, and sends what the receivers have granted credit for.
///
/// A pure state machine: sending is a callback, credit and time come in as calls. Nothing blocks: what has no credit
/// waits in the gate, which says so (writable()), and whoever feeds it stops until it is writable again. So it holds
/// at most the output of one step above its partial batches.
/// Threading: one task. Ownership: owns waiting batches; the sender is borrowed and outlives the gate.
#pragma once

#include <dataflow/exchange/element.hpp>
#include <dataflow/exchange/partitioner.hpp>
#include <dataflow/util/fifo.hpp>
#include <dataflow/util/random.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace dataflow {

/// Carries elements to the consumers. Implemented by the task's host.
class element_sender {
public:
  virtual ~element_sender() = default;
  /// `bytes` is what the element counts against the channel's credit; the receiver grants it back.
  virtual void send(std::uint32_t gate, std::uint32_t channel, std::uint64_t sequence, std::uint64_t bytes,
                    element e) = 0;
};

/// What a receiver allows a sender to send: both must be positive for a batch to leave; bytes may go below zero once,
/// so that a record larger than the whole credit passes alone. Watermarks and idleness take bytes only, as many as
/// their messages: else those without records between them would fill the queue of a slow receiver without bound.
/// Barriers, ends and loop probes are few and take none.
struct channel_credit {
  static constexpr std::int64_t bytes_of_control = 1024;
  std::int64_t batches = 0;
  std::int64_t bytes = 0;
  /// Of control elements.
  static bool takes_bytes(element_kind control) noexcept {
    return control == element_kind::watermark || control == element_kind::idle || control == element_kind::active;
  }
  bool allows(const element& e) const noexcept {
    if (e.is_batch()) return batches > 0 && bytes > 0;
    return bytes > 0 || !takes_bytes(e.kind);
  }
};

struct output_gate_config {
  std::uint32_t index = 0; ///< of the gate within its task
  partitioning_kind kind = partitioning_kind::forward;
  partitioner_factory factory;         ///< of custom and hash
  std::uint32_t channels = 1;          ///< consumers that this subtask talks to, in the order of their indices
  std::uint32_t max_parallelism = 128; ///< of the consumers; of hash edges
  std::uint32_t subtask = 0;           ///< of the producer; spreads where round-robin begins
  std::uint64_t seed = 0;              ///< of shuffle
  bool feedback = false;               ///< takes no credit
  bool overtakes = false;              ///< barriers may overtake what waits for credit
  batch_limits limits;
  channel_credit initial_credit;
};

class output_gate {
public:
  output_gate(output_gate_config config, batch_pool::handle pool, element_sender& sender);

  /// Spreads one batch. REQUIRES: the batch is of the pool's record type.
  void push(batch_ptr b);
  /// To all channels, behind what they already got.
  void push_control(const element& e);
  /// From now on the barrier of this checkpoint goes ahead of what waits for credit, also when it waits itself. Only
  /// where barriers may overtake.
  void let_overtake(std::int64_t checkpoint);
  /// The barrier waits for credit, and may overtake.
  bool holds_barrier(std::int64_t checkpoint) const noexcept;
  /// What it has overtaken, by channel.
  std::vector<overtaken_batches> take_overtaken() { return std::exchange(overtaken_, {}); }
  /// Nothing waits for credit.
  bool writable() const noexcept { return blocked_ == 0; }
  /// Partial batches are there that flush() would send.
  bool has_partial() const noexcept { return partial_ > 0; }
  void flush();
  void grant(std::uint32_t channel, std::uint32_t batches, std::uint64_t bytes);

  /// Elements that wait for credit, of all channels.
  std::size_t queued() const noexcept { return queued_; }
  std::uint64_t records_sent() const noexcept { return records_sent_; }
  std::uint64_t bytes_sent() const noexcept { return bytes_sent_; }
  std::uint32_t channels() const noexcept { return config_.channels; }

private:
  struct channel {
    batch_ptr partial;
    std::size_t partial_bytes = 0; // estimated
    std::uint64_t next_sequence = 0;
    channel_credit credit;
    fifo<element> waiting;
  };
  void push_whole(channel& c, std::uint32_t index, batch_ptr b);
  void change_origin(std::shared_ptr<const record_origin> origin);
  void choose_targets(batch_base& b);
  void spread(batch_base& b, bool may_move);
  void spread_part(batch_base& b, std::size_t begin, std::size_t end, std::size_t bytes_each, bool may_move);
  void overtake(channel& c, std::uint32_t index, element barrier);
  void seal(channel& c, std::uint32_t index);
  void dispatch(channel& c, std::uint32_t index, element e);
  void send(channel& c, std::uint32_t index, element e);

  output_gate_config config_;
  batch_pool::handle pool_;
  element_sender& sender_;
  std::unique_ptr<partitioner> partitioner_;
  random_source random_;
  std::vector<channel> channels_;
  std::uint32_t next_target_ = 0;
  std::size_t blocked_ = 0; // channels with waiting elements
  std::size_t queued_ = 0;  // waiting elements of all channels
  std::size_t partial_ = 0; // channels with a partial batch
  std::uint64_t records_sent_ = 0, bytes_sent_ = 0;
  std::int64_t overtaking_ = 0; // the last checkpoint whose barrier may overtake
  std::vector<overtaken_batches> overtaken_;
  std::shared_ptr<const record_origin> origin_; // of the partial batches; null: not traced
  column<std::uint32_t> targets_;
  std::vector<batch_base*> builders_;
};

} // namespace dataflow
