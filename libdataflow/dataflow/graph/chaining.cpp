#include <dataflow/graph/chaining.hpp>

namespace dataflow {

namespace {

/// What the partitioner does, where it alone rules chaining out.
std::string why_partitioned(partitioning_kind kind) {
  switch (kind) {
  case partitioning_kind::forward:
    return {};
  case partitioning_kind::rebalance:
    return "rebalance deals the records out in turn";
  case partitioning_kind::rescale:
    return "rescale deals the records out in turn to a local group";
  case partitioning_kind::shuffle:
    return "shuffle spreads the records at random";
  case partitioning_kind::broadcast:
    return "broadcast sends every record to all subtasks";
  case partitioning_kind::global:
    return "global sends everything to the first subtask";
  case partitioning_kind::custom:
    return "a custom partitioner chooses the subtask";
  case partitioning_kind::hash:
    return "key_by partitions by hash";
  }
  return {};
}

} // namespace

std::string reason_not_chained(const resolved_graph& graph, const resolved_edge& resolved) {
  const auto& e = resolved.edge;
  const auto &from = graph.node(e.from), &to = graph.node(e.to);
  const auto &up = graph.nodes[e.from], &down = graph.nodes[e.to];
  if (e.feedback) return "feedback edge of an iteration";
  if (to.kind == node_kind::iteration_head) return "head of an iteration: the feedback edge is its other input";
  if (resolved.partition_given)
    if (auto why = why_partitioned(e.partition->kind); !why.empty()) return why;
  if (to.kind == node_kind::two_input) return "two-input operator";
  if (const auto inputs = graph.in[e.to].size(); inputs > 1) return "union of " + std::to_string(inputs) + " inputs";
  if (up.parallelism != down.parallelism)
    return "parallelism " + std::to_string(up.parallelism) + " -> " + std::to_string(down.parallelism);
  if (up.slot_sharing_group != down.slot_sharing_group)
    return "different slot sharing group " + down.slot_sharing_group;
  if (e.exchange == exchange_kind::blocking) return "blocking exchange";
  if (!graph.chaining_enabled) return "chaining is disabled for the job (pipeline.operator-chaining.enabled)";
  if (from.chaining == chaining_strategy::never) return "disable_chaining on " + from.name;
  if (to.chaining == chaining_strategy::never) return "disable_chaining on " + to.name;
  if (to.chaining == chaining_strategy::head) return "start_new_chain on " + to.name;
  return {};
}

} // namespace dataflow
