/// What a pipeline must fulfil to be run at all.
///
/// Threading: pure functions. Errors: error{errc::invalid_graph} for the shape of the graph, error{
/// errc::invalid_argument} for values; the cause names the operator, the advice says what to change.
#pragma once

#include <dataflow/graph/resolved_graph.hpp>

namespace dataflow {

/// Operators, edges and uids, before anything is resolved.
void validate_structure(const stream_graph& graph);
/// Parallelisms, groups and partitionings, once they are known.
void validate_resolved(const resolved_graph& graph);

} // namespace dataflow
