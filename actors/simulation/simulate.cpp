#include <dataflow/actors/simulation/outcomes.hpp>
#include <dataflow/actors/simulation/simulate.hpp>
#include <dataflow/actors/simulation/simulated_world.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <algorithm>

namespace dataflow {

namespace {

simulated_run run_once(const detail::simulated_job& job, const simulate_options& options, std::uint64_t seed,
                       const simulated_run* without_faults) {
  simulation_settings settings;
  settings.settings = options.settings;
  settings.task_managers = options.task_managers;
  settings.time_limit = options.time_limit;
  auto cluster = std::make_shared<simulated_cluster>(seed, std::move(settings));
  dataflow::detail::write_all(cluster->files(), options.files);
  if (without_faults) {
    random_source choices{seed ^ 0xfa017ull};
    for (std::uint32_t i = 0; i < options.faults.kills; ++i) {
      const auto kind = options.faults.kinds[choices.below(options.faults.kinds.size())];
      cluster->kill_after(choices.below(std::max<std::uint64_t>(1, without_faults->steps)), kind);
    }
    for (std::uint32_t i = 0; i < options.faults.disk_errors && without_faults->disk_calls > 0; ++i)
      cluster->disk().fail_any(1 + choices.below(without_faults->disk_calls));
  }
  simulated_run run;
  run.seed = seed;
  try {
    environment_options inputs;
    inputs.runner = cluster;
    inputs.submit_time = timestamp{actors::simulated_clock::start_of_time};
    inputs.random_seed = dataflow::detail::simulated_job_seed;
    environment env{std::move(inputs)};
    run.outcome = job(env, *cluster);
  } catch (...) {
    run.failure = current_error();
  }
  run.kills = cluster->kills();
  run.disk_errors = cluster->disk().failures();
  run.disk_calls = cluster->disk().calls();
  run.steps = cluster->steps();
  run.trace_hash = cluster->trace_hash();
  return run;
}

} // namespace

const simulated_run* simulation_report::first_difference() const noexcept {
  return dataflow::detail::first_different(runs, expected.outcome);
}

std::string simulation_report::describe() const {
  if (expected.failure) return "the run without faults failed: " + expected.failure.to_string();
  const auto* run = first_difference();
  if (!run) return std::to_string(runs.size()) + " runs ended as the one without faults";
  auto text = "seed " + std::to_string(run->seed) + " (" + std::to_string(run->kills) + " actors killed, " +
              std::to_string(run->disk_errors) + " disk errors, " + std::to_string(run->steps) + " steps): ";
  if (run->failure) return text + run->failure.to_string();
  return text + dataflow::detail::another_outcome(expected.outcome, run->outcome) +
         "\nReplay it with simulate(job, {.seeds = 1, .first_seed = " + std::to_string(run->seed) + ", ...}).";
}

namespace detail {

std::string printed_lines(environment& env, simulated_cluster& cluster) {
  env.execute();
  std::vector<std::string> lines;
  std::string_view rest = cluster.printed();
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (auto& line : lines)
    all += line + "\n";
  return all;
}

simulation_report simulate(const simulated_job& job, const simulate_options& options) {
  if (options.faults.kills > 0 && options.faults.kinds.empty())
    throw error{errc::invalid_argument, "simulate: faults without a kind of actor", "name at least one kind"};
  auto with_restarts = options;
  auto& settings = with_restarts.settings;
  if (!settings.is_set("restart-strategy.type")) {
    settings.set("restart-strategy.type", "fixed-delay");
    settings.set("restart-strategy.fixed-delay.attempts", "1000000");
    settings.set("restart-strategy.fixed-delay.delay", "1 s");
  }
  log_capture quiet{log_level::error}; // deaths are what is wanted here
  simulation_report report;
  report.expected = run_once(job, with_restarts, options.first_seed, nullptr);
  if (report.expected.failure) return report;
  for (std::uint64_t i = 0; i < options.seeds; ++i)
    report.runs.push_back(run_once(job, with_restarts, options.first_seed + i, &report.expected));
  return report;
}

} // namespace detail
} // namespace dataflow
