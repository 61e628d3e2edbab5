#include <dataflow/graph/chaining.hpp>
#include <dataflow/graph/job_graph.hpp>

#include <algorithm>

namespace dataflow {

namespace {

/// Builds chains from the heads down, then the edges between them.
class translator {
public:
  translator(const resolved_graph& g, job_graph& out) : g_(g), out_(out) {
    reasons_.reserve(g.edges.size());
    for (auto& e : g.edges)
      reasons_.push_back(reason_not_chained(g, e));
    place_.resize(g.nodes.size());
  }

  void run() {
    for (auto id : g_.order)
      if (is_head(id)) add_vertex(id);
    for (auto& v : out_.vertices)
      for (std::uint32_t at = 0; at < v.chain.size(); ++at)
        add_edges(v, at);
    // An edge's number must not depend on where its ends were chained: order of creation, as in the stream graph.
    std::sort(pending_.begin(), pending_.end(), [](auto& a, auto& b) { return a.first < b.first; });
    for (auto& [position, e] : pending_) {
      e.index = static_cast<edge_index>(out_.edges.size());
      out_.edges.push_back(std::move(e));
    }
    for (auto& e : out_.edges) {
      out_.vertices[e.to].inputs.push_back(e.index);
      out_.vertices[e.from].chain[e.producer].outputs.push_back(e.index);
    }
    for (auto& v : out_.vertices)
      for (auto& op : v.chain)
        v.outputs.insert(v.outputs.end(), op.outputs.begin(), op.outputs.end());
    for (auto& v : out_.vertices)
      mark_shared(v);
  }

private:
  struct place {
    vertex_index vertex;
    std::uint32_t position;
  };

  bool is_head(node_id id) const {
    return std::none_of(g_.in[id].begin(), g_.in[id].end(), [&](auto i) { return reasons_[i].empty(); });
  }

  void add_vertex(node_id head) {
    auto& v = out_.vertices.emplace_back();
    const auto& r = g_.nodes[head];
    v.index = static_cast<vertex_index>(out_.vertices.size() - 1);
    v.id = r.id;
    v.parallelism = r.parallelism;
    v.max_parallelism = r.max_parallelism;
    v.max_parallelism_set = r.max_parallelism_set;
    v.slot_sharing_group = r.slot_sharing_group;
    v.name = add_chained(v, head, no_parent, {});
  }

  /// Adds an operator and all that is chained behind it; returns the name of that part of the chain.
  std::string add_chained(job_vertex& v, node_id id, std::uint32_t parent, std::optional<std::uint64_t> side_output) {
    const auto position = static_cast<std::uint32_t>(v.chain.size());
    auto& op = v.chain.emplace_back();
    op.node = id;
    op.id = g_.nodes[id].id;
    op.parent = parent;
    op.side_output = side_output;
    place_[id] = {v.index, position};
    v.keyed = v.keyed || g_.node(id).keyed;
    std::vector<std::string> names;
    for (auto i : g_.out[id]) {
      if (!reasons_[i].empty()) continue;
      v.chain[position].children.push_back(static_cast<std::uint32_t>(v.chain.size()));
      names.push_back(add_chained(v, g_.edges[i].edge.to, position, g_.edges[i].edge.side_output));
    }
    auto name = g_.node(id).name;
    if (names.empty()) return name;
    if (names.size() == 1) return name + " -> " + names.front();
    name += " -> (";
    for (std::size_t i = 0; i < names.size(); ++i)
      name += (i ? ", " : "") + names[i];
    return name + ")";
  }

  void add_edges(const job_vertex& v, std::uint32_t position) {
    for (auto i : g_.out[v.chain[position].node]) {
      if (reasons_[i].empty()) continue;
      const auto& from = g_.edges[i].edge;
      job_edge e;
      e.from = v.index;
      e.to = place_[from.to].vertex;
      e.producer = position;
      e.input = from.input;
      e.side_output = from.side_output;
      e.partition = *from.partition;
      e.pattern = is_pointwise(e.partition.kind) ? distribution_pattern::pointwise : distribution_pattern::all_to_all;
      e.exchange = from.exchange;
      e.result = from.exchange == exchange_kind::blocking ? result_type::blocking : result_type::pipelined_bounded;
      e.feedback = from.feedback;
      e.type = type_of(from);
      e.max_parallelism = out_.vertices[e.to].max_parallelism;
      e.reason = reasons_[i];
      pending_.emplace_back(i, std::move(e));
    }
  }

  const record_type* type_of(const stream_edge& e) const {
    const auto& from = g_.node(e.from);
    if (e.side_output) return from.side_output_types.at(*e.side_output);
    // A tail passes on what it reads, so the records of a feedback edge are those of the loop's head.
    return from.output_type || !e.feedback ? from.output_type : g_.node(e.to).output_type;
  }

  void mark_shared(job_vertex& v) const {
    auto readers = [&](const chained_operator& parent, const std::optional<std::uint64_t>& tag) {
      auto n = std::count_if(parent.children.begin(), parent.children.end(),
                             [&](auto c) { return v.chain[c].side_output == tag; });
      n += std::count_if(parent.outputs.begin(), parent.outputs.end(),
                         [&](auto e) { return out_.edges[e].side_output == tag; });
      return n;
    };
    for (auto& op : v.chain)
      if (op.parent != no_parent) op.shares_input = readers(v.chain[op.parent], op.side_output) > 1;
  }

  const resolved_graph& g_;
  job_graph& out_;
  std::vector<std::string> reasons_; // per edge; empty: chained
  std::vector<place> place_;         // per node
  std::vector<std::pair<std::uint32_t, job_edge>> pending_;
};

void add_warnings(const resolved_graph& g, job_graph& out) {
  for (auto id : g.order) {
    const auto& n = g.node(id);
    if (g.out[id].empty() && n.kind != node_kind::sink && n.kind != node_kind::iteration_tail)
      out.warnings.push_back(describe_operator(n) + " has no reader: what it emits is dropped");
  }
}

} // namespace

std::string_view to_string(distribution_pattern pattern) noexcept {
  return pattern == distribution_pattern::pointwise ? "POINTWISE" : "ALL_TO_ALL";
}

std::string_view to_string(result_type type) noexcept {
  return type == result_type::pipelined_bounded ? "PIPELINED_BOUNDED" : "BLOCKING";
}

job_graph make_job_graph(std::shared_ptr<const stream_graph> streams, const graph_defaults& defaults) {
  const auto g = resolve(std::move(streams), defaults);
  job_graph out;
  out.streams = g.streams;
  out.name = g.streams->settings.name;
  for (auto& n : g.streams->nodes())
    if (n.source) out.bounded = out.bounded && n.source->bounded;
  translator{g, out}.run();
  add_warnings(g, out);
  return out;
}

} // namespace dataflow
