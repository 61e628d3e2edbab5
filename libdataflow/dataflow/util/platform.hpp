/// The outside world, behind interfaces: whoever needs time, randomness, disk, network or threads gets them from here,
/// so that a whole cluster can run in one thread from one seed.
///
/// Threading: all members are safe to use from any thread. Ownership: the struct borrows; the embedding (cluster,
/// simulation, test) owns the implementations and outlives the users.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace dataflow {

class clock;
class file_system;
class network;

/// Runs blocking work off the scheduler's workers.
class thread_factory {
public:
  virtual ~thread_factory() = default;
  /// A running thread; destroying it joins.
  class thread {
  public:
    virtual ~thread() = default;
  };
  virtual std::unique_ptr<thread> start(std::string name, std::function<void()> body) = 0;
};

/// Where a job's print() goes. Each call writes its text as a whole, also when several threads write.
class text_output {
public:
  virtual ~text_output() = default;
  virtual void write(std::string_view text) = 0;
};

struct platform {
  dataflow::clock* clock = nullptr;
  dataflow::file_system* files = nullptr;
  dataflow::network* sockets = nullptr;
  thread_factory* threads = nullptr; ///< null in a simulation: blocking work is refused or runs in place
  std::uint64_t seed = 0;            ///< from which every component derives its own random_source
  text_output* out = nullptr;        ///< standard output
  text_output* err = nullptr;        ///< standard error
};

/// The real one: the operating system's clock, disk, sockets and threads, and a random seed.
platform& system_platform();

} // namespace dataflow
