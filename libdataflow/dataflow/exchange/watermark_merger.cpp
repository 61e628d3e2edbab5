#include <dataflow/exchange/watermark_merger.hpp>

#include <algorithm>

namespace dataflow {

using status_change = merged_time::status_change;

watermark_merger::watermark_merger(std::uint32_t channels) : channels_(channels), heap_(channels), active_(channels) {
  for (std::uint32_t i = 0; i < channels; ++i)
    put(i, i); // all equal: any order is a heap
}

merged_time watermark_merger::watermark(std::uint32_t channel, timestamp t) {
  auto& c = channels_[channel];
  if (c.idle || t <= c.watermark) return {};
  c.watermark = t;
  if (c.place != left_out)
    sift_down(c.place);
  else if (t >= output_)
    join(channel); // caught up
  return {advance_to_minimum()};
}

merged_time watermark_merger::idle(std::uint32_t channel) {
  auto& c = channels_[channel];
  if (c.idle) return {};
  c.idle = true;
  --active_;
  leave(channel);
  merged_time out;
  // Only a channel that held the output back can let it go on by leaving.
  const auto held_back = c.watermark == output_;
  if (active_ > 0) {
    if (held_back) out.watermark = advance_to_minimum();
    return out;
  }
  if (held_back) {
    // Rare (everybody is idle), so a pass over all channels is cheaper than a second heap.
    auto last = std::max_element(channels_.begin(), channels_.end(),
                                 [](auto& a, auto& b) { return a.watermark < b.watermark; });
    out.watermark = advance_to(last->watermark);
  }
  out.status = status_change::idle;
  return out;
}

merged_time watermark_merger::active(std::uint32_t channel) {
  auto& c = channels_[channel];
  if (!c.idle) return {};
  c.idle = false;
  if (c.watermark >= output_) join(channel);
  merged_time out;
  if (active_++ == 0) out.status = status_change::active;
  return out;
}

std::optional<std::uint32_t> watermark_merger::slowest() const noexcept {
  if (heap_.empty()) return {};
  return heap_.front();
}

void watermark_merger::sift_up(std::uint32_t place) noexcept {
  const auto channel = heap_[place];
  while (place > 0) {
    const auto parent = (place - 1) / 2;
    if (!before(channel, heap_[parent])) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, channel);
}

void watermark_merger::sift_down(std::uint32_t place) noexcept {
  const auto channel = heap_[place];
  const auto size = static_cast<std::uint32_t>(heap_.size());
  for (;;) {
    auto child = 2 * place + 1;
    if (child >= size) break;
    if (child + 1 < size && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], channel)) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, channel);
}

void watermark_merger::join(std::uint32_t channel) {
  heap_.push_back(channel);
  sift_up(static_cast<std::uint32_t>(heap_.size() - 1));
}

void watermark_merger::leave(std::uint32_t channel) noexcept {
  const auto place = channels_[channel].place;
  if (place == left_out) return;
  channels_[channel].place = left_out;
  const auto moved = heap_.back();
  heap_.pop_back();
  if (moved == channel) return;
  put(place, moved);
  sift_up(place);
  sift_down(channels_[moved].place);
}

std::optional<timestamp> watermark_merger::advance_to(timestamp t) noexcept {
  if (t <= output_) return {};
  return output_ = t;
}

std::optional<timestamp> watermark_merger::advance_to_minimum() noexcept {
  if (heap_.empty()) return {};
  return advance_to(channels_[heap_.front()].watermark);
}

merged_time two_input_watermarks::watermark(unsigned input, timestamp t) noexcept {
  auto& in = inputs_[input];
  in.idle = false;
  in.watermark = std::max(in.watermark, t);
  return {combine()};
}

merged_time two_input_watermarks::set_status(unsigned input, bool idle) noexcept {
  const auto was_idle = is_idle();
  inputs_[input].idle = idle;
  merged_time out{combine()};
  if (was_idle != is_idle()) out.status = idle ? status_change::idle : status_change::active;
  return out;
}

std::optional<timestamp> two_input_watermarks::combine() noexcept {
  auto least = max_timestamp;
  for (auto& in : inputs_)
    if (!in.idle) least = std::min(least, in.watermark);
  if (is_idle() || least <= output_) return {};
  return output_ = least;
}

} // namespace dataflow
