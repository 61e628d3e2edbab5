// A reader on a thread of its own: it runs ahead of its task, and nobody may notice.
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/task/blocking_source.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <semaphore>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using numbers = std::vector<std::int64_t>;

namespace {

/// What a task would be to the reader.
struct task_double final : reader_context {
  runtime_context& runtime() noexcept override { return info; }
  dataflow::platform& platform() noexcept override { return system_platform(); }
  void request_split() override {}
  std::function<void()> wake_up() override {
    return [this] { woken.release(); };
  }
  test::test_runtime_context info{system_platform()};
  std::counting_semaphore<> woken{0};
};

/// What the test and a reader know of each other.
struct shared {
  std::atomic<int> polls{0};       ///< begun
  std::atomic<bool> stuck{false};  ///< poll blocks until it is interrupted
  std::atomic<bool> quiet{false};  ///< poll finds nothing and waits to be woken
  std::function<void()> wake;      ///< set by open
  std::mutex mutex;                ///< guards calls
  std::condition_variable changed; ///< something was called, or polled
  std::vector<std::string> calls;

  void note(std::string what) {
    std::lock_guard lock{mutex};
    calls.push_back(std::move(what));
    changed.notify_all();
  }
  void polled() {
    std::lock_guard lock{mutex};
    ++polls;
    changed.notify_all();
  }
  void wait_for_polls(int n) {
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return polls >= n; });
  }
  void wait_for_calls(std::size_t n) {
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return calls.size() >= n; });
  }
};

/// Reads splits "next:end", two numbers a poll; ends when there are no more.
class counting_reader final : public source_reader<std::int64_t> {
public:
  explicit counting_reader(std::shared_ptr<shared> s) : shared_(std::move(s)) {}
  void open(reader_context& context) override { shared_->wake = context.wake_up(); }
  void add_splits(std::vector<source_split> splits) override {
    for (auto& s : splits) {
      const auto colon = s.payload.find(':');
      if (colon == std::string::npos) throw std::runtime_error{"no split: " + s.payload};
      splits_.push_back({s.id, std::stoll(s.payload.substr(0, colon)), std::stoll(s.payload.substr(colon + 1))});
    }
    shared_->note("add_splits");
  }
  void no_more_splits() override { no_more_ = true; }
  std::vector<source_split> snapshot(std::uint64_t) override {
    std::vector<source_split> out;
    for (auto& s : splits_)
      out.push_back({s.id, std::to_string(s.next) + ":" + std::to_string(s.end)});
    return out;
  }
  void checkpoint_completed(std::uint64_t id) override { shared_->note("completed " + std::to_string(id)); }
  void pause_split(const std::string& id, bool paused) override { shared_->note((paused ? "pause " : "go on ") + id); }
  void interrupt() noexcept override {
    std::lock_guard lock{shared_->mutex};
    interrupted_ = true;
    shared_->changed.notify_all();
  }
  poll_result poll(source_output<std::int64_t>& out) override {
    shared_->polled();
    if (shared_->stuck) {
      shared_->note("stuck");
      std::unique_lock lock{shared_->mutex};
      shared_->changed.wait(lock, [&] { return interrupted_; });
      return poll_result::more();
    }
    if (shared_->quiet) {
      shared_->note("quiet");
      return poll_result::wait();
    }
    if (splits_.empty()) return no_more_ ? poll_result::end() : poll_result::wait();
    auto& s = splits_.front();
    for (int i = 0; i < 2 && s.next < s.end; ++i)
      out.collect(s.next++);
    if (s.next >= s.end) splits_.erase(splits_.begin());
    return poll_result::more();
  }

private:
  struct range {
    std::string id;
    std::int64_t next, end;
  };
  std::shared_ptr<shared> shared_;
  std::vector<range> splits_;
  bool no_more_ = false, interrupted_ = false;
};

struct running_source {
  explicit running_source(std::vector<source_split> splits = {}) {
    driver = make_blocking_source(
        std::make_unique<typed_source_driver<std::int64_t>>(std::make_unique<counting_reader>(state)),
        batch_pool::make(record_type_of<std::int64_t>()), {}, system_platform());
    driver->reader().open(task);
    if (!splits.empty()) driver->reader().add_splits(std::move(splits));
  }
  ~running_source() { driver->reader().close(); }
  /// The next batch; empty at the end.
  numbers batch_or_end() {
    batch<std::int64_t> b{record_type_of<std::int64_t>()};
    for (;;) {
      const auto result = driver->poll(b, {});
      if (b.size() > 0) return {b.records.begin(), b.records.end()};
      if (result.what == poll_result::kind::end) return {};
      task.woken.acquire();
    }
  }
  numbers rest() {
    numbers all;
    for (;;) {
      const auto part = batch_or_end();
      if (part.empty()) return all;
      all.insert(all.end(), part.begin(), part.end());
    }
  }
  std::shared_ptr<shared> state = std::make_shared<shared>();
  task_double task;
  std::unique_ptr<source_driver> driver;
};

} // namespace

TEST_CASE("a snapshot is where the task's records end, however far the reader has read ahead") {
  for (int delivered = 0; delivered <= 5; ++delivered) {
    CAPTURE(delivered);
    running_source source{{{"a", "0:6"}, {"b", "100:104"}}};
    source.driver->reader().no_more_splits();
    numbers got;
    for (int i = 0; i < delivered; ++i)
      for (auto n : source.batch_or_end())
        got.push_back(n);
    source.state->wait_for_polls(std::min(5, delivered + 3)); // it has begun to read what nobody has got
    const auto splits = source.driver->reader().snapshot(1);

    running_source next{splits};
    next.driver->reader().no_more_splits();
    for (auto n : next.rest())
      got.push_back(n);
    CHECK(got == numbers{0, 1, 2, 3, 4, 5, 100, 101, 102, 103});
    for (auto n : source.rest()) // the first one goes on unharmed
      CHECK(n < 200);
  }
}

TEST_CASE("splits that the reader has not taken yet are in the snapshot") {
  running_source source;
  source.state->wait_for_polls(1); // it has found nothing, and waits
  source.state->quiet = true;
  source.driver->reader().add_splits({{"a", "0:4"}});
  source.state->wait_for_calls(2);
  source.state->stuck = true;
  source.state->wake();
  source.state->wait_for_calls(3);
  source.driver->reader().add_splits({{"b", "7:9"}}); // it is stuck in poll
  const auto splits = source.driver->reader().snapshot(1);
  REQUIRE(splits.size() == 2);
  CHECK(splits[0].payload == "0:4");
  CHECK(splits[1].payload == "7:9");
}

TEST_CASE("a reader that waits is polled again when it calls its wake-up, from any thread") {
  running_source source;
  source.state->wait_for_polls(1);
  source.state->quiet = true;
  source.driver->reader().add_splits({{"a", "0:2"}});
  source.state->wait_for_calls(2);
  source.state->quiet = false;
  source.state->wake();
  CHECK(source.batch_or_end() == numbers{0, 1});
}

TEST_CASE("a wake-up may be called when the source is gone") {
  std::function<void()> wake;
  {
    running_source source;
    wake = source.state->wake;
  }
  wake();
}

TEST_CASE("what a reader throws when it takes a split fails the source, not the process") {
  running_source source{{{"a", "0:2"}, {"b", "nonsense"}}};
  try {
    source.rest();
    FAIL("it ended");
  } catch (const error& e) {
    CHECK(e.cause().find("no split: nonsense") != std::string::npos);
  }
}

TEST_CASE("a reader is at most four batches ahead of its task") {
  running_source source{{{"a", "0:1000"}}};
  source.driver->reader().no_more_splits();
  for (int i = 0; i < 20; ++i) {
    source.batch_or_end();
    CHECK(source.state->polls <= i + 1 + 4 + 1 + 1); // and one in progress, and one that found nothing at the start
  }
  CHECK(source.rest().back() == 999);
}

TEST_CASE("pauses and completed checkpoints reach the reader on its thread, also after its end") {
  running_source source{{{"a", "0:2"}}};
  source.driver->reader().no_more_splits();
  CHECK(source.rest() == numbers{0, 1});
  source.driver->reader().pause_split("a", true);
  source.driver->reader().pause_split("a", false);
  source.driver->reader().checkpoint_completed(7);
  source.state->wait_for_calls(4);
  CHECK(source.state->calls == std::vector<std::string>{"add_splits", "pause a", "go on a", "completed 7"});
  CHECK(source.batch_or_end().empty()); // still ended
}
