// Snapshots of keyed state in memory, and W7: the keyed sum of W2 with its state in RocksDB and incremental checkpoints
// every ten seconds. The loop beside it is that of W2, in memory and without checkpoints.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/state/keyed_context.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "measure.hpp"
#include "place_on_disk.hpp"
#include "sum_of_job.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

namespace {

std::uint64_t w7(const std::shared_ptr<executor>& cluster, std::uint32_t p, std::uint64_t records, std::int64_t keys,
                 const std::string& directory) {
  auto value = [](const bid& b) { return static_cast<std::uint64_t>(b.price); };
  return sum_of_job(cluster, p, value, [&](environment& env) {
    env.set_state_backend(state_backend::rocksdb);
    env.enable_checkpointing(std::chrono::seconds{10});
    env.configure("execution.checkpointing.dir", directory);
    env.configure("execution.checkpointing.incremental", "true");
    auto make = [keys](std::uint64_t x, std::int64_t i) { return make_bid(x, i, keys); };
    return env.from(counted_source<bid, decltype(make)>{records / p, make}, "bids")
        .key_by(&bid::auction)
        .sum(&bid::price);
  });
}

/// How long the task stands still when keyed state of a GiB in memory is frozen: rows of 48 bytes, one in a hundred of
/// them changed in between. And what a snapshot holds at most, and how fast the task is, while another thread writes it
/// and keys change as fast as they can.
std::vector<figure> frozen_in_memory(const options& o) {
  const auto rows = static_cast<std::uint64_t>(20e6 * o.scale);
  const std::string name = "snapshot of keyed state in memory, the part in the task";
  auto& clock = *system_platform().clock;
  state_registry states{{0, 127}, 128};
  keyed_context<std::int64_t> keys;
  keys.open(states, clock);
  states.set_keyed(keys);
  value_state<bid> kept{state("kept")};
  kept.open(states);
  generator g{0};
  const auto put = [&](std::int64_t key, std::uint64_t x) {
    keys.set_key(std::int64_t{key}, key_hash(key));
    kept = make_bid(x, key, 1'000'000);
  };
  for (std::uint64_t i = 0; i < rows; ++i)
    put(static_cast<std::int64_t>(i), g());
  keys.clear_key();
  std::vector<double> frozen, changing;
  for (int round = 0; round < 30; ++round) {
    const auto start = clock.now();
    auto snapshot = states.freeze();
    frozen.push_back(std::chrono::duration<double, std::milli>(clock.now() - start).count());
    const auto before = clock.now();
    for (std::uint64_t i = 0; i < rows / 100; ++i)
      put(static_cast<std::int64_t>(g() % rows), g());
    keys.clear_key();
    changing.push_back(std::chrono::duration<double, std::nano>(clock.now() - before).count() /
                       static_cast<double>(rows / 100));
  }
  figure f;
  f.name = name;
  f.records_per_second = 1e9 / median(changing);
  f.note = fmt::format("{} MiB: p50 {:.1f} ms, p99 {:.1f} ms", keys.memory_bytes() >> 20, median(frozen),
                       quantile(frozen, 0.99));

  std::atomic<unsigned> woken{0};
  keys.set_wake_up([&] {
    woken.fetch_add(1);
    woken.notify_all();
  });
  auto snapshot = states.freeze();
  std::atomic<bool> written{false};
  std::uint64_t written_bytes = 0;
  const auto start = clock.now();
  std::thread writer{[&] {
    for (auto& [state, stored] : snapshot.states)
      stored.give_up_parts([&](const state_part& p) { written_bytes += p.bytes.size(); });
    written.store(true);
  }};
  std::uint64_t changed = 0, waits = 0;
  std::size_t most = 0;
  while (!written.load()) {
    for (unsigned i = 0; i < 1024; ++i)
      put(static_cast<std::int64_t>(g() % rows), g());
    changed += 1024;
    most = std::max(most, keys.held_bytes());
    const auto before = woken.load();
    if (!keys.must_wait()) continue;
    ++waits;
    woken.wait(before);
  }
  writer.join();
  const auto seconds = std::chrono::duration<double>(clock.now() - start).count();
  figure all;
  all.name = "snapshot of keyed state in memory, all keys changing";
  all.records_per_second = static_cast<double>(changed) / seconds;
  all.note = fmt::format("{} MiB written in {:.1f} s, {} MiB held at most, waited {} times", written_bytes >> 20,
                         seconds, most >> 20, waits);
  return {f, all};
}

} // namespace

std::vector<figure> state_on_disk(const options& o) {
  std::vector<figure> figures;
  if (std::string{"snapshot of keyed state in memory"}.find(o.only) != std::string::npos) {
    figures = frozen_in_memory(o);
    for (auto& f : figures)
      print(f);
  }
  struct size {
    const char* name;
    std::int64_t keys;
    double records;
    const char* memory; // a row takes 48 bytes, and half of the memory is for rows
  };
  for (auto& s : {size{"W7 keyed sum on disk, 1,000,000 keys", 1'000'000, 200e6, "512 mb"},
                  size{"W7 keyed sum on disk, 10,000,000 keys", 10'000'000, 10e6, "128 mb"}})
    for (std::uint32_t p : {1u, 2u}) {
      if (std::string{s.name}.find(o.only) == std::string::npos) continue;
      configuration settings;
      settings.set("taskmanager.memory.managed.size", s.memory);
      auto cluster = std::make_shared<actors::embedded_cluster>(settings);
      const place_on_disk place;
      const auto n = static_cast<std::uint64_t>(s.records * o.scale) / 2 * 2;
      figures.push_back(measure_pairs(
          o, s.name, p, n, p == 1, [&] { return hand_w2(n, s.keys); },
          [&] { return w7(cluster, p, n, s.keys, place.directory); }));
      figures.back().note = fmt::format("memory for state {}", s.memory);
      print(figures.back());
    }
  return figures;
}

} // namespace bench
