/// A cluster of many nodes in one thread and in virtual time, driven by a seed: job managers (one leads, the others
/// stand by), task managers and a client, each an actor system of its own, over a simulated network and one simulated
/// disk.
///
/// What runs is what runs between processes: nodes, gateways, members, heartbeats, links, leader election, recovery,
/// CAF's wire protocol. The seed chooses who runs next and how long bytes are under way. Same seed, same run, in every
/// process. See simulated_cluster.hpp for one node with more to see of it, and docs/testing-jobs.md.
///
/// Nodes are called jm1, jm2, ..., tm1, tm2, ..., client. A node that is killed loses its memory, its connections and
/// its locks; what it has written stays. The disk is shared by all, and outlives them.
/// Threading: one thread; user functions run in it. Ownership: job clients share the cluster's client, and must be gone
/// before the cluster is.
/// Errors: what a client gets; waiting throws timed_out when nothing can happen any more, or the limit is reached.
#pragma once

#include <dataflow/api/executor.hpp>
#include <dataflow/api/job_library.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dataflow {

struct nodes_settings {
  configuration settings = {}; ///< of all nodes
  std::uint32_t job_managers = 2, task_managers = 2;
  std::chrono::milliseconds time_limit{std::chrono::hours{1}}; ///< virtual, of one wait for a job
  std::uint64_t step_limit = 20'000'000;                       ///< of all
  bool keep_trace = false;                                     ///< keep trace(), a line per step
};

class simulated_nodes {
public:
  /// Starts all nodes; REQUIRES: at least one job manager. `jobs`: what clients may submit, in every node.
  simulated_nodes(std::uint64_t seed, std::shared_ptr<const job_library> jobs, nodes_settings settings = {});
  ~simulated_nodes();
  simulated_nodes(const simulated_nodes&) = delete;

  /// Connects the client if it is not yet, builds the job there, and submits it; runs until it is accepted.
  std::shared_ptr<job_client> submit(const std::string& job, std::vector<std::string> arguments = {},
                                     const configuration& settings = {});

  /// One message, piece of data, timer or jump in time. False: nothing is left to do.
  bool step();
  void run_for(std::chrono::milliseconds virtual_time);

  // ---- faults. Nodes by name; a node that is not up, or is no node, is left alone, and the answer is false.

  bool kill(const std::string& node);
  /// Its n-th call of the disk from now on does not happen any more, and it is killed at that moment.
  bool kill_at_disk_call(const std::string& node, std::uint64_t n);
  /// Anew, with nothing but the disk. Of a node that was killed, or that has ended by itself.
  bool restart(const std::string& node);
  /// It stands still, its connections stay open (SIGSTOP); resume(): it goes on, and sees that time has passed.
  bool stop(const std::string& node);
  bool resume(const std::string& node);
  /// Nothing gets from one to the other.
  void cut(const std::string& from, const std::string& to);
  void heal(const std::string& from, const std::string& to);
  /// What one sends to the other takes up to so much longer, as the seed chooses; 0: no longer than usual.
  void delay(const std::string& from, const std::string& to, std::chrono::microseconds longer);
  /// One of all connections, chosen by the seed; what is under way is lost.
  bool reset_connection();
  /// Does it so much virtual time from now.
  void after(std::chrono::milliseconds virtual_time, std::function<void()> what);

  std::vector<std::string> names() const;
  bool is_up(const std::string& node) const;
  /// The job manager that leads, as its process knows; empty: none.
  std::string leader() const;
  /// How often this task manager has registered.
  std::uint32_t registrations(const std::string& task_manager) const;

  std::uint64_t seed() const noexcept;
  std::uint64_t steps() const noexcept;
  /// Of every step so far, and of every element that tasks have sent.
  std::uint64_t trace_hash() const noexcept;
  const std::vector<std::string>& trace() const noexcept;
  std::chrono::nanoseconds now() const noexcept;
  memory_file_system& files() noexcept;
  const std::string& printed() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace dataflow
