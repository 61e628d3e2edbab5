#include "windows.hpp"

#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/api/windowed_stream.hpp>
#include <dataflow/dataflow.hpp>

#include <fmt/core.h>

#include "measure.hpp"
#include "sum_of_job.hpp"

namespace bench {

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

/// Timestamps from a field, and a watermark after each batch: the largest timestamp - bound - 1 ms.
template <class T>
class stamp_operator final : public stream_operator {
public:
  explicit stamp_operator(std::int64_t bound) : bound_(bound) {}
  void process(unsigned, batch_slice& slice) override {
    auto& b = slice.data.as<T>();
    const auto n = b.size();
    b.timestamps.resize_for_overwrite(n);
    auto* times = b.timestamps.data();
    const auto* records = b.records.data();
    auto most = most_;
    for (std::size_t i = 0; i < n; ++i) {
      times[i] = timestamp{std::chrono::milliseconds{records[i].time}};
      most = std::max(most, records[i].time);
    }
    most_ = most;
    emit(std::move(slice.data));
    context().output().emit_control(element::watermark(timestamp{std::chrono::milliseconds{most_ - bound_ - 1}}));
  }

private:
  std::int64_t bound_, most_ = 0;
};

template <class T, class Make>
data_stream<T> events(environment& env, std::uint64_t records_per_reader, Make make, std::int64_t bound) {
  return env.from(counted_source<T, Make>{records_per_reader, make}, "events")
      .template transform<T>("Timestamps/Watermarks", [bound] { return std::make_unique<stamp_operator<T>>(bound); });
}

struct record_count {
  std::int64_t create_accumulator() const { return 0; }
  void add(const auto&, std::int64_t& n) const { ++n; }
  std::int64_t get_result(const std::int64_t& n) const { return n; }
  void merge(std::int64_t& into, std::int64_t from) const { into += from; }
};
struct price_sum {
  std::int64_t create_accumulator() const { return 0; }
  void add(const bid& b, std::int64_t& sum) const { sum += b.price; }
  std::int64_t get_result(const std::int64_t& sum) const { return sum; }
  void merge(std::int64_t& into, std::int64_t from) const { into += from; }
};
const auto with_key = [](const std::int64_t& key, window_context<time_window>&, const std::int64_t& total,
                         collector<window_total>& out) {
  out.collect({key, total});
};

const auto with_key_only = [](const std::int64_t& key, window_context<global_window>&, const std::int64_t& total,
                              collector<window_total>& out) {
  out.collect({key, total});
};

const auto total_value = [](const window_total& t) { return checksum_of(t); };

std::uint64_t w4(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records, bool ordered) {
  return sum_of_job(cluster, p, total_value, [&](environment& env) {
    auto make = [p, ordered](std::uint64_t x, std::int64_t i) {
      return make_bid(x, w4_time(x, i * p, ordered), 10'000);
    };
    return events<bid>(env, records / p, make, ordered ? 0 : 1023)
        .key_by(&bid::auction)
        .window(tumbling_event_time_windows{10s})
        .aggregate(record_count{}, with_key);
  });
}
std::uint64_t w5(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records,
                 sliding_shape shape) {
  return sum_of_job(cluster, p, total_value, [&](environment& env) {
    auto make = [p](std::uint64_t x, std::int64_t i) { return make_bid(x, w5_time(i * p), 10'000); };
    return events<bid>(env, records / p, make, 0)
        .key_by(&bid::auction)
        .window(sliding_event_time_windows{std::chrono::milliseconds{shape.size_ms},
                                           std::chrono::milliseconds{shape.slide_ms}})
        .aggregate(price_sum{}, with_key);
  });
}
std::uint64_t w6(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records,
                 const std::shared_ptr<const std::vector<std::int64_t>>& campaign_of) {
  return sum_of_job(cluster, p, total_value, [&](environment& env) {
    auto make = [p](std::uint64_t x, std::int64_t i) { return make_ad_event(x, w4_time(0, i * p, true)); };
    return events<ad_event>(env, records / p, make, 0)
        .filter([](const ad_event& e) { return e.event_type == view; })
        .map([campaign_of](const ad_event& e) {
          return window_total{(*campaign_of)[static_cast<std::size_t>(e.ad)], e.time};
        })
        .key_by(&window_total::key)
        .window(tumbling_event_time_windows{10s})
        .aggregate(record_count{}, with_key);
  });
}

std::uint64_t sessions(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records) {
  return sum_of_job(cluster, p, total_value, [&](environment& env) {
    auto make = [p](std::uint64_t x, std::int64_t i) { return make_bid(x, session_time(i * p), 10'000); };
    return events<bid>(env, records / p, make, 0)
        .key_by(&bid::auction)
        .window(event_time_session_windows{std::chrono::milliseconds{session_gap_ms}})
        .aggregate(record_count{}, with_key);
  });
}
std::uint64_t count_windows(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records) {
  return sum_of_job(cluster, p, total_value, [&](environment& env) {
    auto make = [](std::uint64_t x, std::int64_t i) { return make_bid(x, i, 10'000); };
    return env.from(counted_source<bid, decltype(make)>{records / p, make}, "events")
        .key_by(&bid::auction)
        .count_window(counted_together)
        .aggregate(price_sum{}, with_key_only);
  });
}

} // namespace

std::vector<figure> windows(const options& o) {
  auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
  auto campaign_of = std::make_shared<const std::vector<std::int64_t>>(make_campaigns());
  std::vector<figure> figures;
  auto records = [&](double n) { return static_cast<std::uint64_t>(n * o.scale) / 2 * 2; };
  auto one = [&](const std::string& name, std::uint32_t p, std::uint64_t n, auto hand, auto engine) {
    if (name.find(o.only) == std::string::npos) return;
    figures.push_back(measure_pairs(o, name, p, n, p == 1, hand, engine));
    print(figures.back());
  };
  for (std::uint32_t p : {1u, 2u}) {
    const auto n4 = records(50e6), n5 = records(60e6), n6 = records(60e6);
    for (const bool ordered : {true, false})
      one(
          fmt::format("W4 tumbling count{}", ordered ? "" : ", out of order"), p, n4,
          [&] { return hand_w4(n4, ordered); }, [&] { return w4(cluster, p, n4, ordered); });
    for (const sliding_shape shape : {sliding_shape{60'000, 500}, sliding_shape{600'000, 500}})
      one(
          fmt::format("W5 sliding sum, {} s / 0.5 s", shape.size_ms / 1000), p, n5, [&] { return hand_w5(n5, shape); },
          [&] { return w5(cluster, p, n5, shape); });
    one(
        "W6 Yahoo benchmark", p, n6, [&] { return hand_w6(n6, *campaign_of); },
        [&] { return w6(cluster, p, n6, campaign_of); });
    const auto n7 = records(10e6), n8 = records(20e6);
    one(
        "session windows, gap 59 ms", p, n7, [&] { return hand_sessions(n7); },
        [&] { return sessions(cluster, p, n7); });
    one(
        "count windows of 100", p, n8, [&] { return hand_count_windows(n8); },
        [&] { return count_windows(cluster, p, n8); });
  }
  return figures;
}

} // namespace bench
