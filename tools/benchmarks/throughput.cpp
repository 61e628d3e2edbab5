#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/dataflow.hpp>

#include "measure.hpp"
#include "sum_of_job.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

namespace {

std::uint64_t w1(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records) {
  auto value = [](const bid& b) { return static_cast<std::uint64_t>(b.auction * 31 + b.price); };
  return sum_of_job(cluster, p, value, [&](environment& env) {
    auto make = [](std::uint64_t x, std::int64_t i) { return make_bid(x, i, 10'000); };
    return env.from(counted_source<bid, decltype(make)>{records / p, make}, "bids")
        .map([](const bid& b) { return convert(b); })
        .filter([](const bid& b) { return keep(b); });
  });
}

std::uint64_t e1(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records) {
  auto value = [](const bid& b) { return static_cast<std::uint64_t>(b.price); };
  return sum_of_job(cluster, p, value, [&](environment& env) {
    auto make = [](std::uint64_t x, std::int64_t i) { return make_bid(x, i, 10'000); };
    return env.from(counted_source<bid, decltype(make)>{records / p, make}, "bids")
        .assign_timestamps_and_watermarks(
            watermark_strategy<bid>::bounded_out_of_orderness(std::chrono::seconds{5}).with_timestamp(&bid::time));
  });
}

} // namespace

std::uint64_t engine_w2(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records,
                        std::int64_t keys) {
  auto value = [](const bid& b) { return static_cast<std::uint64_t>(b.price); };
  return sum_of_job(cluster, p, value, [&](environment& env) {
    auto make = [keys](std::uint64_t x, std::int64_t i) { return make_bid(x, i, keys); };
    return env.from(counted_source<bid, decltype(make)>{records / p, make}, "bids")
        .key_by(&bid::auction)
        .sum(&bid::price);
  });
}

namespace {

std::uint64_t w3(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records,
                 const std::shared_ptr<const std::vector<std::string>>& words) {
  auto value = [](const word_count& w) { return static_cast<std::uint64_t>(w.count); };
  return sum_of_job(cluster, p, value, [&](environment& env) {
    auto make = [words](std::uint64_t x, std::int64_t) {
      return word_count{(*words)[((x & 0xffffffff) * words->size()) >> 32], 1};
    };
    return env.from(counted_source<word_count, decltype(make)>{records / p, make}, "words")
        .key_by(&word_count::word)
        .sum(&word_count::count);
  });
}

} // namespace

std::vector<figure> throughput(const options& o) {
  auto cluster = std::make_shared<actors::embedded_cluster>(o.settings);
  auto words = std::make_shared<const std::vector<std::string>>(make_words());
  std::vector<figure> figures;
  auto records = [&](double n) { return static_cast<std::uint64_t>(n * o.scale) / 2 * 2; };
  auto one = [&](const std::string& name, std::uint32_t p, std::uint64_t n, auto hand, auto engine) {
    if (name.find(o.only) == std::string::npos) return;
    // At parallelism 1 the engine sees the loop's records and must come to the loop's checksum.
    figures.push_back(measure_pairs(o, name, p, n, p == 1, hand, engine));
    print(figures.back());
  };
  for (std::uint32_t p : {1u, 2u}) {
    const auto n1 = records(80e6), n2 = records(40e6), n3 = records(100e6), n4 = records(16e6);
    one(
        "W1 map and filter", p, n1, [&] { return hand_w1(n1); }, [&] { return w1(cluster, p, n1); });
    const auto n5 = records(50e6);
    one(
        "E1 timestamps and watermarks", p, n5, [&] { return hand_e1(n5); }, [&] { return e1(cluster, p, n5); });
    one(
        "W2 keyed sum, 10,000 keys", p, n2, [&] { return hand_w2(n2, 10'000); },
        [&] { return engine_w2(cluster, p, n2, 10'000); });
    one(
        "W2 keyed sum, 1,000,000 keys", p, n3, [&] { return hand_w2(n3, 1'000'000); },
        [&] { return engine_w2(cluster, p, n3, 1'000'000); });
    one(
        "W3 word count", p, n4, [&] { return hand_w3(n4, *words); }, [&] { return w3(cluster, p, n4, words); });
  }
  return figures;
}

} // namespace bench
