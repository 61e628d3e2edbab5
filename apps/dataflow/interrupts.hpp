/// Ctrl-C and SIGTERM: the first one asks, the second one aborts.
///
/// Threading: the counters are read by the thread that waits for the job. One instance per process.
#pragma once

namespace dataflow::cli {

class interrupts {
public:
  /// From now on the first SIGINT or SIGTERM is only noted; the second ends the process at once with 128 + signal.
  interrupts();
  /// The default handling again.
  ~interrupts();
  interrupts(const interrupts&) = delete;
  interrupts& operator=(const interrupts&) = delete;

  /// The first signal's number, or 0.
  static int received() noexcept;
};

} // namespace dataflow::cli
