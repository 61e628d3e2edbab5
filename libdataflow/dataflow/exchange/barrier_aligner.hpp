/// Alignment: from the barriers of single channels to the barrier of the subtask.
///
/// The barrier of checkpoint n passes when it has come on every channel that is still open; an ended channel counts as
/// one that has delivered all barriers. Where barriers wait for each other (exactly once; at least once they do not), a
/// channel that has delivered one is not read until then.
/// Ids grow along every channel. A channel that goes from n to a later id without n shows that n will not complete
/// here: whoever sends it has given it up. Channels that close an iteration take no part.
/// A barrier may also overtake: then the checkpoint is over here, and the barriers that come later are ignored.
/// A pure state machine. Threading: one task. Errors: a barrier that comes twice, or behind a later one, on one channel
/// throws error{errc::channel_gap}.
/// Source: Flink's SingleCheckpointBarrierHandler and CheckpointBarrierTracker.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace dataflow {

class barrier_aligner {
public:
  /// What a barrier, an end or an abort has led to.
  struct outcome {
    std::vector<std::int64_t> given_up;  ///< these will not complete here; ascending
    std::optional<std::int64_t> aligned; ///< this one has come on all open channels; behind `given_up`
    bool released = false;               ///< channels that were blocked may be readable again
  };

  /// `takes_part`: by channel; false for those that close an iteration.
  explicit barrier_aligner(std::vector<bool> takes_part);

  /// REQUIRES: the channel takes part, has not ended and is not blocked.
  /// `waits`: the channel waits for the other ones; equal in all barriers of a checkpoint.
  outcome barrier(std::uint32_t channel, std::int64_t checkpoint, bool waits);
  /// REQUIRES: as barrier().
  outcome end(std::uint32_t channel);
  /// Nobody needs this checkpoint any more; its barriers are ignored, also those that are still to come.
  outcome abort(std::int64_t checkpoint);
  /// No barrier of this checkpoint will come, for all producers have finished: it begins when all channels have ended.
  outcome expect(std::int64_t checkpoint);

  /// This checkpoint begins now, whatever has come; earlier ones are given up.
  outcome overtake(std::int64_t checkpoint);

  /// It has passed or was given up.
  bool is_over(std::int64_t checkpoint) const noexcept;
  /// The channel has ended, or its barrier of this checkpoint (or a later one) has come.
  bool delivered(std::uint32_t channel, std::int64_t checkpoint) const noexcept {
    return channels_[channel].ended || channels_[channel].last >= checkpoint;
  }
  /// What has come on this channel is to wait.
  bool blocked(std::uint32_t channel) const noexcept { return channels_[channel].last >= blocking_from_; }
  bool takes_part(std::uint32_t channel) const noexcept { return channels_[channel].takes_part; }
  /// Some barriers of a checkpoint have come, others not yet.
  bool aligning() const noexcept { return !pending_.empty(); }

private:
  struct channel {
    bool takes_part = true, ended = false;
    std::int64_t last = 0; // the largest barrier that has come; ids begin at 1
  };
  struct alignment {
    std::uint32_t arrived = 0; // open channels on which it has come
    bool waits = false;
  };
  using alignments = std::map<std::int64_t, alignment>;
  void forget(alignments::iterator which, outcome& result);
  void give_up(alignments::iterator which, outcome& result);
  void settle(outcome& result);
  void find_blocking();

  std::vector<channel> channels_;
  std::uint32_t open_ = 0;                                                // channels that take part and have not ended
  alignments pending_;                                                    // by id
  std::int64_t blocking_from_ = std::numeric_limits<std::int64_t>::max(); // the least pending one that waits
  std::int64_t done_ = 0; // the largest that passed or was given up: smaller ones that are not pending are over
  std::set<std::int64_t> aborted_; // above done_
};

} // namespace dataflow
