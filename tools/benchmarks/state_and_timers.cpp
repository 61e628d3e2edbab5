// Keyed process functions: value state beside the loop of W2, and ten million live timers beside a binary heap.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/time/timer_store.hpp>

#include <fmt/core.h>

#include <functional>
#include <queue>

#include "measure.hpp"
#include "sum_of_job.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

namespace {

class running_sum final : public keyed_process_function<std::int64_t, bid, bid> {
  value_state<std::int64_t> sum_ = state("sum");

public:
  void process(const bid& b, context&, collector<bid>& out) override {
    auto result = b;
    result.price = sum_.edit() += b.price;
    out.collect(result);
  }
};

/// One timer per record; what fires is counted by its time.
class one_timer_each final : public keyed_process_function<std::int64_t, bid, std::int64_t> {
public:
  void process(const bid& b, context& ctx, collector<std::int64_t>&) override {
    ctx.timers().register_event_time(timestamp{std::chrono::milliseconds{b.price}});
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::int64_t>& out) override {
    out.collect(t.time_since_epoch().count() * 31 + ctx.key());
  }
};

bid timed_bid(std::uint64_t x, std::int64_t i) noexcept {
  return {i, 0, static_cast<std::int64_t>(x >> 34), 0}; // a key of its own, a random time
}

template <class F, class Make, class Value>
std::uint64_t processed(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records, Make make,
                        Value value) {
  return sum_of_job(cluster, p, value, [&](environment& env) {
    return env.from(counted_source<bid, Make>{records / p, make}, "bids").key_by(&bid::auction).template process<F>();
  });
}

std::uint64_t hand_timers(std::uint64_t records) {
  using entry = std::pair<std::int64_t, std::int64_t>; // time, key
  std::priority_queue<entry, std::vector<entry>, std::greater<>> timers;
  generator g{0};
  for (std::uint64_t i = 0; i < records; ++i) {
    const auto b = timed_bid(g(), static_cast<std::int64_t>(i));
    timers.emplace(b.price, b.auction);
  }
  std::uint64_t sum = 0;
  for (; !timers.empty(); timers.pop())
    sum += static_cast<std::uint64_t>(timers.top().first * 31 + timers.top().second);
  return sum;
}

double bytes_per_timer(std::uint64_t records) {
  timer_store<std::int64_t> timers;
  timers.open({0, 127}, 128);
  generator g{0};
  for (std::uint64_t i = 0; i < records; ++i) {
    const auto b = timed_bid(g(), static_cast<std::int64_t>(i));
    timers.insert({timestamp{std::chrono::milliseconds{b.price}}, {b.auction, key_hash(b.auction)}, {}});
  }
  return static_cast<double>(timers.memory_bytes()) / static_cast<double>(timers.size());
}

} // namespace

std::vector<figure> state_and_timers(const options& o) {
  auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
  std::vector<figure> figures;
  auto records = [&](double n) { return static_cast<std::uint64_t>(n * o.scale) / 2 * 2; };
  auto wanted = [&](const std::string& name) { return name.find(o.only) != std::string::npos; };
  for (std::uint32_t p : {1u, 2u}) {
    const std::string sums = "keyed process function with value state, 10,000 keys";
    if (wanted(sums)) {
      const auto n = records(40e6);
      auto make = [](std::uint64_t x, std::int64_t i) { return make_bid(x, i, 10'000); };
      auto value = [](const bid& b) { return b.price; };
      figures.push_back(measure_pairs(
          o, sums, p, n, p == 1, [&] { return hand_w2(n, 10'000); },
          [&] { return processed<running_sum>(cluster, p, n, make, value); }));
      print(figures.back());
    }
    const std::string timers = "live timers, one per key: registered and fired";
    if (wanted(timers)) {
      const auto n = records(10e6);
      figures.push_back(measure_pairs(
          o, timers, p, n, p == 1, [&] { return hand_timers(n); },
          [&] { return processed<one_timer_each>(cluster, p, n, timed_bid, std::identity{}); }));
      figures.back().note = fmt::format("{} timers, {:.1f} bytes each", n, bytes_per_timer(n));
      print(figures.back());
    }
  }
  return figures;
}

} // namespace bench
