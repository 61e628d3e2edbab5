/// simulate(job, options): a user's own job under many schedules and faults, compared with a run without any.
///
///   auto report = simulate([](environment& env) { return env.text_file("in").map(f).key_by(g).sum(&r::n).collect(); },
///                          {.seeds = 200, .faults = faults::kills(2)});
///   CHECK_MESSAGE(report.exactly_once(), report.describe());
///
/// The job is called once per seed with an environment on a simulated_cluster of its own. What it returns is its
/// outcome; it is compared as text (append_text). A job that returns nothing is executed, and its outcome is what it
/// printed, lines sorted; print is at-least-once, so such a job repeats lines when it restarts: return what collect()
/// gives where that matters, in an order of your own (sorted, or the last value per key), since records of several
/// subtasks arrive in any order.
/// Threading: one thread. Errors: a run that fails is part of the report; nothing is thrown but by options that cannot
/// be.
#pragma once

#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/config/parameters.hpp>
#include <dataflow/connectors/print_format.hpp>

#include <functional>
#include <type_traits>

namespace dataflow {

/// What happens to a cluster while the job runs, at moments that the seed chooses, within what the job does without
/// faults: so many deaths of actors of these kinds, and so many calls of the file system that fail with an I/O error.
struct fault_plan {
  std::uint32_t kills = 0;
  std::vector<actor_kind> kinds{actor_kind::any};
  std::uint32_t disk_errors = 0;
};
namespace faults {
inline fault_plan none() { return {}; }
inline fault_plan kills(std::uint32_t n, actor_kind kind = actor_kind::any) { return {n, {kind}, 0}; }
inline fault_plan disk_errors(std::uint32_t n) { return {0, {actor_kind::any}, n}; }
/// One death of any actor but the job manager.
inline fault_plan all() { return kills(1); }
} // namespace faults

struct simulate_options {
  std::uint32_t task_managers = 1;
  std::uint64_t seeds = 100;
  std::uint64_t first_seed = 1;
  fault_plan faults = {};
  /// Jobs restart after 1 s, as often as needed, unless restart-strategy.type is set here.
  configuration settings = {};
  parameters arguments = {};                                    ///< of jobs that take some
  std::map<std::string, std::string> files = {};                ///< path -> content, in the simulated file system
  std::chrono::milliseconds time_limit{std::chrono::hours{24}}; ///< virtual, per job
};

struct simulated_run {
  std::uint64_t seed = 0;
  std::string outcome; ///< empty when it failed
  error failure;
  std::uint32_t kills = 0;
  std::uint64_t disk_errors = 0; ///< that happened
  std::uint64_t steps = 0, trace_hash = 0, disk_calls = 0;
};

struct simulation_report {
  simulated_run expected; ///< without faults
  std::vector<simulated_run> runs;

  /// The first run that failed, or whose outcome is not the expected one; null: none.
  const simulated_run* first_difference() const noexcept;
  /// Every run ended with the outcome of the one without faults.
  bool exactly_once() const noexcept { return !expected.failure && first_difference() == nullptr; }
  /// Says what was found, and with which seed it can be seen again.
  std::string describe() const;
};

namespace detail {
using simulated_job = std::function<std::string(environment&, simulated_cluster&)>;
simulation_report simulate(const simulated_job& job, const simulate_options& options);
std::string printed_lines(environment& env, simulated_cluster& cluster);
} // namespace detail

/// job: callable with (environment&), or with (environment&, const parameters&) as DATAFLOW_JOB functions are.
template <class Job>
simulation_report simulate(Job job, const simulate_options& options = {}) {
  auto call = [&](environment& env) {
    if constexpr (std::is_invocable_v<Job&, environment&>)
      return job(env);
    else
      return job(env, options.arguments);
  };
  return detail::simulate(
      [&](environment& env, simulated_cluster& cluster) -> std::string {
        if constexpr (std::is_void_v<decltype(call(env))>) {
          call(env);
          return detail::printed_lines(env, cluster);
        } else {
          return to_text(call(env));
        }
      },
      options);
}

} // namespace dataflow
