/// An outside world for tests: time stands still until it is moved, files and sockets are in memory, print is kept.
#pragma once

#include <dataflow/operators/runtime_context.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/memory_file_system.hpp>
#include <dataflow/util/memory_network.hpp>
#include <dataflow/util/platform.hpp>

#include <map>
#include <string>

namespace dataflow::test {

class manual_clock final : public dataflow::clock {
public:
  steady_time now() const noexcept override { return now_; }
  std::chrono::milliseconds wall() const noexcept override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now_);
  }
  /// Never goes back.
  void advance_to(steady_time t) noexcept {
    if (t > now_) now_ = t;
  }
  void advance(steady_time by) noexcept { now_ += by; }

private:
  steady_time now_{0};
};

class kept_text final : public text_output {
public:
  void write(std::string_view more) override { text.append(more); }
  std::string text;
};

struct test_platform : platform {
  test_platform() {
    clock = &time;
    files = &disk;
    sockets = &net;
    out = &printed;
    err = &printed_err;
    seed = 1;
  }
  test_platform(const test_platform&) = delete;

  manual_clock time;
  memory_file_system disk;
  memory_network net;
  kept_text printed, printed_err;
};

/// A runtime context with settable values.
class test_runtime_context : public runtime_context {
public:
  explicit test_runtime_context(dataflow::platform& world, std::uint32_t subtask = 0, std::uint32_t parallelism = 1)
      : world_(world), subtask_(subtask), parallelism_(parallelism) {}
  const std::string& job_name() const noexcept override { return name_; }
  const std::string& job_id() const noexcept override { return id_; }
  const std::string& operator_name() const noexcept override { return name_; }
  const std::string& operator_uid() const noexcept override { return name_; }
  const std::string& task_name() const noexcept override { return name_; }
  std::uint32_t subtask_index() const noexcept override { return subtask_; }
  std::uint32_t parallelism() const noexcept override { return parallelism_; }
  std::uint32_t max_parallelism() const noexcept override { return 128; }
  std::uint32_t attempt() const noexcept override { return 0; }
  accumulator& accumulator_of(std::string_view name) override { return accumulators[std::string{name}]; }
  accumulator& counter(std::string_view name) override { return counters[std::string{name}]; }
  const dataflow::clock& clock() const noexcept override { return *world_.clock; }
  dataflow::platform& platform() noexcept override { return world_; }

  std::map<std::string, accumulator> accumulators, counters;

private:
  dataflow::platform& world_;
  std::string name_ = "test", id_ = std::string(32, '0');
  std::uint32_t subtask_, parallelism_;
};

} // namespace dataflow::test
