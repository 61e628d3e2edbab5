/// Watermarks and idleness of many channels as one.
///
/// watermark_merger merges the channels of one input: the minimum over the active channels, never back. A channel that
/// comes back from idleness behind the output is left out until it has caught up. When the last channel goes idle, the
/// largest watermark of all is sent first, then idleness.
/// two_input_watermarks combines the two inputs of an operator, each merged before: there, one that comes back behind
/// holds the result back at once.
/// Cost: O(log channels) per call, no allocation after construction.
/// Threading: not shared; belongs to the receiving task. Ownership: values.
/// Source: Flink's StatusWatermarkValve and IndexedCombinedWatermarkStatus.
#pragma once

#include <dataflow/time/timestamp.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace dataflow {

/// What a call changed, to be sent on in this order: the watermark, then the status.
struct merged_time {
  enum class status_change : std::uint8_t { none, idle, active };
  std::optional<timestamp> watermark;
  status_change status = status_change::none;
  explicit operator bool() const noexcept { return watermark || status != status_change::none; }
};

class watermark_merger {
public:
  /// All channels are active and without a watermark. REQUIRES: channels > 0.
  explicit watermark_merger(std::uint32_t channels);
  /// Watermarks that do not advance, and those of idle channels, are ignored.
  merged_time watermark(std::uint32_t channel, timestamp t);
  merged_time idle(std::uint32_t channel);
  merged_time active(std::uint32_t channel);

  /// min_timestamp: none yet.
  timestamp output() const noexcept { return output_; }
  bool is_idle() const noexcept { return active_ == 0; }
  timestamp watermark_of(std::uint32_t channel) const noexcept { return channels_[channel].watermark; }
  bool is_idle(std::uint32_t channel) const noexcept { return channels_[channel].idle; }
  /// The active channel that holds the watermark back, for messages; none when all are idle or catching up.
  std::optional<std::uint32_t> slowest() const noexcept;

private:
  static constexpr std::uint32_t left_out = ~std::uint32_t{0};
  struct channel_state {
    timestamp watermark = min_timestamp;
    bool idle = false;
    std::uint32_t place = left_out; // in heap_
  };
  bool before(std::uint32_t a, std::uint32_t b) const noexcept {
    return channels_[a].watermark < channels_[b].watermark;
  }
  void put(std::uint32_t place, std::uint32_t channel) noexcept {
    heap_[place] = channel;
    channels_[channel].place = place;
  }
  void sift_up(std::uint32_t place) noexcept;
  void sift_down(std::uint32_t place) noexcept;
  void join(std::uint32_t channel);
  void leave(std::uint32_t channel) noexcept;
  std::optional<timestamp> advance_to(timestamp t) noexcept;
  std::optional<timestamp> advance_to_minimum() noexcept;

  std::vector<channel_state> channels_;
  std::vector<std::uint32_t> heap_; // channels that count, the smallest watermark first
  std::uint32_t active_;
  timestamp output_ = min_timestamp;
};

class two_input_watermarks {
public:
  /// Input is 0 or 1. A watermark makes its input active.
  merged_time watermark(unsigned input, timestamp t) noexcept;
  merged_time idle(unsigned input) noexcept { return set_status(input, true); }
  merged_time active(unsigned input) noexcept { return set_status(input, false); }
  timestamp output() const noexcept { return output_; }
  bool is_idle() const noexcept { return inputs_[0].idle && inputs_[1].idle; }

private:
  struct input_state {
    timestamp watermark = min_timestamp;
    bool idle = false;
  };
  merged_time set_status(unsigned input, bool idle) noexcept;
  std::optional<timestamp> combine() noexcept;

  input_state inputs_[2];
  timestamp output_ = min_timestamp;
};

} // namespace dataflow
