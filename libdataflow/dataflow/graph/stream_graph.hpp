/// The stream graph: what the DataStream API records. Nodes are operators, edges say how records travel.
///
/// Threading: built by one thread, immutable once handed to the translator. Ownership: nodes own their factories.
/// Source: Flink's StreamGraph (StreamNode, StreamEdge).
#pragma once

#include <dataflow/connectors/delivery_guarantee.hpp>
#include <dataflow/connectors/source_factories.hpp>
#include <dataflow/exchange/partitioner.hpp>
#include <dataflow/operators/operator.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

class record_type;

using node_id = std::uint32_t;

enum class node_kind : std::uint8_t { source, one_input, two_input, sink, iteration_head, iteration_tail };

/// Flink's ChainingStrategy.
enum class chaining_strategy : std::uint8_t { always, head, never };

/// Pipelined now; blocking exchanges come with bounded jobs.
enum class exchange_kind : std::uint8_t { pipelined, blocking };

struct stream_node {
  node_id id = 0;
  node_kind kind = node_kind::one_input;
  std::string name;                         ///< "Map", "Source: numbers", "out: Writer"
  std::string uid;                          ///< given by the user, or empty
  std::optional<std::uint32_t> parallelism; ///< as set on the operator
  std::optional<std::uint32_t> max_parallelism;
  bool parallelism_fixed = false; ///< cannot be changed by anybody (window_all, global operators)
  std::string slot_sharing_group; ///< as set on the operator; empty: from the inputs, else "default"
  chaining_strategy chaining = chaining_strategy::always;
  operator_factory make_operator;           ///< of everything but sources
  std::optional<source_factories> source;   ///< of sources
  const record_type* output_type = nullptr; ///< null: no output (sinks)
  std::map<std::uint64_t, const record_type*> side_output_types;
  std::map<std::uint64_t, std::string> side_output_names;
  record_error_policy on_record_error;
  std::optional<delivery_guarantee> delivery; ///< of sinks: what was asked for
  bool keyed = false;                         ///< its input is partitioned by key
  std::optional<node_id> iteration_head;      ///< of iteration tails: where the feedback goes
};

struct stream_edge {
  node_id from = 0, to = 0;
  unsigned input = 0;                       ///< 0, or 1 for the second input of a two-input operator
  std::optional<std::uint64_t> side_output; ///< the tag's id when it reads a side output
  /// Unset: forward when both sides have the same parallelism, else rebalance.
  std::optional<partitioning> partition;
  bool feedback = false; ///< closes an iteration: no credit, no watermarks, no barriers
  exchange_kind exchange = exchange_kind::pipelined;
};

/// Who is restarted how often; see recovery/.
struct job_settings {
  std::string name = "dataflow job";
  std::optional<std::uint32_t> parallelism; ///< environment's default
  std::optional<std::uint32_t> max_parallelism;
  bool chaining_enabled = true;
  std::optional<std::chrono::milliseconds> buffer_timeout;
  std::map<std::string, std::string> configuration; ///< keys set in code, over those of files and flags
};

class stream_graph {
public:
  stream_node& add(node_kind kind, std::string name);
  stream_edge& connect(node_id from, node_id to);
  stream_node& node(node_id id) { return nodes_.at(id); }
  const stream_node& node(node_id id) const { return nodes_.at(id); }
  /// In order of creation; ids are their positions.
  const std::vector<stream_node>& nodes() const noexcept { return nodes_; }
  const std::vector<stream_edge>& edges() const noexcept { return edges_; }
  std::vector<stream_edge>& edges() noexcept { return edges_; }

  job_settings settings;
  /// The library whose code the factories are; held by everything that may run them.
  std::shared_ptr<const void> code;

private:
  std::vector<stream_node> nodes_;
  std::vector<stream_edge> edges_;
};

} // namespace dataflow
