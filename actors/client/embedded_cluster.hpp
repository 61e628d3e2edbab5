/// A whole cluster inside this process: job manager and task managers as actors of one actor_system, the program's own
/// or the caller's.
///
/// Threading: all members are safe from any thread. Ownership: destroying the cluster cancels what still runs and waits
/// until all of its actors have ended; the caller's actor_system must outlive it.
/// Errors: submit() throws what is wrong with the graph; a caller's actor_system with unsafe settings is refused with
/// unsafe_configuration, naming each.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/api/executor.hpp>
#include <dataflow/config/configuration.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <memory>
#include <string>
#include <vector>

namespace dataflow {
class environment;
}

namespace dataflow::actors {

struct job_submission;
struct job_origin;

/// Sets what the engine needs in a configuration of the caller's: bounded throughput per turn of an actor, and the
/// scheduler that wakes sleeping workers at once. Call before the actor_system is made.
void configure(caf::actor_system_config& config, std::uint32_t threads = 0);

/// What is unsafe about a system, a line each; empty: fine.
std::vector<std::string> unsafe_settings(caf::actor_system& system);

/// A job as an actor and as an object. The actor can be monitored like any other: it ends when the job does, with
/// reason `normal` when the job finished, else with why it failed or was cancelled (see errors.hpp).
struct client_pair {
  caf::actor actor;
  std::shared_ptr<job_client> client;
};

class embedded_cluster final : public executor, public std::enable_shared_from_this<embedded_cluster> {
public:
  /// In the caller's actor_system.
  explicit embedded_cluster(caf::actor_system& system, configuration settings = {});
  /// In an actor_system of its own.
  explicit embedded_cluster(configuration settings = {});
  ~embedded_cluster() override;

  std::shared_ptr<job_client> submit(std::shared_ptr<const stream_graph> graph) override;
  /// The same, with the handle that other actors can monitor.
  client_pair start(std::shared_ptr<const stream_graph> graph);
  /// The environment's graph as it is now.
  client_pair start(const environment& env, const std::string& job_name = {});
  /// The root of the cluster's tree. It ends when the cluster does, or with the cause when it gave up.
  const caf::actor& job_manager() const noexcept;
  caf::actor_system& system() noexcept;
  /// The tree of supervisors with their history of failures.
  std::string describe_tree();

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

/// What the databases of each task manager may take of memory (taskmanager.memory.managed.size).
rocksdb_options state_memory_of(const configuration& settings);
/// For runtimes that bring their own threads and time (simulation): the root of a new cluster.
caf::actor spawn_cluster(caf::actor_system& system, cluster_context context, const configuration& settings);

/// A job client that listens to a cluster's root, without blocking anybody: its actor is handed in with the job, and
/// tells the listeners of the job's sources how it ended. Throws when one of them cannot be part of the job.
client_pair make_client(caf::actor_system& system, const caf::actor& job_manager, const job_submission& job,
                        std::shared_ptr<const void> keep_alive);
/// Submits; blocks until the dispatcher has the job. Throws when it has not.
void hand_in(caf::actor_system& system, const caf::actor& job_manager, const std::shared_ptr<const job_submission>& job,
             const client_pair& client);
/// Checks the graph under these settings, and what it is to start from, and gives the job its id.
std::shared_ptr<const job_submission> make_submission(std::shared_ptr<const stream_graph> graph,
                                                      const configuration& settings, std::uint64_t id_seed,
                                                      const platform& world);
/// The same with an id of the caller's, and where other processes get the job's code. `recovered`: an earlier leader
/// has run the job. What it was started from may be gone then (claimed, or removed by its owner): the job's own
/// checkpoints are newer.
std::shared_ptr<const job_submission> make_submission(std::string id, std::shared_ptr<const stream_graph> graph,
                                                      const configuration& settings, const platform& world,
                                                      std::shared_ptr<const job_origin> origin = {},
                                                      bool recovered = false);

} // namespace dataflow::actors
