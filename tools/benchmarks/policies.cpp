// CAF's scheduler policies and their sleep settings beside each other: throughput of W2 and latency without a buffer
// timeout. What the engine uses is set in configure() (actors/client/embedded_cluster.cpp).
#include <dataflow/actors/client/embedded_cluster.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <fmt/core.h>

#include <sys/prctl.h>

#include "measure.hpp"
#include "workloads.hpp"

namespace bench {

using namespace dataflow;

namespace {

struct policy {
  const char* name;
  caf::atom_value scheduler;
  std::size_t aggressive_polls, moderate_polls;
  std::chrono::microseconds moderate_sleep, relaxed_sleep;
};

struct config : caf::actor_system_config {
  explicit config(const policy& p) {
    actors::configure(*this);
    set("scheduler.policy", p.scheduler);
    set("work-stealing.aggressive-poll-attempts", p.aggressive_polls);
    set("work-stealing.moderate-poll-attempts", p.moderate_polls);
    set("work-stealing.moderate-sleep-duration", caf::timespan{p.moderate_sleep});
    set("work-stealing.relaxed-sleep-duration", caf::timespan{p.relaxed_sleep});
  }
};

} // namespace

std::vector<figure> policies(const options& o) {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  std::vector<figure> figures;
  if (std::string{"policies"}.find(o.only) == std::string::npos) return figures;
  prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0); // as the embedded cluster's own threads have it
  const auto sharing = caf::atom("sharing"), stealing = caf::atom("stealing");
  const policy all[] = {
      {"sharing", sharing, 100, 500, microseconds{50}, milliseconds{10}},
      {"stealing, sleeps 50 us then 10 ms", stealing, 100, 500, microseconds{50}, milliseconds{10}},
      {"stealing, sleeps 50 us then 1 ms", stealing, 100, 500, microseconds{50}, milliseconds{1}},
      {"stealing, sleeps 50 us", stealing, 100, 500, microseconds{50}, microseconds{50}},
      {"stealing, sleeps 10 us", stealing, 10, 50, microseconds{10}, microseconds{10}},
  };
  const auto records = static_cast<std::uint64_t>(40e6 * o.scale) / 2 * 2;
  const auto pings = static_cast<std::int64_t>(50'000 * o.scale);
  for (const auto& p : all) {
    config settings{p};
    caf::actor_system system{settings};
    auto cluster = std::make_shared<actors::embedded_cluster>(system);
    for (std::uint32_t parallelism : {1u, 2u}) {
      figures.push_back(measure_pairs(
          o, fmt::format("policies: {}, W2", p.name), parallelism, records, parallelism == 1,
          [&] { return hand_w2(records, 10'000); }, [&] { return engine_w2(cluster, parallelism, records, 10'000); }));
      print(figures.back());
    }
    figures.push_back(engine_latency(fmt::format("policies: {}, latency", p.name), milliseconds{0}, pings, cluster));
    print(figures.back());
    const auto cpu = process_cpu_time();
    const auto from = system_clock().now();
    const timespec second{1, 0};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &second, nullptr);
    const auto used = process_cpu_time() - cpu, passed = system_clock().now() - from;
    figure idle;
    idle.name = fmt::format("policies: {}, idle", p.name);
    idle.note = fmt::format("{:.2f} % of a CPU",
                            100.0 * static_cast<double>(used.count()) / static_cast<double>(passed.count()));
    print(idle);
    figures.push_back(std::move(idle));
  }
  return figures;
}

} // namespace bench
