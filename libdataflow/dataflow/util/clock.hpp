/// Time as the engine sees it. Nothing outside clock.cpp asks the operating system for the time.
///
/// Threading: implementations are safe to call from any thread.
#pragma once

#include <chrono>

namespace dataflow {

/// A point on the monotonic axis: since an arbitrary start, never goes back.
using steady_time = std::chrono::nanoseconds;

class clock {
public:
  virtual ~clock() = default;
  /// Monotonic time; for durations and deadlines.
  virtual steady_time now() const noexcept = 0;
  /// Wall time since 1970 UTC; for processing time and for what people read.
  virtual std::chrono::milliseconds wall() const noexcept = 0;
};

/// The operating system's clocks.
clock& system_clock() noexcept;

/// CPU time that the process has used so far (user + system).
std::chrono::nanoseconds process_cpu_time() noexcept;

} // namespace dataflow
