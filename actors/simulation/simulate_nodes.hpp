/// simulate_nodes(options): a job on a cluster of many nodes, under faults that the seed draws, compared with a run
/// without any.
///
/// Each seed is a run of its own on a simulated_nodes: faults strike at moments within what the job takes without them,
/// and each is undone after a while that the seed draws, too (a node that was killed starts again). The job then has
/// to end with the same outcome.
/// Threading: one thread. Errors: a run that fails is part of the report; nothing is thrown but by options that cannot
/// be.
#pragma once

#include <dataflow/actors/simulation/simulated_nodes.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// What can be done to nodes and to the network between them.
enum class node_fault : std::uint8_t {
  kill,         ///< of a node but the client; it starts again
  kill_at_disk, ///< the same at one of its next calls of the disk, which does not happen any more
  stop,         ///< of any node: it stands still for a while
  partition,    ///< two nodes do not reach each other for a while
  one_way,      ///< what one node sends to another does not arrive for a while
  delay,        ///< what one node sends to another takes longer for a while
  reset,        ///< a connection, with what is under way
};
std::string_view to_string(node_fault fault) noexcept;
/// All of them.
std::vector<node_fault> all_node_faults();

struct simulate_nodes_options {
  std::shared_ptr<const job_library> jobs;
  std::string job; ///< of `jobs`
  std::vector<std::string> arguments = {};
  nodes_settings nodes = {};
  std::uint64_t seeds = 200, first_seed = 1;
  std::uint32_t faults = 10; ///< of each run
  std::vector<node_fault> kinds = all_node_faults();
  std::map<std::string, std::string> files = {}; ///< path -> content, on the simulated disk
  std::chrono::milliseconds longest{4000};       ///< virtual; of a fault
  /// What is compared: what the job has left. Called when the job has finished.
  std::function<std::string(simulated_nodes& cluster, const job_result& result)> outcome = {};
};

struct simulated_nodes_run {
  std::uint64_t seed = 0;
  std::string outcome; ///< empty when it failed
  error failure;
  std::vector<std::string> faults; ///< "1234 ms: stop tm1 for 300 ms", in their order
  std::uint32_t restarts = 0;
  std::uint64_t steps = 0, trace_hash = 0;
  std::chrono::milliseconds took{0}; ///< virtual
};

struct simulated_nodes_report {
  simulated_nodes_run expected; ///< without faults
  std::vector<simulated_nodes_run> runs;

  /// The first run that failed, or whose outcome is not the expected one; null: none.
  const simulated_nodes_run* first_difference() const noexcept;
  bool exactly_once() const noexcept { return !expected.failure && first_difference() == nullptr; }
  /// Says what was found, with which seed, and what was done to the cluster.
  std::string describe() const;
};

simulated_nodes_report simulate_nodes(const simulate_nodes_options& options);
/// One of its runs. `takes`: as long as the job takes without faults; 0: no faults.
simulated_nodes_run simulate_nodes_once(const simulate_nodes_options& options, std::uint64_t seed,
                                        std::chrono::milliseconds takes);

} // namespace dataflow
