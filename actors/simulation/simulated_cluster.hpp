/// A whole cluster in one thread and in virtual time, driven by a seed.
///
/// Every actor runs on a scheduler that takes one message at a time, of an actor that the seed chooses. When nobody has
/// anything to do, time jumps to the next timer. Files, sockets and standard output are in memory. So the same seed
/// gives the same run, in every process: the same order of messages, the same trace_hash(), the same results. Another
/// seed gives another order.
/// Time also passes a little whenever the engine reads the clock, so that time slices end.
///
/// Threading: one thread; user functions run in it. Ownership: job clients keep the cluster alive; destroying the last
/// of them ends all actors. Blocking sources are polled in place.
/// Errors: waiting throws error{errc::timed_out} with the seed when a job does not end within the limit, or when it
/// hangs (no message and no timer is left).
#pragma once

#include <dataflow/api/executor.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>
#include <dataflow/util/memory_network.hpp>
#include <dataflow/util/platform.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace caf {
class actor_system;
}

namespace dataflow {

struct simulation_settings {
  configuration settings = {};                                  ///< as for any cluster
  std::uint32_t task_managers = 1;                              ///< at least 1
  std::chrono::milliseconds time_limit{std::chrono::hours{24}}; ///< virtual; how long waiting for one job may take
  std::uint64_t step_limit = 50'000'000;                        ///< scheduling steps that waiting for one job may take
  bool keep_trace = false;                                      ///< keep trace(), a line per step
};

/// The actors of a cluster, for whoever wants to see one die.
enum class actor_kind : std::uint8_t {
  any, ///< of those below, but not the job manager: nobody restarts it
  job_manager,
  dispatcher,
  resource_manager,
  job_master,
  task_manager,
  slot,
  task,
};
std::string_view to_string(actor_kind kind) noexcept;

class simulated_cluster final : public executor {
public:
  explicit simulated_cluster(std::uint64_t seed, simulation_settings settings = {});
  ~simulated_cluster() override;
  simulated_cluster(const simulated_cluster&) = delete;

  /// Runs until the job is accepted, or throws why it is not.
  /// The client's wait(), wait_for() and report() run the simulation; wait_for() takes virtual time.
  std::shared_ptr<job_client> submit(std::shared_ptr<const stream_graph> graph) override;

  /// One message of one actor, or a jump in time when there is none. False: nothing is left to do.
  bool step();
  /// So much virtual time, less when nothing is left to do.
  void run_for(std::chrono::milliseconds virtual_time);
  job_result run_until_done(job_client& job) { return job.wait(); }

  /// Kills one living actor of that kind, chosen by the seed, before the next step. False: there is none.
  bool kill(actor_kind kind);
  /// The same after so many more steps; nothing happens when there is none then.
  void kill_after(std::uint64_t steps, actor_kind kind);
  /// How many actors were killed so far.
  std::uint32_t kills() const noexcept;

  std::uint64_t seed() const noexcept;
  std::uint64_t steps() const noexcept;
  /// Of every step so far: which actor, when, how full its mailbox was, how many others could have run; and of every
  /// element that tasks have sent, with the records in it.
  std::uint64_t trace_hash() const noexcept;
  /// A line per step: time, actor. Empty unless asked for.
  const std::vector<std::string>& trace() const noexcept;
  /// Virtual time since the start.
  std::chrono::nanoseconds now() const noexcept;

  /// What jobs print.
  const std::string& printed() const noexcept;
  const std::string& printed_errors() const noexcept;
  memory_file_system& files() noexcept;
  /// What jobs see of files(): fails on request.
  faulty_file_system& disk() noexcept;
  memory_network& sockets() noexcept;
  /// The outside world of the cluster.
  dataflow::platform& platform() noexcept;
  /// For actors of one's own, in the same thread and time: whatever they do is part of the run.
  caf::actor_system& system() noexcept;
  /// The tree of supervisors with their history of failures.
  std::string describe_tree();

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

} // namespace dataflow
