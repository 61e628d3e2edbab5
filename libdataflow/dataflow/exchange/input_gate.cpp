#include <dataflow/exchange/input_gate.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace dataflow {

namespace {
std::vector<bool> with_barriers(const std::vector<input_channel>& channels) {
  std::vector<bool> takes_part;
  for (auto& c : channels)
    takes_part.push_back(!c.feedback);
  return takes_part;
}
} // namespace

input_gate::input_gate(std::vector<input_channel> channels, unsigned inputs, channel_names names)
    : channels_(std::move(channels)), names_(std::move(names)), states_(channels_.size()), open_channels_(inputs, 0),
      holding_(inputs, 0), open_inputs_(inputs), aligner_(with_barriers(channels_)) {
  for (std::size_t c = 0; c < channels_.size(); ++c)
    if (!channels_[c].feedback) states_[c].position = open_channels_[channels_[c].input]++;
  for (auto n : open_channels_)
    mergers_.emplace_back(n);
}

void input_gate::receive(std::uint32_t channel, std::uint64_t sequence, std::uint64_t bytes, element e) {
  if (channel >= channels_.size())
    throw error{errc::channel_gap,
                "an element for channel " + std::to_string(channel) + " of " + std::to_string(channels_.size())};
  auto& s = states_[channel];
  if (sequence != s.next_sequence)
    throw error{errc::channel_gap,
                "channel " + (names_ ? "\"" + names_(channel) + "\"" : std::to_string(channel)) + " got element " +
                    std::to_string(sequence) + " where " + std::to_string(s.next_sequence) + " was expected",
                "elements were lost, repeated or reordered on the way; the attempt is restarted"};
  ++s.next_sequence;
  if (!e.is_batch() || recording_ > 0) [[unlikely]]
    note(channel, e);
  queue_.push_back({channel, bytes, std::move(e)});
}

std::optional<input_gate::holding_channel> input_gate::holding(unsigned input) {
  if (open_channels_[input] == 0) return {};
  const auto& merger = mergers_[input];
  const auto slowest = merger.slowest();
  auto open = [&](std::uint32_t c) {
    return c < channels_.size() && channels_[c].input == input && !channels_[c].feedback && !states_[c].ended;
  };
  auto fits = [&](std::uint32_t c) { return open(c) && (!slowest || states_[c].position == *slowest); };
  auto find = [&](auto wanted) {
    std::uint32_t c = 0;
    while (c < channels_.size() && !wanted(c))
      ++c;
    return c;
  };
  auto& c = holding_[input]; // mostly the same as before
  if (!fits(c)) c = find(fits);
  if (!open(c)) c = find(open); // those that are not idle have ended
  const auto position = states_[c].position;
  return holding_channel{c, merger.watermark_of(position), merger.is_idle(position)};
}

std::optional<input_gate::arrival> input_gate::next() {
  for (;;) {
    if (!ready_.empty()) {
      auto a = std::move(ready_.front());
      ready_.pop_front();
      if (a.what.kind == element_kind::barrier) {
        passed_ = a.what.value;
        forget(passed_);
      }
      return a;
    }
    if (queue_.empty()) return std::nullopt;
    auto q = std::move(queue_.front());
    queue_.pop_front();
    if (aligner_.blocked(q.channel)) {
      held_.push_back(std::move(q));
      continue;
    }
    if (q.what.is_batch()) return arrival{q.channel, channels_[q.channel].input, q.bytes, std::move(q.what)};
    if (q.bytes > 0) consumed_.push_back({q.channel, q.bytes});
    if (auto a = merge(std::move(q))) return a;
  }
}

std::optional<input_gate::arrival> input_gate::merge(queued_element q) {
  switch (q.what.kind) {
  case element_kind::watermark:
  case element_kind::idle:
  case element_kind::active:
    return merge_watermark(q.channel, q.what);
  case element_kind::loop_probe:
    return merge_probe(q.channel, q.what);
  case element_kind::end:
    return merge_end(q.channel);
  case element_kind::barrier:
    return merge_barrier(q.channel, std::move(q.what));
  default:
    return arrival{q.channel, channels_[q.channel].input, 0, std::move(q.what)};
  }
}

std::optional<input_gate::arrival> input_gate::merge_watermark(std::uint32_t channel, const element& e) {
  const auto& c = channels_[channel];
  if (c.feedback) return std::nullopt; // nothing of time passes a loop
  auto& merger = mergers_[c.input];
  const auto position = states_[channel].position;
  combine(c.input, e.kind == element_kind::watermark ? merger.watermark(position, e.time())
                   : e.kind == element_kind::idle    ? merger.idle(position)
                                                     : merger.active(position));
  return std::nullopt;
}

void input_gate::combine(unsigned input, const merged_time& change) {
  if (mergers_.size() == 1) return publish(change);
  if (change.watermark) publish(combined_.watermark(input, *change.watermark));
  if (change.status == merged_time::status_change::idle) publish(combined_.idle(input));
  if (change.status == merged_time::status_change::active) publish(combined_.active(input));
}

void input_gate::publish(const merged_time& change) {
  if (change.watermark) ready_.push_back({arrival::merged, 0, 0, element::watermark(*change.watermark)});
  if (change.status == merged_time::status_change::none) return;
  const auto idle = change.status == merged_time::status_change::idle;
  ready_.push_back({arrival::merged, 0, 0, element::control(idle ? element_kind::idle : element_kind::active)});
}

std::optional<input_gate::arrival> input_gate::merge_end(std::uint32_t channel) {
  auto& s = states_[channel];
  if (s.ended) return std::nullopt;
  s.ended = true;
  const auto input = channels_[channel].input;
  // The barrier goes before the end: what an operator does at the end belongs to the time behind the checkpoint.
  if (aligner_.takes_part(channel)) aligned(aligner_.end(channel));
  if (!channels_[channel].feedback) {
    // The end is the last watermark, also of an idle channel or of an operator that kept its watermarks to itself.
    combine(input, mergers_[input].active(s.position));
    combine(input, mergers_[input].watermark(s.position, max_timestamp));
  }
  if (!channels_[channel].feedback && --open_channels_[input] == 0) {
    --open_inputs_;
    ready_.push_back({arrival::merged, input, 0, element::control(element_kind::end)});
  }
  if (auto p = probe_if_complete()) ready_.push_back(std::move(*p));
  return std::nullopt;
}

std::optional<input_gate::arrival> input_gate::merge_barrier(std::uint32_t channel, element e) {
  if (states_[channel].ended) return std::nullopt;
  const auto id = e.value;
  auto outcome = aligner_.barrier(channel, id, e.flag);
  if (aligner_.aligning() || outcome.aligned == id) barriers_.try_emplace(id, std::move(e));
  aligned(std::move(outcome));
  return std::nullopt;
}

void input_gate::aligned(barrier_aligner::outcome&& what) {
  for (auto id : what.given_up) {
    given_up_.push_back(id);
    barriers_.erase(id);
    forget(id);
  }
  if (what.aligned) {
    const auto passes = barriers_.find(*what.aligned);
    ready_.push_back({arrival::merged, 0, 0, std::move(passes->second)});
    barriers_.erase(barriers_.begin(), std::next(passes));
  }
  if (!aligner_.aligning()) barriers_.clear();
  if (!what.released || held_.empty()) return;
  queue_.insert(queue_.begin(), std::make_move_iterator(held_.begin()), std::make_move_iterator(held_.end()));
  held_.clear();
}

void input_gate::abort_checkpoint(std::int64_t checkpoint) {
  barriers_.erase(checkpoint);
  if (checkpoint == passed_) stop_recording();
  aligned(aligner_.abort(checkpoint));
  forget(checkpoint);
}

void input_gate::expect_checkpoint(element barrier) {
  const auto id = barrier.value;
  announce(barrier);
  barriers_.try_emplace(id, std::move(barrier));
  aligned(aligner_.expect(id));
}

// What comes is looked at here before it has its turn: a barrier that overtakes does not wait for it.
void input_gate::note(std::uint32_t channel, const element& e) {
  if (e.kind == element_kind::barrier) announce(e);
  if (states_[channel].recorded) record(channel, e);
}

void input_gate::announce(const element& barrier) {
  const bool newest = !announced_ || announced_->value < barrier.value;
  if (newest && barrier.value > passed_ && !aligner_.is_over(barrier.value)) announced_ = barrier;
}

void input_gate::forget(std::int64_t checkpoint) {
  if (announced_ && announced_->value <= checkpoint) announced_.reset();
}

bool input_gate::may_overtake() const noexcept {
  if (!announced_) return false;
  for (std::uint32_t c = 0; c < channels_.size(); ++c)
    if (!channels_[c].overtakes && aligner_.takes_part(c) && !aligner_.delivered(c, announced_->value)) return false;
  return true;
}

element input_gate::overtake() {
  auto barrier = std::move(*announced_);
  announced_.reset();
  stop_recording();
  passed_ = barrier.value;
  recorded_.resize(channels_.size());
  for (std::uint32_t c = 0; c < channels_.size(); ++c) {
    recorded_[c].channel = c;
    states_[c].recorded = aligner_.takes_part(c) && !aligner_.delivered(c, passed_);
    recording_ += states_[c].recorded ? 1 : 0;
  }
  for (auto* queue : {&held_, &queue_})
    for (auto& q : *queue)
      if (states_[q.channel].recorded) record(q.channel, q.what);
  // It may have had its turn, and wait for the operator only.
  std::erase_if(ready_, [&](const arrival& a) { return a.what.kind == element_kind::barrier; });
  barriers_.erase(passed_);
  aligned(aligner_.overtake(passed_));
  return barrier;
}

void input_gate::stop_recording() {
  if (recording_ > 0)
    for (auto& s : states_)
      s.recorded = false;
  recording_ = 0;
  recorded_.clear();
}

void input_gate::record(std::uint32_t channel, const element& e) {
  if (e.is_batch()) return recorded_[channel].batches.push_back(e.data);
  if (e.kind == element_kind::barrier && e.value > passed_) { // its sender has given up the one that is recorded
    given_up_.push_back(passed_);
    return stop_recording();
  }
  if (e.kind != element_kind::end && (e.kind != element_kind::barrier || e.value < passed_)) return;
  states_[channel].recorded = false;
  --recording_;
}

std::optional<input_gate::arrival> input_gate::merge_probe(std::uint32_t channel, const element& e) {
  states_[channel].probes.push_back(e.flag);
  return probe_if_complete();
}

/// A probe goes on when it has come on every channel that can still bring records. Rounds count from 1 everywhere, so
/// the k-th probe of each channel belongs to round k.
std::optional<input_gate::arrival> input_gate::probe_if_complete() {
  bool any = false;
  for (auto& s : states_) {
    if (s.probes.empty() && !s.ended) return std::nullopt;
    any = any || !s.probes.empty();
  }
  if (!any) return std::nullopt;
  bool flag = false;
  for (auto& s : states_) {
    if (s.probes.empty()) continue;
    flag = flag || s.probes.front() != 0;
    s.probes.pop_front();
  }
  return arrival{arrival::merged, 0, 0, element::control(element_kind::loop_probe, probe_round_++, flag)};
}

} // namespace dataflow
