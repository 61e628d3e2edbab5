/// What a running task counts. One writer (the task), any number of readers: relaxed atomics, touched once per batch
/// or step, never per record.
/// Units: records, bytes, nanoseconds.
#pragma once

#include <dataflow/metrics/event_time.hpp>

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dataflow {

/// A number that one thread adds to and any thread reads.
class counter_cell {
public:
  void add(std::uint64_t n) noexcept { value_.store(value() + n, std::memory_order_relaxed); }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::uint64_t> value_{0};
};

/// A watermark that one thread writes and any thread reads.
class watermark_cell {
public:
  void set(std::int64_t t) noexcept { value_.store(t, std::memory_order_relaxed); }
  std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::int64_t> value_{no_watermark_yet};
};

/// A counter under a name of the user's. One thread adds, any thread reads.
class accumulator {
public:
  void add(std::int64_t n = 1) noexcept { value_.store(value() + n, std::memory_order_relaxed); }
  std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::int64_t> value_{0};
};

/// The counters that a user's function has asked for.
/// Threading: all members are safe from any thread; each counter has one writer.
class named_counters {
public:
  /// Made at the first call for a name; stays where it is.
  accumulator& of(std::string_view name) {
    const std::lock_guard guard{mutex_};
    const auto i = counters_.find(name);
    return i != counters_.end() ? i->second : counters_[std::string{name}];
  }
  std::vector<std::pair<std::string, std::int64_t>> values() const {
    const std::lock_guard guard{mutex_};
    std::vector<std::pair<std::string, std::int64_t>> out;
    for (const auto& [name, counter] : counters_)
      out.emplace_back(name, counter.value());
    return out;
  }

private:
  mutable std::mutex mutex_; // guards the map, not the values
  std::map<std::string, accumulator, std::less<>> counters_;
};

struct operator_metrics {
  std::string name, uid;
  counter_cell records_in, records_out;
  watermark_cell input_watermark, output_watermark;
  named_counters own;
};

struct task_metrics {
  counter_cell records_in, records_out, bytes_in, bytes_out;
  counter_cell busy_ns, idle_ns, backpressured_ns;
  counter_cell input_queue;    ///< elements in the input gate
  counter_cell output_queue;   ///< elements in the output gates that wait for credit
  counter_cell mailbox_size;   ///< messages
  counter_cell stale_messages; ///< of an earlier attempt, dropped
  event_time_board event_time;
  std::deque<operator_metrics> operators; ///< fixed once the task runs
};

} // namespace dataflow
