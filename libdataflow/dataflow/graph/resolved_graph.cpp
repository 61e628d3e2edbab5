#include <dataflow/graph/resolved_graph.hpp>
#include <dataflow/graph/validation.hpp>
#include <dataflow/record/key_groups.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <queue>

namespace dataflow {

namespace {

/// Copies the edges, adds the feedback edges that iteration tails imply, and indexes them by node.
void index_edges(resolved_graph& g) {
  const auto& streams = *g.streams;
  std::vector<bool> closed(streams.nodes().size());
  for (auto& e : streams.edges()) {
    g.edges.push_back({e, e.partition.has_value()});
    if (e.feedback) closed[e.from] = true;
  }
  for (auto& n : streams.nodes()) {
    if (n.kind != node_kind::iteration_tail || !n.iteration_head || closed[n.id]) continue;
    stream_edge e;
    e.from = n.id;
    e.to = *n.iteration_head;
    e.feedback = true;
    g.edges.push_back({std::move(e), false});
  }
  g.in.resize(streams.nodes().size());
  g.out.resize(streams.nodes().size());
  for (std::uint32_t i = 0; i < g.edges.size(); ++i) {
    g.in[g.edges[i].edge.to].push_back(i);
    g.out[g.edges[i].edge.from].push_back(i);
  }
}

/// The operators of one cycle, as "a -> b -> a". REQUIRES: every node with waiting[n] > 0 has such an input.
std::string find_cycle(const resolved_graph& g, const std::vector<std::size_t>& waiting) {
  auto at = static_cast<node_id>(std::find_if(waiting.begin(), waiting.end(), [](auto n) { return n > 0; }) -
                                 waiting.begin());
  std::vector<node_id> path;
  while (std::find(path.begin(), path.end(), at) == path.end()) {
    path.push_back(at);
    for (auto i : g.in[at])
      if (!g.edges[i].edge.feedback && waiting[g.edges[i].edge.from] > 0) {
        at = g.edges[i].edge.from;
        break;
      }
  }
  // The path was walked against the edges, and its beginning need not be part of the cycle.
  path.erase(path.begin(), std::find(path.begin(), path.end(), at));
  std::reverse(path.begin(), path.end());
  std::rotate(path.begin(), std::min_element(path.begin(), path.end()), path.end());
  std::string text;
  for (auto id : path)
    text += g.node(id).name + " -> ";
  return text + g.node(path.front()).name;
}

void sort_topologically(resolved_graph& g) {
  const auto count = g.in.size();
  std::vector<std::size_t> waiting(count);
  for (auto& r : g.edges)
    if (!r.edge.feedback) ++waiting[r.edge.to];
  std::priority_queue<node_id, std::vector<node_id>, std::greater<>> ready;
  for (node_id id = 0; id < count; ++id)
    if (waiting[id] == 0) ready.push(id);
  while (!ready.empty()) {
    const auto id = ready.top();
    ready.pop();
    g.order.push_back(id);
    for (auto i : g.out[id])
      if (!g.edges[i].edge.feedback && --waiting[g.edges[i].edge.to] == 0) ready.push(g.edges[i].edge.to);
  }
  if (g.order.size() < count)
    throw error{errc::invalid_graph, "the operators form a cycle: " + find_cycle(g, waiting),
                "close loops with iterate() and close_with(), so that the end of the loop can be found"};
}

/// The slot sharing group of the inputs when they agree.
std::string inherited_group(const resolved_graph& g, node_id id) {
  const std::string* group = nullptr;
  for (auto i : g.in[id]) {
    if (g.edges[i].edge.feedback) continue;
    const auto& of_input = g.nodes[g.edges[i].edge.from].slot_sharing_group;
    if (group && *group != of_input) return default_slot_sharing_group;
    group = &of_input;
  }
  return group ? *group : default_slot_sharing_group;
}

/// An operator's place in the job without names, parallelism and chaining. "Do not change": see operator_id.
std::string structure_of(const resolved_graph& g, node_id id) {
  const auto& n = g.node(id);
  auto text = "operator " + std::to_string(static_cast<int>(n.kind));
  for (auto i : g.in[id]) {
    const auto& e = g.edges[i].edge;
    if (e.feedback) continue;
    text += "; " + std::to_string(e.input) + " " + g.nodes[e.from].id.to_string();
    if (e.side_output) {
      const auto& names = g.node(e.from).side_output_names;
      const auto name = names.find(*e.side_output);
      text += " side " + (name == names.end() ? std::to_string(*e.side_output) : name->second);
    }
  }
  return text;
}

void assign_ids(resolved_graph& g) {
  std::map<std::string, std::uint32_t> seen; // equal structures are told apart by their order
  for (auto id : g.order) {
    const auto& n = g.node(id);
    if (!n.uid.empty()) {
      g.nodes[id].id = operator_id_of("uid " + n.uid);
      continue;
    }
    auto text = structure_of(g, id);
    const auto nth = seen[text]++;
    g.nodes[id].id = operator_id_of(text + "; nth " + std::to_string(nth));
  }
}

void check_default(const std::optional<std::uint32_t>& value, const char* what) {
  if (value && (*value == 0 || *value > upper_max_parallelism))
    throw error{errc::invalid_argument, std::string{what} + " is " + std::to_string(*value),
                "set a value between 1 and " + std::to_string(upper_max_parallelism)};
}

} // namespace

std::string describe_operator(const stream_node& node) {
  return "operator '" + node.name + "'" + (node.uid.empty() ? "" : " (uid '" + node.uid + "')");
}

std::string uid_of(const stream_node& node, const operator_id& id) {
  return node.uid.empty() ? id.to_string() : node.uid;
}

resolved_graph resolve(std::shared_ptr<const stream_graph> streams, const graph_defaults& defaults) {
  validate_structure(*streams);
  const auto& settings = streams->settings;
  check_default(settings.parallelism, "the environment's parallelism");
  check_default(settings.max_parallelism, "the environment's max parallelism");
  check_default(defaults.parallelism, "the default parallelism (parallelism.default, -p)");
  check_default(defaults.max_parallelism, "the default max parallelism (pipeline.max-parallelism)");

  resolved_graph g;
  g.streams = std::move(streams);
  g.chaining_enabled = settings.chaining_enabled && defaults.chaining_enabled;
  g.nodes.resize(g.streams->nodes().size());
  index_edges(g);
  sort_topologically(g);
  assign_ids(g);
  const auto parallelism = settings.parallelism.value_or(defaults.parallelism.value_or(1));
  const auto max_parallelism = settings.max_parallelism ? settings.max_parallelism : defaults.max_parallelism;
  for (auto id : g.order) {
    const auto& n = g.node(id);
    auto& r = g.nodes[id];
    r.parallelism = n.parallelism.value_or(n.parallelism_fixed ? 1 : parallelism);
    const auto given = n.max_parallelism ? n.max_parallelism : max_parallelism;
    r.max_parallelism_set = given.has_value();
    const auto stored = defaults.stored_max_parallelism.find(uid_of(n, r.id));
    r.max_parallelism = given                                             ? *given
                        : stored != defaults.stored_max_parallelism.end() ? stored->second
                                                                          : default_max_parallelism(r.parallelism);
    r.slot_sharing_group = n.slot_sharing_group.empty() ? inherited_group(g, id) : n.slot_sharing_group;
  }
  for (auto& [e, given] : g.edges)
    if (!given)
      e.partition =
          partitioning{g.nodes[e.from].parallelism == g.nodes[e.to].parallelism ? partitioning_kind::forward
                                                                                : partitioning_kind::rebalance,
                       nullptr};
  validate_resolved(g);
  if (defaults.most_parallelism) {
    for (auto& r : g.nodes)
      r.parallelism = std::min(r.parallelism, *defaults.most_parallelism);
    for (auto& e : g.edges) // two that are equal now are not chained for that
      e.partition_given = e.partition_given || e.edge.partition->kind == partitioning_kind::rebalance;
  }
  return g;
}

} // namespace dataflow
