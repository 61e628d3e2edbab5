/// Jobs that are stopped and started again in the simulation: a cluster, environments on it, and a job whose output
/// says whether every record was counted once.
#pragma once

#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/error_of.hpp"

namespace dataflow::test {

using namespace std::chrono_literals;

using totals_by_key = std::map<std::int64_t, std::int64_t>;

/// A cluster, and environments for jobs on it.
struct lab {
  std::shared_ptr<simulated_cluster> cluster;
  std::size_t seen = 0; // of what was printed

  explicit lab(std::uint64_t seed = 1, const char* interval = nullptr) {
    simulation_settings s;
    s.settings.set("taskmanager.batch.records", "16");
    s.settings.set("execution.buffer-timeout", "1 ms");
    if (interval) {
      s.settings.set("execution.checkpointing.interval", interval);
      s.settings.set("execution.checkpointing.dir", "/checkpoints");
    }
    cluster = std::make_shared<simulated_cluster>(seed, s);
  }
  environment env(std::int64_t parallelism = 2) const {
    environment_options o;
    o.runner = cluster;
    environment e{o};
    e.set_parallelism(parallelism);
    return e;
  }
  /// The lines that were printed since the last call.
  std::vector<std::string> lines() {
    std::vector<std::string> all;
    const auto& text = cluster->printed();
    while (seen < text.size()) {
      const auto end = text.find('\n', seen);
      auto line = text.substr(seen, end - seen);
      if (const auto prefix = line.find("> "); prefix != std::string::npos) line.erase(0, prefix + 2);
      all.push_back(std::move(line));
      seen = end + 1;
    }
    return all;
  }
  bool exists(const std::string& path) const { return cluster->files().exists(path); }
};

/// How a job is laid out; its results do not depend on it.
struct shape {
  std::int64_t parallelism = 2;
  bool chaining = true;
  bool more_operators = false; ///< and in another order
};

constexpr std::int64_t all_numbers = 600, keys = 13;
using numbered = std::pair<std::int64_t, std::int64_t>;

/// 0 ... 599 in about 200 ms -> by key -> running sums, "key total" a line.
inline void totals(environment& env, const shape& s = {}, double rate = 3000) {
  if (!s.chaining) env.disable_operator_chaining();
  auto numbers = env.generate(
                        [](std::int64_t i) {
                          return numbered{i % keys, i};
                        },
                        {.count = all_numbers, .records_per_second = rate})
                     .uid("numbers");
  auto same = [](const numbered& n) { return n; };
  auto mapped = s.more_operators ? numbers.filter([](const numbered& n) { return n.second >= 0; }).map(same).uid("same")
                                 : numbers.map(same).uid("same");
  mapped.key_by(&numbered::first)
      .sum(&numbered::second)
      .uid("totals")
      .map([](const numbered& n) { return std::to_string(n.first) + " " + std::to_string(n.second); })
      .uid("text")
      .print()
      .uid("out");
}

inline totals_by_key expected_totals() {
  totals_by_key t;
  for (std::int64_t i = 0; i < all_numbers; ++i)
    t[i % keys] += i;
  return t;
}

/// Every number was added once: as many lines as numbers, and the last total of each key is right.
inline void check_totals(const std::vector<std::string>& lines) {
  CHECK(lines.size() == all_numbers);
  totals_by_key got;
  for (auto& line : lines) {
    const auto blank = line.find(' ');
    auto& last = got[std::stoll(line.substr(0, blank))];
    last = std::max(last, static_cast<std::int64_t>(std::stoll(line.substr(blank + 1))));
  }
  CHECK(got == expected_totals());
}

inline error submit_error(environment& env) {
  return error_of([&] { env.execute("changed"); });
}

/// Runs the job for a while and stops it.
inline std::string stopped(lab& l, const std::function<void(environment&)>& build,
                           std::chrono::milliseconds after = 90ms, bool drain = false, std::int64_t parallelism = 2) {
  auto env = l.env(parallelism);
  build(env);
  auto job = env.execute_async("job");
  l.cluster->run_for(after);
  const auto path = job->stop_with_savepoint("/savepoints", drain);
  const auto result = job->wait();
  CHECK(result.status == job_status::finished);
  CHECK(result.restarts == 0);
  return path;
}

/// The same with a checkpoint, and a cancel that leaves it there.
inline std::string cancelled(lab& l, const std::function<void(environment&)>& build) {
  auto env = l.env();
  env.configure("execution.checkpointing.dir", "/checkpoints");
  env.configure("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
  build(env);
  auto job = env.execute_async("job");
  l.cluster->run_for(90ms);
  const auto path = job->trigger_checkpoint();
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
  return path;
}

} // namespace dataflow::test
