/// The job graph: chains of operators as vertices, exchanges between them as edges.
///
/// A vertex holds everything that a task needs: its operators as a tree in depth-first order, the edges it reads and
/// those it writes. Indexes are positions: `vertices[i].index == i`, `edges[i].index == i`.
/// Threading: built by one thread, then read-only and shared. Ownership: shares the stream graph, whose nodes own the
/// factories. Errors: make_job_graph throws error{errc::invalid_graph | errc::invalid_argument} naming the operator.
/// Source: Flink's StreamingJobGraphGenerator, JobGraph.
#pragma once

#include <dataflow/exchange/channel_wiring.hpp>
#include <dataflow/graph/operator_id.hpp>
#include <dataflow/graph/resolved_graph.hpp>
#include <dataflow/graph/stream_graph.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// Position of a vertex in its job graph.
using vertex_index = std::uint32_t;
/// Position of an edge in its job graph; travels in every channel message.
using edge_index = std::uint32_t;

inline constexpr std::uint32_t no_parent = ~std::uint32_t{0};

enum class result_type : std::uint8_t {
  pipelined_bounded, ///< records are read while they are produced, memory is bounded by credits
  blocking,          ///< records are read when the producer has finished
};

/// Flink's names: ALL_TO_ALL, POINTWISE; PIPELINED_BOUNDED, BLOCKING.
std::string_view to_string(distribution_pattern pattern) noexcept;
std::string_view to_string(result_type type) noexcept;

/// One operator in a chain.
struct chained_operator {
  node_id node = 0; ///< in job_graph::streams
  operator_id id;
  std::uint32_t parent = no_parent;         ///< position in the chain, always before this one; no_parent: the head
  std::optional<std::uint64_t> side_output; ///< which of the parent's outputs it reads; unset: the main one
  /// Others read that output of the parent, too (operators of the chain or edges): batches must not be changed.
  bool shares_input = false;
  std::vector<std::uint32_t> children; ///< positions in the chain, in the order in which they get the records
  std::vector<edge_index> outputs;     ///< edges that this operator writes, in order of creation
};

/// One exchange between two tasks' chains.
struct job_edge {
  edge_index index = 0;
  vertex_index from = 0, to = 0;
  std::uint32_t producer = 0;               ///< position of the writing operator in from's chain
  unsigned input = 0;                       ///< of the head of `to`: 0 or 1
  std::optional<std::uint64_t> side_output; ///< of the producer; unset: its main output
  partitioning partition;
  distribution_pattern pattern = distribution_pattern::all_to_all;
  result_type result = result_type::pipelined_bounded;
  exchange_kind exchange = exchange_kind::pipelined;
  bool feedback = false;
  const record_type* type = nullptr; ///< of the records; owned by the library that defines it
  std::uint32_t max_parallelism = 0; ///< of the consumer: what key groups are counted in
  std::string reason;                ///< why the operators on both sides are not in one chain

  /// "HASH", "FORWARD" ...
  std::string_view ship_strategy() const noexcept { return to_string(partition.kind); }
};

struct job_vertex {
  vertex_index index = 0;
  operator_id id;   ///< of the head
  std::string name; ///< "Source: src -> m1 -> (a1 -> oa: Writer, b1)"
  std::uint32_t parallelism = 1;
  std::uint32_t max_parallelism = 128;
  bool max_parallelism_set = false;
  std::string slot_sharing_group;
  bool keyed = false;                  ///< some operator of the chain has keyed state
  std::vector<chained_operator> chain; ///< the head first, depth first
  std::vector<edge_index> inputs;      ///< in order of creation
  std::vector<edge_index> outputs;     ///< of all operators of the chain, by position in it
};

struct job_graph {
  std::shared_ptr<const stream_graph> streams;
  std::string name;
  bool bounded = true;              ///< all sources are
  std::vector<job_vertex> vertices; ///< in topological order (without feedback edges)
  std::vector<job_edge> edges;
  std::vector<std::string> warnings; ///< things that run but are hardly meant, for the user

  const stream_node& node(const chained_operator& op) const { return streams->node(op.node); }
  const stream_node& head(const job_vertex& v) const { return streams->node(v.chain.front().node); }
  channel_wiring wiring(const job_edge& e) const noexcept {
    return {e.pattern, vertices[e.from].parallelism, vertices[e.to].parallelism};
  }
};

/// Checks, resolves and chains. REQUIRES: streams is not null.
job_graph make_job_graph(std::shared_ptr<const stream_graph> streams, const graph_defaults& defaults = {});

} // namespace dataflow
