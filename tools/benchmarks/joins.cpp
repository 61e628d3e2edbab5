// Interval joins beside a hand-written loop.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/dataflow.hpp>

#include <bit>
#include <functional>

#include "measure.hpp"
#include "sum_of_job.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

namespace {

constexpr std::int64_t keys = 10'000, records_per_ms = 100, reach = 100; // so a record has about two partners

std::int64_t time_of(const bid& b) noexcept { return b.time / records_per_ms; }
bid left_bid(std::uint64_t x, std::int64_t i) noexcept { return make_bid(x, i, keys); }
bid right_bid(std::uint64_t x, std::int64_t i) noexcept { return make_bid(std::rotl(x, 23), i, keys); }
std::uint64_t value_of(const bid& l, const bid& r) noexcept {
  return static_cast<std::uint64_t>(l.price * 31 + r.price);
}

/// Timestamps from the records; a watermark behind every batch.
class stamp final : public stream_operator {
public:
  void process(unsigned, batch_slice& slice) override {
    auto part = std::move(slice.data);
    if (slice.cursor != 0 || slice.limit != part->size() || !part.unique()) {
      auto copy = context().pool(record_type_of<bid>())->get();
      part->type().append(*copy, *part, slice.cursor, slice.limit, false);
      slice.cursor = slice.limit;
      if (slice.cursor < part->size()) slice.data = std::move(part);
      part = std::move(copy);
    }
    const auto& in = part.as<bid>();
    part->timestamps.resize_for_overwrite(in.size());
    for (std::size_t i = 0; i < in.size(); ++i)
      part->timestamps[i] = timestamp{std::chrono::milliseconds{time_of(in.records[i])}};
    const auto last = part->timestamps.back();
    emit(std::move(part));
    context().output().emit_control(element::watermark(last - std::chrono::milliseconds{1}));
  }
};

template <class Make>
data_stream<bid> timed(environment& env, std::uint64_t records, Make make, const char* name) {
  return env.from(counted_source<bid, Make>{records, make}, name).template transform<bid>("Stamp", [] {
    return std::make_unique<stamp>();
  });
}

std::uint64_t engine(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records) {
  return sum_of_job(cluster, p, std::identity{}, [&](environment& env) {
    return timed(env, records / p / 2, left_bid, "left")
        .key_by(&bid::auction)
        .interval_join(timed(env, records / p / 2, right_bid, "right").key_by(&bid::auction))
        .between(std::chrono::milliseconds{-reach}, std::chrono::milliseconds{reach})
        .process([](const bid& l, const bid& r, collector<std::uint64_t>& out) { out.collect(value_of(l, r)); });
  });
}

/// Per key two queues in an open-addressing table; both streams come in step.
std::uint64_t hand(std::uint64_t records) {
  struct queue {
    std::vector<bid> items;
    std::size_t head = 0;
    void push(const bid& b) {
      if (head > 16 && head * 2 > items.size()) {
        items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(head));
        head = 0;
      }
      items.push_back(b);
    }
    void drop_before(std::int64_t t) {
      while (head < items.size() && time_of(items[head]) < t)
        ++head;
    }
  };
  struct slot {
    std::int64_t key = -1;
    queue sides[2];
  };
  std::vector<slot> table(32768);
  auto find = [&](std::int64_t key) -> slot& {
    auto i = (static_cast<std::uint64_t>(key) * 0x9E3779B97F4A7C15ull) >> 49;
    while (table[i].key != key) {
      if (table[i].key < 0)
        table[i].key = key;
      else
        i = (i + 1) & (table.size() - 1);
    }
    return table[i];
  };
  generator left{0}, right{0};
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < records / 2; ++i) {
    const auto l = left_bid(left(), static_cast<std::int64_t>(i));
    const auto r = right_bid(right(), static_cast<std::int64_t>(i));
    auto& a = find(l.auction);
    a.sides[1].drop_before(time_of(l) - reach);
    for (auto k = a.sides[1].head; k < a.sides[1].items.size(); ++k)
      sum += value_of(l, a.sides[1].items[k]);
    a.sides[0].push(l);
    auto& b = find(r.auction);
    b.sides[0].drop_before(time_of(r) - reach);
    for (auto k = b.sides[0].head; k < b.sides[0].items.size(); ++k)
      sum += value_of(b.sides[0].items[k], r);
    b.sides[1].push(r);
  }
  return sum;
}

} // namespace

std::vector<figure> joins(const options& o) {
  auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
  std::vector<figure> figures;
  const auto records = static_cast<std::uint64_t>(8e6 * o.scale) / 4 * 4;
  for (std::uint32_t p : {1u, 2u}) {
    const std::string name = "interval join, 10,000 keys";
    if (name.find(o.only) == std::string::npos) continue;
    figures.push_back(measure_pairs(
        o, name, p, records, p == 1, [&] { return hand(records); }, [&] { return engine(cluster, p, records); }));
    print(figures.back());
  }
  return figures;
}

} // namespace bench
