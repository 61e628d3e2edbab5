#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/dataflow.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <tests/actors/test_cluster.hpp>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

configuration with_threads(int threads) {
  configuration c;
  c.set("taskmanager.scheduler.threads", std::to_string(threads));
  return c;
}

environment on(const std::shared_ptr<executor>& cluster) { return environment{environment_options{.runner = cluster}}; }

/// Blocks in poll until it is interrupted.
class stuck_source final : public source<std::int64_t> {
public:
  explicit stuck_source(std::shared_ptr<std::atomic<int>> blocked) : blocked_(std::move(blocked)) {}
  boundedness bounds() const noexcept override { return boundedness::unbounded; }
  bool blocking() const noexcept override { return true; }
  std::unique_ptr<source_reader<std::int64_t>> make_reader() const override {
    return std::make_unique<reader>(blocked_);
  }
  std::unique_ptr<split_enumerator> make_enumerator() const override {
    return std::make_unique<test::idle_enumerator>();
  }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string&) const override { return make_enumerator(); }

private:
  struct reader final : source_reader<std::int64_t> {
    explicit reader(std::shared_ptr<std::atomic<int>> count) : blocked(std::move(count)) {}
    void open(reader_context&) override {}
    void add_splits(std::vector<source_split>) override {}
    void no_more_splits() override {}
    std::vector<source_split> snapshot(std::uint64_t) override { return {}; }
    poll_result poll(source_output<std::int64_t>&) override {
      std::unique_lock lock{mutex};
      ++*blocked;
      changed.wait(lock, [&] { return interrupted; });
      return poll_result::more();
    }
    void interrupt() noexcept override {
      std::lock_guard lock{mutex};
      interrupted = true;
      changed.notify_all();
    }
    std::shared_ptr<std::atomic<int>> blocked;
    std::mutex mutex;
    std::condition_variable changed;
    bool interrupted = false;
  };
  std::shared_ptr<std::atomic<int>> blocked_;
};

} // namespace

TEST_CASE("two hundred busy tasks on two threads: every one of them gets on, and a cancel reaches them all") {
  auto cluster = std::make_shared<actors::embedded_cluster>(with_threads(2));
  struct counters {
    std::array<std::atomic<std::int64_t>, 100> seen{};
  };
  auto all = std::make_shared<counters>();
  auto env = on(cluster);
  env.set_parallelism(100);
  struct count {
    std::shared_ptr<counters> all;
    std::size_t subtask = 0;
    void open(runtime_context& context) { subtask = context.subtask_index(); }
    void operator()(std::int64_t) { all->seen[subtask].fetch_add(1, std::memory_order_relaxed); }
  };
  env.generate([](std::int64_t i) { return i; }).disable_chaining().forward().sink_to(count{all, 0});
  auto job = env.execute_async();
  auto everyone_moved = [&](std::int64_t by) {
    for (auto& s : all->seen)
      if (s.load(std::memory_order_relaxed) < by) return false;
    return true;
  };
  // Records may move before the report of the last task's start has reached the job master.
  while ((!everyone_moved(10'000) || job->status() != job_status::running) && !is_terminal(job->status()))
    job->wait_for(1ms);
  CHECK(job->status() == job_status::running);
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
}

TEST_CASE("sources that block hold no thread of the scheduler: with one thread another job runs to its end") {
  auto cluster = std::make_shared<actors::embedded_cluster>(with_threads(1));
  auto blocked = std::make_shared<std::atomic<int>>(0);
  auto stuck = on(cluster);
  stuck.set_parallelism(4);
  stuck.from(stuck_source{blocked}, "stuck").discard();
  auto waiting = stuck.execute_async("stuck");
  // A reader may block before the report of its start has reached the job master, so both are waited for.
  while ((*blocked < 4 || waiting->status() != job_status::running) && !is_terminal(waiting->status()))
    waiting->wait_for(1ms);
  REQUIRE(waiting->status() == job_status::running);

  auto free = on(cluster);
  CHECK(free.sequence(1, 1000).map([](std::int64_t x) { return x; }).collect().size() == 1000);

  waiting->cancel();
  CHECK(waiting->wait().status == job_status::canceled);
}

TEST_CASE("a cancel right behind the submission is not lost") {
  auto cluster = std::make_shared<actors::embedded_cluster>();
  for (int i = 0; i < 30; ++i) {
    auto env = on(cluster);
    env.generate([](std::int64_t n) { return n; }).discard();
    auto job = env.execute_async();
    job->cancel();
    CHECK(job->wait().status == job_status::canceled);
  }
}

TEST_CASE("an actor system whose actors may run for ever is refused, with the setting's name") {
  caf::actor_system_config config;
  config.set("scheduler.max-throughput", std::size_t{1'000'000});
  caf::actor_system system{config};
  try {
    actors::embedded_cluster cluster{system};
    FAIL("it was accepted");
  } catch (const error& e) {
    CHECK(e.code() == errc::unsafe_configuration);
    CHECK(e.cause().find("scheduler.max-throughput") != std::string::npos);
  }
}

TEST_CASE("a cluster in the caller's own actor system") {
  caf::actor_system_config config;
  actors::configure(config, 2);
  caf::actor_system system{config};
  auto cluster = std::make_shared<actors::embedded_cluster>(system);
  auto env = on(cluster);
  CHECK(env.sequence(1, 100).collect().size() == 100);
}
