#include <dataflow/exchange/input_gate.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

input_gate::input_gate(std::vector<input_channel> channels, unsigned inputs, channel_names names)
    : channels_(std::move(channels)), names_(std::move(names)), states_(channels_.size()), open_channels_(inputs, 0),
      holding_(inputs, 0), open_inputs_(inputs) {
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
      return a;
    }
    if (queue_.empty()) return std::nullopt;
    auto q = std::move(queue_.front());
    queue_.pop_front();
    if (q.what.is_batch()) return arrival{q.channel, channels_[q.channel].input, q.bytes, std::move(q.what)};
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
