// Asynchronous I/O in whole jobs: threads that answer, back-pressure, timeouts, cancel, virtual time.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/simulation/simulate.hpp>
#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

using number = std::int64_t;
using numbers = std::vector<number>;

/// Threads that answer what they are asked; counts how many questions were open at once.
class service {
public:
  explicit service(int threads) {
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this] { work(); });
  }
  ~service() {
    {
      std::lock_guard lock{mutex_};
      ended_ = true;
      changed_.notify_all();
    }
    for (auto& t : threads_)
      t.join();
  }
  void ask(number n, async_result<number> result) {
    std::lock_guard lock{mutex_};
    questions_.emplace_back(n, std::move(result));
    most_ = std::max(most_, ++open_);
    changed_.notify_one();
  }
  std::size_t most_open() {
    std::lock_guard lock{mutex_};
    return most_;
  }

private:
  void work() {
    for (;;) {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [&] { return ended_ || !questions_.empty(); });
      if (questions_.empty()) return;
      auto [n, result] = std::move(questions_.front());
      questions_.pop_front();
      --open_; // the operator may ask the next one as soon as it has this answer
      lock.unlock();
      result.complete_with(n * 2);
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<number, async_result<number>>> questions_;
  std::size_t open_ = 0, most_ = 0;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};
struct ask_service {
  service* to;
  void operator()(const number& n, async_result<number> result) const { to->ask(n, std::move(result)); }
};
/// Keeps what it is asked and never answers.
struct never_answers {
  std::shared_ptr<std::atomic<int>> asked = std::make_shared<std::atomic<int>>(0);
  void operator()(const number&, async_result<number>) const {
    ++*asked;
    asked->notify_all();
  }
};

numbers doubled(number count) {
  numbers all;
  for (number i = 1; i <= count; ++i)
    all.push_back(i * 2);
  return all;
}

} // namespace

TEST_CASE("a job asks threads of a service and gets every answer once") {
  for (const int parallelism : {1, 2, 4})
    for (const bool ordered : {false, true}) {
      service s{3};
      environment env;
      env.set_parallelism(parallelism);
      auto in = env.sequence(1, 5000);
      auto out = ordered ? async::ordered(in, ask_service{&s}, {.capacity = 50})
                         : async::unordered(in, ask_service{&s}, {.capacity = 50});
      auto all = out.map([](const number& n) { return n; }).collect();
      if (!ordered || parallelism > 1) std::sort(all.begin(), all.end());
      CHECK(all == doubled(5000));
      CHECK(s.most_open() <= 50u * static_cast<unsigned>(parallelism));
    }
}

TEST_CASE("a job that waits for answers holds no thread: another one runs, and a cancel ends it") {
  configuration one_thread;
  one_thread.set("taskmanager.scheduler.threads", "1");
  auto cluster = std::make_shared<actors::embedded_cluster>(one_thread);
  environment_options o;
  o.runner = cluster;
  never_answers mute;
  environment waiting{o};
  async::unordered(waiting.sequence(1, 1'000'000), mute, {.timeout = 24h, .capacity = 3}).discard();
  auto job = waiting.execute_async();
  for (int seen = mute.asked->load(); seen < 3; seen = mute.asked->load())
    mute.asked->wait(seen);
  environment other{o};
  CHECK(other.sequence(1, 1000).collect().size() == 1000);
  CHECK(mute.asked->load() == 3);
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
}

TEST_CASE("a request without an answer fails its job after the timeout, by the operator's name") {
  auto cluster = std::make_shared<simulated_cluster>(1);
  environment_options o;
  o.runner = cluster;
  environment env{o};
  async::ordered(env.sequence(1, 10), never_answers{}, {.timeout = 30s}).name("ask the wall").discard();
  const auto result = env.execute_async()->wait();
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.to_string().find("ask the wall") != std::string::npos);
  CHECK(result.failure.to_string().find("not answered within 30000 ms") != std::string::npos);
  CHECK(cluster->now() >= 30s);
}

TEST_CASE("retries and timeouts run in the simulation's time, under every schedule") {
  /// Fails at first for one in three, never answers one in seven.
  struct flaky {
    std::map<number, int> tries;
    void operator()(const number& n, async_result<number> result) {
      if (n % 7 == 0) return;
      if (n % 3 == 0 && ++tries[n] <= 2) return result.fail("busy");
      result.complete_with(n * 2);
    }
    void timeout(const number& n, async_result<number> result) const { result.complete_with(-n); }
  };
  for (const bool ordered : {false, true}) {
    const auto report = simulate(
        [=](environment& env) {
          env.set_parallelism(2);
          auto in = env.sequence(1, 200);
          auto out = ordered
                         ? async::ordered(in, flaky{}, {.timeout = 10s, .capacity = 8, .retry = fixed_delay{2, 1s}})
                         : async::unordered(in, flaky{}, {.timeout = 10s, .capacity = 8, .retry = fixed_delay{2, 1s}});
          auto all = out.collect();
          std::sort(all.begin(), all.end());
          CHECK(all.size() == 200);
          CHECK(std::count_if(all.begin(), all.end(), [](number n) { return n < 0; }) == 28);
          return all;
        },
        {.seeds = 20});
    CHECK_MESSAGE(report.exactly_once(), report.describe());
  }
}

TEST_CASE("a result or an error: failures leave by a side output") {
  const output_tag<async_failure<number>> failed{"failed"};
  environment env;
  env.set_parallelism(2);
  auto answers = async::unordered(env.sequence(1, 100),
                                  [](const number& n, async_result<number> result) {
                                    if (n % 10 == 0)
                                      result.fail(error{errc::connection_failed, "no route to " + std::to_string(n)});
                                    else
                                      result.complete_with(n);
                                  },
                                  {.failures = failed});
  auto texts = answers.map([](const number& n) { return std::to_string(n); })
                   .union_with(answers.side_output(failed).map(
                       [](const async_failure<number>& f) { return std::to_string(f.first) + ": " + f.second; }))
                   .collect();
  CHECK(texts.size() == 100);
  CHECK(std::count(texts.begin(), texts.end(), "50: connection_failed: no route to 50") == 1);
  CHECK(std::count(texts.begin(), texts.end(), "51") == 1);
}
