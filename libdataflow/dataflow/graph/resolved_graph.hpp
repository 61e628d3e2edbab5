/// A stream graph with every default filled in: parallelism, maximum parallelism, slot sharing group, partitioning.
///
/// It is the step between the stream graph (what the user wrote) and the job graph (what is chained to what).
/// Threading: built by one thread, then read-only. Ownership: shares the stream graph.
/// Errors: resolve() throws error{errc::invalid_graph | errc::invalid_argument} naming the operator.
/// Source: Flink's StreamGraphGenerator.
#pragma once

#include <dataflow/graph/operator_id.hpp>
#include <dataflow/graph/stream_graph.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

inline constexpr char default_slot_sharing_group[] = "default";

/// What comes from configuration files and flags; whatever the job's code says wins over it.
struct graph_defaults {
  std::optional<std::uint32_t> parallelism;     ///< parallelism.default or -p
  std::optional<std::uint32_t> max_parallelism; ///< pipeline.max-parallelism
  bool chaining_enabled = true;                 ///< pipeline.operator-chaining.enabled
  /// By uid: what operators have that start from stored keyed state, where nobody says otherwise.
  std::map<std::string, std::uint32_t, std::less<>> stored_max_parallelism = {};
  /// No operator runs at more; nothing else changes: partitionings, chains and max parallelisms are those without it.
  std::optional<std::uint32_t> most_parallelism = {};
};

struct resolved_node {
  std::uint32_t parallelism = 1;
  std::uint32_t max_parallelism = 128;
  bool max_parallelism_set = false; ///< by the operator, the environment or the configuration
  std::string slot_sharing_group;
  operator_id id;
};

/// An edge of the stream graph with its partitioning decided.
struct resolved_edge {
  stream_edge edge; ///< edge.partition is set
  bool partition_given = false;
};

struct resolved_graph {
  std::shared_ptr<const stream_graph> streams;
  std::vector<resolved_node> nodes;            ///< as stream_graph::nodes()
  std::vector<resolved_edge> edges;            ///< as stream_graph::edges(), then implied feedback edges
  std::vector<std::vector<std::uint32_t>> in;  ///< per node: positions in `edges`, in the order of creation
  std::vector<std::vector<std::uint32_t>> out; ///< per node, likewise
  std::vector<node_id> order;                  ///< topological without feedback edges; smallest id first
  bool chaining_enabled = true;

  const stream_node& node(node_id id) const { return streams->node(id); }
};

/// Checks the graph and fills in what was left open.
/// Parallelism: operator, else environment, else configuration, else 1. Maximum parallelism: operator, else
/// environment, else configuration, else as stored, else from the parallelism. Slot sharing group: as set, else the
/// inputs' one when they agree, else "default". Partitioning: as set, else forward between equal parallelisms, else
/// rebalance.
resolved_graph resolve(std::shared_ptr<const stream_graph> streams, const graph_defaults& defaults);

/// What state is stored under: the uid that the operator was given, else its id.
std::string uid_of(const stream_node& node, const operator_id& id);

/// "operator 'count' (uid 'c1')": how messages name an operator.
std::string describe_operator(const stream_node& node);

} // namespace dataflow
