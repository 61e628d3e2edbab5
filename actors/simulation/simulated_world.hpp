/// The outside world of a simulation: time that the scheduler owns, files, sockets and output in memory.
///
/// Threading: one thread.
#pragma once

#include <dataflow/util/clock.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>
#include <dataflow/util/memory_network.hpp>
#include <dataflow/util/platform.hpp>
#include <dataflow/util/random.hpp>

#include <string>

namespace dataflow::actors {

/// The actor clock, seen as ours. Reading it takes time: mostly a little, sometimes as much as a slice, so that work
/// that is bounded by time ends, and now and then early.
class simulated_clock final : public clock {
public:
  explicit simulated_clock(std::uint64_t seed) noexcept : random_(seed) {}
  /// read: the present time; spend: lets time pass. Both must be set before the first use.
  struct source {
    virtual ~source() = default;
    virtual steady_time read() const noexcept = 0;
    virtual void spend(steady_time t) noexcept = 0;
  };
  void attach(source& s) noexcept { source_ = &s; }

  steady_time now() const noexcept override {
    source_->spend(random_.below(16) == 0 ? steady_time{random_.below(800'000)} : steady_time{random_.below(20'000)});
    return source_->read();
  }
  std::chrono::milliseconds wall() const noexcept override {
    return start_of_time + std::chrono::duration_cast<std::chrono::milliseconds>(source_->read());
  }
  /// 2024-01-01 00:00 UTC.
  static constexpr std::chrono::milliseconds start_of_time{1'704'067'200'000};

private:
  mutable random_source random_;
  source* source_ = nullptr;
};

class text_buffer final : public text_output {
public:
  void write(std::string_view text) override { all += text; }
  std::string all;
};

struct simulated_world {
  explicit simulated_world(std::uint64_t seed) : clock(seed ^ 0xc10c'0000'0000'0001ull) {
    world.clock = &clock;
    world.files = &disk;
    world.sockets = &sockets;
    world.threads = nullptr;
    world.seed = seed;
    world.out = &out;
    world.err = &err;
  }
  simulated_clock clock;
  memory_file_system files;
  faulty_file_system disk{files}; // what jobs see of them
  memory_network sockets;
  text_buffer out, err;
  platform world;
};

} // namespace dataflow::actors
