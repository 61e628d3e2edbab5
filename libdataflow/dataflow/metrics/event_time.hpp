/// Where event time stands in each task, for whoever asks why a watermark does not advance.
///
/// A task publishes now and then (when it runs out of work, and every 50 ms while it is busy), never per record.
/// Threading: event_time_board is safe from any thread; the rest are values. Units: watermarks in milliseconds since
/// 1970, the smallest 64-bit number for none; other times on the task's monotonic clock.
#pragma once

#include <dataflow/metrics/snapshot.hpp>
#include <dataflow/util/clock.hpp>

#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

inline constexpr std::int64_t no_watermark_yet = std::numeric_limits<std::int64_t>::min();

/// The channel that holds an input of a task back.
struct channel_event_time {
  std::string name;                       ///< "Map (2/4) -> Sink (1/1)"
  std::int64_t vertex = -1, subtask = -1; ///< who writes it
  unsigned input = 0;
  std::int64_t watermark = no_watermark_yet;
  bool idle = false;       ///< all of them are
  bool ended = false;      ///< all of them have
  steady_time advanced{0}; ///< when its watermark last advanced, or it began to hold the input back
};

/// A split of a source.
struct split_event_time {
  std::string split; ///< empty: records that belong to no split
  std::int64_t watermark = no_watermark_yet;
  bool idle = false;
  bool paused = false; ///< by its alignment group
  steady_time advanced{0}, last_record{0};
};

struct operator_event_time {
  std::string name;
  bool makes_watermarks = false; ///< its watermarks are its own; what comes in does not count
  std::int64_t input = no_watermark_yet, output = no_watermark_yet;
  std::uint64_t records_in = 0;
  steady_time advanced{0}, last_record{0}; ///< of its output; of its input
  std::optional<std::int64_t> waits_for;   ///< the next watermark at which it has something to do
  std::string waiting;                     ///< what that is: "the window [12:00, 12:05)"
};

struct task_event_time {
  metric_scope scope;
  std::uint32_t attempt = 0, parallelism = 1;
  steady_time at{0}; ///< now, on the clock of the times here
  bool source = false;
  bool strategy = false; ///< of sources: has a watermark strategy
  bool idle = false;     ///< of sources
  bool finished = false;
  std::chrono::nanoseconds idle_timeout{0}; ///< of sources; 0: none
  std::string alignment_group;
  std::optional<std::int64_t> limit;        ///< what the group allows
  bool must_wait = false;                   ///< the whole source is paused by its group
  std::vector<channel_event_time> channels; ///< one per input
  std::vector<split_event_time> splits;
  std::vector<operator_event_time> operators;
};

class event_time_board {
public:
  void publish(const task_event_time& t) {
    const std::lock_guard guard{mutex_};
    last_ = t;
  }
  task_event_time last() const {
    const std::lock_guard guard{mutex_};
    return last_;
  }

private:
  mutable std::mutex mutex_;
  task_event_time last_;
};

} // namespace dataflow
