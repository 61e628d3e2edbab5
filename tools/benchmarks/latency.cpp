#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/platform.hpp>

#include <fmt/core.h>

#include <ctime>
#include <malloc.h>
#include <unistd.h>

#include "measure.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

struct ping {
  std::int64_t key = 0;
  std::int64_t intended = 0; ///< nanoseconds on the steady clock: when it should have left
};

} // namespace bench
DATAFLOW_RECORD(bench::ping, key, intended);

namespace bench {

namespace {

constexpr std::int64_t interval_ns = 100'000; // 10,000 records a second

/// One record every 100 us, by an absolute schedule: a record that leaves late keeps its intended time.
class paced_reader final : public source_reader<ping> {
public:
  explicit paced_reader(std::int64_t count) : count_(count) {}
  void open(reader_context& context) override { clock_ = context.platform().clock; }
  void add_splits(std::vector<source_split>) override {}
  void no_more_splits() override {}
  std::vector<source_split> snapshot(std::uint64_t) override { return {}; }
  poll_result poll(source_output<ping>& out) override {
    const auto now = clock_->now().count();
    if (start_ == 0) start_ = now + interval_ns;
    while (at_ < count_ && start_ + at_ * interval_ns <= now && !out.full()) {
      out.collect({at_ % 1000, start_ + at_ * interval_ns});
      ++at_;
    }
    if (at_ == count_) return poll_result::end();
    return poll_result::wait_until(steady_time{start_ + at_ * interval_ns});
  }

private:
  const std::int64_t count_;
  dataflow::clock* clock_ = nullptr;
  std::int64_t start_ = 0, at_ = 0;
};

class paced_source final : public source<ping> {
public:
  explicit paced_source(std::int64_t count) : count_(count) {}
  boundedness bounds() const noexcept override { return boundedness::bounded; }
  std::unique_ptr<source_reader<ping>> make_reader() const override { return std::make_unique<paced_reader>(count_); }
  std::unique_ptr<split_enumerator> make_enumerator() const override { return std::make_unique<no_enumerator>(); }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string&) const override { return make_enumerator(); }

private:
  std::int64_t count_;
};

figure summary(const std::string& name, std::vector<double> latencies_us) {
  figure f;
  f.name = name;
  f.note = fmt::format("p50 {:.1f} us, p99 {:.1f} us, p99.99 {:.1f} us of {} records", quantile(latencies_us, 0.5),
                       quantile(latencies_us, 0.99), quantile(latencies_us, 0.9999), latencies_us.size());
  return f;
}

} // namespace

figure engine_latency(const std::string& name, std::chrono::milliseconds timeout, std::int64_t count,
                      std::shared_ptr<executor> cluster) {
  std::vector<double> latencies;
  latencies.reserve(static_cast<std::size_t>(count));
  environment_options options;
  options.runner = std::move(cluster);
  environment env{options};
  env.set_buffer_timeout(timeout);
  env.from(paced_source{count}, "paced")
      .key_by(&ping::key)
      .reduce([](const ping&, const ping& b) { return b; })
      .sink_to([&](const ping& p) {
        latencies.push_back(static_cast<double>(system_clock().now().count() - p.intended) / 1e3);
      });
  env.execute();
  return summary(name, std::move(latencies));
}

namespace {

/// The machine's noise floor: one thread that sleeps until the intended time and then is there.
figure hand_latency(std::int64_t count) {
  std::vector<double> latencies;
  const auto start = system_clock().now().count() + interval_ns;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = start + i * interval_ns;
    const timespec until{at / 1'000'000'000, at % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    latencies.push_back(static_cast<double>(system_clock().now().count() - at) / 1e3);
  }
  return summary("latency, hand loop that sleeps", std::move(latencies));
}

/// Takes one record each millisecond.
void sink_a_thousand_a_second(const bid&) {
  const timespec pause{0, 1'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
}

/// Without what earlier figures have left to the allocator.
std::size_t resident_bytes() {
  malloc_trim(0);
  std::size_t size = 0, resident = 0;
  if (auto* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%zu %zu", &size, &resident) != 2) resident = 0;
    std::fclose(f);
  }
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

} // namespace

std::vector<figure> latency(const options& o) {
  std::vector<figure> figures;
  if (std::string{"latency"}.find(o.only) == std::string::npos) return figures;
  const auto count = static_cast<std::int64_t>(100'000 * o.scale);
  auto add = [&](figure f) {
    print(f);
    figures.push_back(std::move(f));
  };
  add(hand_latency(count));
  for (auto ms : {0, 1, 100})
    add(engine_latency(fmt::format("latency, buffer timeout {} ms", ms), std::chrono::milliseconds{ms}, count, {}));
  return figures;
}

std::vector<figure> overheads(const options& o) {
  std::vector<figure> figures;
  if (std::string{"overheads"}.find(o.only) == std::string::npos) return figures;
  auto add = [&](const std::string& name, std::uint32_t p, std::string note) {
    figure f;
    f.name = name;
    f.parallelism = p;
    f.note = std::move(note);
    print(f);
    figures.push_back(std::move(f));
  };
  auto& clock = system_clock();
  auto milliseconds = [](steady_time t) { return static_cast<double>(t.count()) / 1e6; };
  {
    std::vector<double> times;
    for (int i = 0; i < o.pairs; ++i) {
      const auto begin = clock.now();
      std::atomic<std::int64_t> first{0};
      environment env;
      env.sequence(1, 1).sink_to([&](std::int64_t) { first = clock.now().count(); });
      env.execute();
      times.push_back(milliseconds(steady_time{first.load()} - begin));
    }
    add("cluster start to first record", 1,
        fmt::format("{:.2f} ms (median of {}, slowest {:.2f} ms)", median(times), times.size(), quantile(times, 1)));
  }
  {
    // 500 sources that wait for ever, each with a keyed task behind it.
    const auto before = resident_bytes();
    const auto begin = clock.now();
    environment env;
    env.set_parallelism(500);
    env.sequence(1, 1'000'000'000, 0.001)
        .key_by([](std::int64_t x) { return x; })
        .reduce([](std::int64_t a, std::int64_t b) { return a + b; })
        .discard();
    auto job = env.execute_async();
    while (job->status() != job_status::running && !is_terminal(job->status()))
      job->wait_for(std::chrono::milliseconds{1});
    const auto spawned = clock.now() - begin;
    const auto memory = resident_bytes() - before;
    job->wait_for(std::chrono::seconds{1});
    const auto cpu = process_cpu_time();
    job->wait_for(std::chrono::seconds{3});
    const auto used = process_cpu_time() - cpu;
    add("1,000 idle tasks", 500,
        fmt::format("running after {:.0f} ms, {:.1f} kB a task, {:.2f} % of a CPU", milliseconds(spawned),
                    static_cast<double>(memory) / 1e6, milliseconds(used) / 30));
    job->cancel();
    job->wait();
  }
  {
    // A source without end and without a limit, made to wait by a sink that it could overrun 100,000 times.
    environment env;
    auto make = [](std::uint64_t x, std::int64_t i) { return make_bid(x, i, 10'000); };
    env.from(counted_source<bid, decltype(make)>{~std::uint64_t{0}, make}, "bids")
        .rebalance()
        .map([](const bid& b) { return convert(b); })
        .rebalance()
        .sink_to(sink_a_thousand_a_second);
    const auto before = resident_bytes();
    auto job = env.execute_async();
    std::string curve;
    for (int second = 1; second <= 10; ++second) {
      job->wait_for(std::chrono::seconds{1});
      curve += fmt::format("{}{:.1f}", second == 1 ? "" : ", ", static_cast<double>(resident_bytes()) / 1e6);
    }
    job->cancel();
    job->wait();
    add("memory behind a slow sink", 1,
        fmt::format("{:.1f} MB before, then each second {} MB", static_cast<double>(before) / 1e6, curve));
  }
  return figures;
}

} // namespace bench
