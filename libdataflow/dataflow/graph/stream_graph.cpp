#include <dataflow/graph/stream_graph.hpp>

namespace dataflow {

stream_node& stream_graph::add(node_kind kind, std::string name) {
  auto& n = nodes_.emplace_back();
  n.id = static_cast<node_id>(nodes_.size() - 1);
  n.kind = kind;
  n.name = std::move(name);
  return n;
}

stream_edge& stream_graph::connect(node_id from, node_id to) {
  auto& e = edges_.emplace_back();
  e.from = from;
  e.to = to;
  return e;
}

} // namespace dataflow
