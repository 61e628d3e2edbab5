/// The chaining rules.
///
/// Threading: pure functions. Source: Flink's StreamingJobGraphGenerator.isChainable.
#pragma once

#include <dataflow/graph/resolved_graph.hpp>

#include <string>

namespace dataflow {

/// Why the operators on both sides of an edge run in different tasks, in words; empty when they are chained.
std::string reason_not_chained(const resolved_graph& graph, const resolved_edge& edge);

} // namespace dataflow
