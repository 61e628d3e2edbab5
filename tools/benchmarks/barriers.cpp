// How long a barrier stops a task whose windows, joins or reductions lie in memory: the longest time in each second
// without a record, with a checkpoint every second and without, while all keys change.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/api/windowed_stream.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/clock.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "measure.hpp"
#include "place_on_disk.hpp"
#include "sum_of_job.hpp"
#include "workloads.hpp"

namespace bench {

/// 96 bytes.
struct price_history {
  std::int64_t key = 0, count = 0;
  std::array<std::int64_t, 10> prices{};
};

} // namespace bench
DATAFLOW_RECORD(bench::price_history, key, count, prices);

namespace bench {

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

/// Looks at the clock once in 256 records. Threading: the task's.
class stops {
public:
  void record() {
    if (++records_ % 256 != 0) return;
    const auto t = system_clock().now();
    longest_ = std::max(longest_, t - last_);
    last_ = t;
    if (t - second_ < 1s) return;
    if (second_ != steady_time{0}) of_seconds.push_back(static_cast<double>(longest_.count()) * 1e-6);
    second_ = t;
    longest_ = steady_time{0};
  }
  std::vector<double> of_seconds; ///< ms; the first second is left out

private:
  std::uint64_t records_ = 0;
  steady_time last_ = system_clock().now(), second_{0}, longest_{0};
};

struct history_of_prices {
  stops* watch;
  price_history create_accumulator() const { return {}; }
  void add(const bid& b, price_history& h) const {
    watch->record();
    h.key = b.auction;
    h.prices[static_cast<std::size_t>(++h.count) % h.prices.size()] = b.price;
  }
  std::int64_t get_result(const price_history& h) const { return h.count; }
  void merge(price_history& into, const price_history& from) const { into.count += from.count; }
};

/// Every key once, then any of them.
struct all_then_any {
  std::int64_t keys;
  bid operator()(std::uint64_t x, std::int64_t i) const noexcept {
    return i < keys ? bid{i, 0, 1, i} : make_bid(x, i, keys);
  }
};

enum class what_is_kept { tumbling, sessions, reduction };

struct outcome {
  double rate = 0;
  std::vector<double> stops;
  std::uint64_t checkpoints = 0;
};

outcome run(const options& o, what_is_kept what, std::int64_t keys, std::uint64_t records, bool checkpoints) {
  auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
  auto env = environment_on(cluster);
  const place_on_disk place;
  if (checkpoints) {
    env.enable_checkpointing(1s);
    env.configure("execution.checkpointing.dir", place.directory);
  }
  stops watch;
  const all_then_any make{keys};
  auto bids = env.from(counted_source<bid, all_then_any>{static_cast<std::uint64_t>(keys) + records, make}, "bids")
                  .assign_timestamps_and_watermarks(
                      watermark_strategy<bid>::monotonous_timestamps().with_timestamp(&bid::time));
  const auto by_key = bids.key_by(&bid::auction);
  constexpr auto longer_than_the_run = 24h;
  if (what == what_is_kept::tumbling)
    by_key.window(tumbling_event_time_windows{longer_than_the_run})
        .aggregate(history_of_prices{&watch})
        .sink_to([](std::int64_t) {});
  else if (what == what_is_kept::sessions)
    by_key.window(event_time_session_windows{longer_than_the_run})
        .aggregate(history_of_prices{&watch})
        .sink_to([](std::int64_t) {});
  else
    bids.map([](const bid& b) {
          return price_history{b.auction, 1, {b.price}};
        })
        .key_by(&price_history::key)
        .reduce([w = &watch](price_history a, const price_history& b) {
          w->record();
          a.prices[static_cast<std::size_t>(++a.count) % a.prices.size()] = b.prices[0];
          return a;
        })
        .sink_to([](const price_history&) {});
  const auto began = system_clock().now();
  const auto job = env.execute_async();
  job->wait().raise();
  outcome out;
  out.rate = static_cast<double>(records) / (static_cast<double>((system_clock().now() - began).count()) * 1e-9);
  out.stops = std::move(watch.of_seconds);
  out.checkpoints = job->report().checkpoints.completed;
  return out;
}

} // namespace

std::vector<figure> barriers(const options& o) {
  std::vector<figure> figures;
  const auto keys = static_cast<std::int64_t>(1e6 * o.scale);
  const auto one = [&](const char* of, what_is_kept what, double count) {
    figure f;
    f.name = fmt::format("barrier over {}", of);
    if (f.name.find(o.only) == std::string::npos) return;
    const auto records = static_cast<std::uint64_t>(count * o.scale);
    std::vector<double> ratios, rates, hand, stopped, else_stopped;
    std::uint64_t checkpoints = 0;
    for (int i = 0; i < o.pairs; ++i) {
      const auto without = run(o, what, keys, records, false), with = run(o, what, keys, records, true);
      hand.push_back(without.rate);
      rates.push_back(with.rate);
      ratios.push_back(with.rate / without.rate);
      stopped.insert(stopped.end(), with.stops.begin(), with.stops.end());
      else_stopped.insert(else_stopped.end(), without.stops.begin(), without.stops.end());
      checkpoints += with.checkpoints;
    }
    f.records_per_second = median(rates);
    f.hand_records_per_second = median(hand);
    f.ratio = median(ratios);
    f.ratio_low = quantile(ratios, 0.25);
    f.ratio_high = quantile(ratios, 0.75);
    f.note = fmt::format("{} keys of {} bytes; hand: without checkpoints; the longest stop of a second: p50 {:.1f} ms, "
                         "most {:.1f} ms of {} (without: {:.1f} and {:.1f}); {} checkpoints",
                         keys, sizeof(price_history), median(stopped), quantile(stopped, 1), stopped.size(),
                         median(else_stopped), quantile(else_stopped, 1), checkpoints);
    figures.push_back(f);
    print(f);
  };
  one("tumbling windows in memory", what_is_kept::tumbling, 100e6);
  one("session windows in memory", what_is_kept::sessions, 30e6);
  one("reductions of 96 bytes in memory", what_is_kept::reduction, 60e6);
  return figures;
}

} // namespace bench
