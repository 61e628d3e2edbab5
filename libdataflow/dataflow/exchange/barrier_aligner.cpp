#include <dataflow/exchange/barrier_aligner.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <string>

namespace dataflow {

barrier_aligner::barrier_aligner(std::vector<bool> takes_part) : channels_(takes_part.size()) {
  for (std::size_t c = 0; c < takes_part.size(); ++c) {
    channels_[c].takes_part = takes_part[c];
    if (takes_part[c]) ++open_;
  }
}

bool barrier_aligner::is_over(std::int64_t checkpoint) const noexcept {
  return checkpoint <= done_ || aborted_.count(checkpoint) > 0;
}

void barrier_aligner::forget(alignments::iterator which, outcome& result) {
  result.released = result.released || which->second.waits;
  pending_.erase(which);
  find_blocking();
}

void barrier_aligner::give_up(alignments::iterator which, outcome& result) {
  result.given_up.push_back(which->first);
  done_ = std::max(done_, which->first);
  forget(which, result);
}

void barrier_aligner::find_blocking() {
  const auto first = std::find_if(pending_.begin(), pending_.end(), [](auto& p) { return p.second.waits; });
  blocking_from_ = first == pending_.end() ? std::numeric_limits<std::int64_t>::max() : first->first;
}

barrier_aligner::outcome barrier_aligner::barrier(std::uint32_t index, std::int64_t checkpoint, bool waits) {
  auto& c = channels_[index];
  if (checkpoint <= c.last)
    throw error{errc::channel_gap,
                "the barrier of checkpoint " + std::to_string(checkpoint) + " came behind that of checkpoint " +
                    std::to_string(c.last) + " on channel " + std::to_string(index),
                "barriers were repeated or reordered on the way; the attempt is restarted"};
  outcome result;
  // What this channel has skipped will not come any more. Those that it has delivered wait for other channels.
  for (auto skipped = pending_.upper_bound(c.last); skipped != pending_.end() && skipped->first < checkpoint;
       skipped = pending_.upper_bound(c.last))
    give_up(skipped, result);
  c.last = checkpoint;
  auto p = pending_.find(checkpoint);
  if (p == pending_.end()) {
    if (is_over(checkpoint)) return result;
    const bool overtaken =
        std::any_of(channels_.begin(), channels_.end(), [&](const channel& other) { return other.last > checkpoint; });
    if (overtaken) { // another channel has skipped it before anybody here knew of it
      done_ = std::max(done_, checkpoint);
      result.given_up.push_back(checkpoint);
      return result;
    }
    p = pending_.emplace(checkpoint, alignment{0, waits}).first;
  }
  ++p->second.arrived;
  p->second.waits = waits;
  find_blocking();
  settle(result);
  return result;
}

barrier_aligner::outcome barrier_aligner::end(std::uint32_t index) {
  auto& c = channels_[index];
  c.ended = true;
  --open_;
  for (auto& [checkpoint, alignment] : pending_)
    if (c.last >= checkpoint) --alignment.arrived;
  outcome result;
  settle(result);
  return result;
}

barrier_aligner::outcome barrier_aligner::abort(std::int64_t checkpoint) {
  outcome result;
  if (const auto p = pending_.find(checkpoint); p != pending_.end()) forget(p, result);
  if (checkpoint > done_) aborted_.insert(checkpoint);
  return result;
}

barrier_aligner::outcome barrier_aligner::overtake(std::int64_t checkpoint) {
  outcome result;
  while (!pending_.empty() && pending_.begin()->first < checkpoint)
    give_up(pending_.begin(), result);
  if (const auto p = pending_.find(checkpoint); p != pending_.end()) forget(p, result);
  done_ = std::max(done_, checkpoint);
  aborted_.erase(aborted_.begin(), aborted_.upper_bound(done_));
  return result;
}

barrier_aligner::outcome barrier_aligner::expect(std::int64_t checkpoint) {
  outcome result;
  if (is_over(checkpoint)) return result;
  pending_.try_emplace(checkpoint);
  settle(result);
  return result;
}

/// Passes the largest checkpoint that is complete; smaller ones are behind it and cannot matter any more.
void barrier_aligner::settle(outcome& result) {
  const auto complete =
      std::find_if(pending_.rbegin(), pending_.rend(), [&](auto& p) { return p.second.arrived == open_; });
  if (complete == pending_.rend()) return;
  const auto id = complete->first;
  while (pending_.begin()->first < id)
    give_up(pending_.begin(), result);
  forget(pending_.begin(), result);
  done_ = std::max(done_, id);
  aborted_.erase(aborted_.begin(), aborted_.upper_bound(done_));
  result.aligned = id;
}

} // namespace dataflow
