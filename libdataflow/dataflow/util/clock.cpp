#include <dataflow/util/clock.hpp>

#include <ctime>

namespace dataflow {

namespace {
class os_clock final : public clock {
public:
  steady_time now() const noexcept override { return std::chrono::steady_clock::now().time_since_epoch(); }
  std::chrono::milliseconds wall() const noexcept override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  }
};
} // namespace

clock& system_clock() noexcept {
  static os_clock instance;
  return instance;
}

std::chrono::nanoseconds process_cpu_time() noexcept {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
}

} // namespace dataflow
