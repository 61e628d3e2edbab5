// How long a checkpoint takes while a sink is a hundred times too slow, aligned and not.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/clock.hpp>

#include <fmt/core.h>

#include <algorithm>

#include "measure.hpp"
#include "place_on_disk.hpp"
#include "sum_of_job.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

namespace {

constexpr std::chrono::microseconds each_record{100}; // the rest of the job does more than a million a second

struct slow_sink {
  const dataflow::clock* clock = nullptr;
  void open(runtime_context& context) { clock = &context.clock(); }
  void operator()(const bid&) const {
    const auto until = clock->now() + each_record;
    while (clock->now() < until) {
    }
  }
};

/// Milliseconds of each of so many checkpoints, one after another.
std::vector<double> checkpoints_of(std::uint32_t p, bool unaligned, int count, const std::string& directory) {
  auto cluster = std::make_shared<actors::embedded_cluster>();
  auto env = environment_on(cluster);
  env.set_parallelism(p);
  env.configure("execution.checkpointing.dir", directory);
  env.enable_unaligned_checkpoints(unaligned);
  auto make = [](std::uint64_t x, std::int64_t i) { return make_bid(x, i, 10'000); };
  env.from(counted_source<bid, decltype(make)>{std::uint64_t{1} << 60, make}, "bids")
      .rebalance()
      .map([](const bid& b) { return b; })
      .key_by(&bid::auction)
      .sum(&bid::price)
      .key_by(&bid::auction)
      .sink_to(slow_sink{});
  auto job = env.execute_async("congested");
  auto& clock = *system_platform().clock;
  job->wait_for(std::chrono::seconds{2}); // until everything is full
  std::vector<double> took;
  for (int i = 0; i < count; ++i) {
    const auto start = clock.now();
    job->trigger_checkpoint();
    took.push_back(std::chrono::duration<double, std::milli>(clock.now() - start).count());
  }
  job->cancel();
  job->wait();
  return took;
}

} // namespace

std::vector<figure> back_pressure(const options& o) {
  std::vector<figure> figures;
  const std::string name = "checkpoint under back-pressure, a sink 100 times too slow";
  if (name.find(o.only) == std::string::npos) return figures;
  const place_on_disk where;
  for (const bool unaligned : {true, false}) {
    const auto took = checkpoints_of(2, unaligned, unaligned ? 20 : 2, where.directory);
    figure f;
    f.name = name + (unaligned ? ", unaligned" : ", aligned");
    f.parallelism = 2;
    f.note = unaligned ? fmt::format("p50 {:.0f} ms, p99 {:.0f} ms", median(took), quantile(took, 0.99))
                       : fmt::format("{:.0f} s", *std::max_element(took.begin(), took.end()) / 1000);
    figures.push_back(f);
    print(f);
  }
  return figures;
}

} // namespace bench
