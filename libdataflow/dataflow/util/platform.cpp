#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/network.hpp>
#include <dataflow/util/platform.hpp>
#include <dataflow/util/random.hpp>

#include <cerrno>
#include <mutex>
#include <pthread.h>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>

namespace dataflow {

namespace {

class os_thread final : public thread_factory::thread {
public:
  explicit os_thread(std::thread t) noexcept : thread_(std::move(t)) {}
  ~os_thread() override { thread_.join(); }

private:
  std::thread thread_;
};

class os_threads final : public thread_factory {
public:
  std::unique_ptr<thread> start(std::string name, std::function<void()> body) override {
    return std::make_unique<os_thread>(std::thread{[name = std::move(name), body = std::move(body)] {
      pthread_setname_np(pthread_self(), name.substr(0, 15).c_str()); // the system's limit
      // Sleeps of this thread end when they should: the default slack of 50 us is half of our latency budget.
      prctl(PR_SET_TIMERSLACK, 1000ul);
      body();
    }});
  }
};

class os_text_output final : public text_output {
public:
  explicit os_text_output(int fd) noexcept : fd_(fd) {}
  void write(std::string_view text) override {
    std::lock_guard lock{mutex_};
    while (!text.empty()) {
      auto n = ::write(fd_, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw file_error(errno, "write to", fd_ == STDOUT_FILENO ? "standard output" : "standard error");
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

private:
  std::mutex mutex_; // one text at a time
  int fd_;
};

} // namespace

platform& system_platform() {
  static os_threads threads;
  static os_text_output out{STDOUT_FILENO}, err{STDERR_FILENO};
  static platform instance{&system_clock(), &system_files(), &system_network(), &threads, random_seed(), &out, &err};
  return instance;
}

} // namespace dataflow
