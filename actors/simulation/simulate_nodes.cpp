#include <dataflow/actors/simulation/outcomes.hpp>
#include <dataflow/actors/simulation/simulate_nodes.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <algorithm>
#include <iterator>
#include <memory>

namespace dataflow {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view fault_names[] = {"kill", "kill at the disk", "stop", "partition", "one-way", "delay",
                                            "reset"};
constexpr std::uint64_t most_disk_calls = 400; // until a node dies at one

/// Faults of one run: drawn before it begins, so that they do not depend on what happens in it.
class fault_schedule {
public:
  fault_schedule(const simulate_nodes_options& options, std::uint64_t seed, milliseconds takes,
                 std::vector<std::string>& log)
      : options_(options), choices_(seed ^ 0xfa017ull), takes_(takes), log_(log) {}

  void strike(simulated_nodes& cluster) {
    const auto names = cluster.names();
    for (std::uint32_t i = 0; i < options_.faults && !options_.kinds.empty(); ++i) {
      const auto kind = options_.kinds[choices_.below(options_.kinds.size())];
      const milliseconds at{choices_.below(static_cast<std::uint64_t>(std::max<std::int64_t>(1, takes_.count())))};
      one(cluster, kind, at, names);
    }
    std::stable_sort(planned_.begin(), planned_.end(), [](auto& a, auto& b) { return a.first < b.first; });
    for (auto& [at, what] : planned_)
      log_.push_back(std::to_string(at.count()) + " ms: " + what);
  }

private:
  /// Short ones are as likely as long ones.
  milliseconds some_time() {
    const auto most = static_cast<std::uint64_t>(std::max<std::int64_t>(20, options_.longest.count()));
    std::uint64_t bound = 20;
    while (bound < most && choices_.below(3) != 0)
      bound *= 2;
    return milliseconds{1 + choices_.below(std::min(bound, most))};
  }
  const std::string& any(const std::vector<std::string>& names, bool client) {
    return names[choices_.below(names.size() - (client ? 0 : 1))]; // it is the last
  }
  void one(simulated_nodes& c, node_fault kind, milliseconds at, const std::vector<std::string>& names) {
    const auto lasts = some_time();
    const auto note = [&](const std::string& what) { planned_.emplace_back(at, what); };
    const auto for_so_long = [&] { return " for " + std::to_string(lasts.count()) + " ms"; };
    switch (kind) {
    case node_fault::kill: {
      const auto& node = any(names, false);
      note("kill " + node + for_so_long());
      c.after(at, [&c, node] { c.kill(node); });
      c.after(at + lasts, [&c, node] { c.restart(node); });
      break;
    }
    case node_fault::kill_at_disk: {
      const auto& node = any(names, false);
      const auto call = 1 + choices_.below(most_disk_calls);
      note("kill " + node + " at its " + std::to_string(call) + "th call of the disk");
      c.after(at, [&c, node, call] { c.kill_at_disk_call(node, call); });
      // It may not be dead by then: it is killed, so that it starts again.
      c.after(at + lasts, [&c, node] {
        c.kill(node);
        c.restart(node);
      });
      break;
    }
    case node_fault::stop: {
      const auto& node = any(names, true);
      note("stop " + node + for_so_long());
      c.after(at, [&c, node] { c.stop(node); });
      c.after(at + lasts, [&c, node] { c.resume(node); });
      break;
    }
    case node_fault::partition:
    case node_fault::one_way: {
      const auto& from = any(names, true);
      const auto& to = any(names, true);
      const bool both = kind == node_fault::partition;
      note("cut " + from + (both ? " <-> " : " -> ") + to + for_so_long());
      c.after(at, [&c, from, to, both] {
        c.cut(from, to);
        if (both) c.cut(to, from);
      });
      c.after(at + lasts, [&c, from, to, both] {
        c.heal(from, to);
        if (both) c.heal(to, from);
      });
      break;
    }
    case node_fault::delay: {
      const auto& from = any(names, true);
      const auto& to = any(names, true);
      const std::chrono::microseconds longer{1000 + choices_.below(300'000)};
      note("delay " + from + " -> " + to + " by up to " + std::to_string(longer.count() / 1000) + " ms" +
           for_so_long());
      c.after(at, [&c, from, to, longer] { c.delay(from, to, longer); });
      c.after(at + lasts, [&c, from, to] { c.delay(from, to, std::chrono::microseconds{0}); });
      break;
    }
    case node_fault::reset:
      note("reset a connection");
      c.after(at, [&c] { c.reset_connection(); });
      break;
    }
  }

  const simulate_nodes_options& options_;
  random_source choices_;
  const milliseconds takes_;
  std::vector<std::string>& log_;
  std::vector<std::pair<milliseconds, std::string>> planned_;
};

} // namespace

std::string_view to_string(node_fault fault) noexcept { return fault_names[static_cast<std::size_t>(fault)]; }

std::vector<node_fault> all_node_faults() {
  std::vector<node_fault> all;
  for (std::size_t i = 0; i < std::size(fault_names); ++i)
    all.push_back(static_cast<node_fault>(i));
  return all;
}

simulated_nodes_run simulate_nodes_once(const simulate_nodes_options& options, std::uint64_t seed, milliseconds takes) {
  simulated_nodes_run run;
  run.seed = seed;
  simulated_nodes cluster{seed, options.jobs, options.nodes};
  dataflow::detail::write_all(cluster.files(), options.files);
  try {
    const auto job = cluster.submit(options.job, options.arguments);
    const auto began = cluster.now();
    if (takes.count() > 0) fault_schedule{options, seed, takes, run.faults}.strike(cluster);
    const auto result = job->wait();
    run.restarts = result.restarts;
    run.took = std::chrono::duration_cast<milliseconds>(cluster.now() - began);
    if (result.status == job_status::finished)
      run.outcome = options.outcome(cluster, result);
    else
      run.failure = result.failure ? result.failure : error{errc::internal, "the job ended without having finished"};
  } catch (...) {
    run.failure = current_error();
  }
  run.steps = cluster.steps();
  run.trace_hash = cluster.trace_hash();
  return run;
}

simulated_nodes_report simulate_nodes(const simulate_nodes_options& options) {
  log_capture quiet{log_level::error}; // what is struck complains
  simulated_nodes_report report;
  report.expected = simulate_nodes_once(options, options.first_seed, milliseconds{0});
  if (report.expected.failure) return report;
  for (std::uint64_t i = 0; i < options.seeds; ++i)
    report.runs.push_back(
        simulate_nodes_once(options, options.first_seed + i, std::max(milliseconds{1}, report.expected.took)));
  return report;
}

const simulated_nodes_run* simulated_nodes_report::first_difference() const noexcept {
  return dataflow::detail::first_different(runs, expected.outcome);
}

std::string simulated_nodes_report::describe() const {
  if (expected.failure) return "the run without faults failed: " + expected.failure.to_string();
  const auto* run = first_difference();
  if (!run) return std::to_string(runs.size()) + " runs ended as the one without faults";
  auto text = "seed " + std::to_string(run->seed) + ", " + std::to_string(run->steps) + " steps, " +
              std::to_string(run->restarts) + " restarts:\n";
  for (auto& f : run->faults)
    text += "  " + f + "\n";
  if (run->failure) return text + run->failure.to_string();
  return text + dataflow::detail::another_outcome(expected.outcome, run->outcome);
}

} // namespace dataflow
