/// What a running task counts. One writer (the task), any number of readers: relaxed atomics, touched once per batch
/// or step, never per record.
/// Units: records, bytes, nanoseconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>

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

struct operator_metrics {
  std::string name, uid;
  counter_cell records_in, records_out;
};

struct task_metrics {
  counter_cell records_in, records_out, bytes_in, bytes_out;
  counter_cell busy_ns, idle_ns, backpressured_ns;
  counter_cell queued_elements; ///< in the input gate
  counter_cell mailbox_size;
  std::deque<operator_metrics> operators; ///< fixed once the task runs
};

} // namespace dataflow
