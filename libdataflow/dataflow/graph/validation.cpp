#include <dataflow/graph/validation.hpp>
#include <dataflow/record/key_groups.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace dataflow {

namespace {

[[noreturn]] void bad_graph(std::string cause, std::string advice) {
  throw error{errc::invalid_graph, std::move(cause), std::move(advice)};
}

const char no_factory_advice[] = "build the graph with the DataStream API, or set the factory of the stream node";

void check_node(const stream_node& n) {
  if (n.kind == node_kind::source) {
    if (!n.source || !n.source->make_reader || !n.source->make_enumerator)
      bad_graph(describe_operator(n) + " is a source without a reader or an enumerator", no_factory_advice);
  } else if (n.kind != node_kind::iteration_head && n.kind != node_kind::iteration_tail && !n.make_operator) {
    bad_graph(describe_operator(n) + " has nothing that makes its operator", no_factory_advice);
  }
}

/// The record type that an edge carries must be known, or its batches cannot be made.
void check_output(const stream_graph& graph, const stream_edge& e) {
  const auto& from = graph.node(e.from);
  if (e.side_output) {
    auto type = from.side_output_types.find(*e.side_output);
    if (type == from.side_output_types.end() || !type->second)
      bad_graph(describe_operator(graph.node(e.to)) + " reads a side output that " + describe_operator(from) +
                    " does not have",
                "read side outputs with the output_tag that the operator emits to");
  } else if (!from.output_type && !e.feedback) {
    bad_graph(describe_operator(graph.node(e.to)) + " reads " + describe_operator(from) + ", which has no output",
              "sinks end a pipeline: connect to the operator before the sink instead");
  }
}

void check_edges(const stream_graph& graph) {
  const auto count = graph.nodes().size();
  std::vector<std::size_t> inputs[2]{std::vector<std::size_t>(count), std::vector<std::size_t>(count)};
  for (auto& e : graph.edges()) {
    if (e.from >= count || e.to >= count)
      bad_graph("an edge leads from operator " + std::to_string(e.from) + " to operator " + std::to_string(e.to) +
                    ", but the job has " + std::to_string(count) + " operators",
                "connect operators of the same environment only");
    const auto &from = graph.node(e.from), &to = graph.node(e.to);
    if (to.kind == node_kind::source)
      bad_graph(describe_operator(to) + " is a source and cannot read " + describe_operator(from),
                "union the streams, or make the operator a function of one input");
    if (from.kind == node_kind::sink)
      bad_graph(describe_operator(to) + " reads " + describe_operator(from) + ", which is a sink",
                "connect to the operator before the sink instead");
    if (e.feedback && (from.kind != node_kind::iteration_tail || to.kind != node_kind::iteration_head))
      bad_graph("a feedback edge leads from " + describe_operator(from) + " to " + describe_operator(to),
                "close loops with iterate() and close_with()");
    if (e.input > (to.kind == node_kind::two_input ? 1u : 0u))
      bad_graph(describe_operator(to) + " has no input " + std::to_string(e.input), "use connect() for two inputs");
    check_output(graph, e);
    if (e.partition && !e.partition->factory &&
        (e.partition->kind == partitioning_kind::hash || e.partition->kind == partitioning_kind::custom))
      bad_graph("the edge from " + describe_operator(from) + " to " + describe_operator(to) +
                    " partitions by a function, but has none",
                no_factory_advice);
    if (!e.feedback) ++inputs[e.input][e.to];
  }
  for (auto& n : graph.nodes()) {
    if (n.kind == node_kind::source) continue;
    if (inputs[0][n.id] == 0)
      bad_graph(describe_operator(n) + " has no input", "connect it to a source or to another operator");
    if (n.kind == node_kind::two_input && inputs[1][n.id] == 0)
      bad_graph(describe_operator(n) + " has no second input", "connect() needs two streams");
  }
}

void check_iterations(const stream_graph& graph) {
  std::set<node_id> closed;
  for (auto& e : graph.edges())
    if (e.feedback) closed.insert(e.to);
  for (auto& n : graph.nodes()) {
    if (n.kind != node_kind::iteration_tail || !n.iteration_head) continue;
    if (*n.iteration_head >= graph.nodes().size() || graph.node(*n.iteration_head).kind != node_kind::iteration_head)
      bad_graph(describe_operator(n) + " closes an iteration that does not exist",
                "close loops with iterate() and close_with()");
    closed.insert(*n.iteration_head);
  }
  for (auto& n : graph.nodes())
    if (n.kind == node_kind::iteration_head && !closed.contains(n.id))
      bad_graph(describe_operator(n) + " begins an iteration that is never closed", "close it with close_with()");
}

void check_uids(const stream_graph& graph) {
  std::map<std::string_view, const stream_node*> seen;
  for (auto& n : graph.nodes()) {
    if (n.uid.empty()) continue;
    auto [other, fresh] = seen.emplace(n.uid, &n);
    if (!fresh)
      bad_graph("uid '" + n.uid + "' is used twice: by operator '" + other->second->name + "' and by operator '" +
                    n.name + "'",
                "give every operator a uid of its own");
  }
}

} // namespace

void validate_structure(const stream_graph& graph) {
  if (graph.nodes().empty())
    bad_graph("the job '" + graph.settings.name + "' has no operators",
              "add a source and a sink before the job is executed");
  for (auto& n : graph.nodes())
    check_node(n);
  check_edges(graph);
  check_iterations(graph);
  check_uids(graph);
  auto is_sink = [](const stream_node& n) { return n.kind == node_kind::sink; };
  if (std::none_of(graph.nodes().begin(), graph.nodes().end(), is_sink)) {
    // The last operator is where a sink is most likely missing.
    bad_graph("the job '" + graph.settings.name + "' has no sink, so there is nothing to run (its last operator is '" +
                  graph.nodes().back().name + "')",
              "end the pipeline with a sink: print(), collect(), sink_to(...)");
  }
}

void validate_resolved(const resolved_graph& graph) {
  auto bad_value = [](std::string cause, std::string advice) {
    throw error{errc::invalid_argument, std::move(cause), std::move(advice)};
  };
  const auto limit = std::to_string(upper_max_parallelism);
  for (auto& n : graph.streams->nodes()) {
    const auto& r = graph.nodes[n.id];
    if (r.parallelism == 0) bad_value(describe_operator(n) + " has parallelism 0", "set a parallelism of at least 1");
    if (r.max_parallelism == 0)
      bad_value(describe_operator(n) + " has max parallelism 0", "set a max parallelism between 1 and " + limit);
    if (r.max_parallelism > upper_max_parallelism)
      bad_value(describe_operator(n) + " has max parallelism " + std::to_string(r.max_parallelism) + ", above " + limit,
                "set a max parallelism between 1 and " + limit);
    if (r.parallelism > r.max_parallelism)
      bad_value(describe_operator(n) + " has parallelism " + std::to_string(r.parallelism) +
                    ", above its max parallelism " + std::to_string(r.max_parallelism),
                "lower the parallelism, or raise the max parallelism (at most " + limit + ")");
    auto bad_char = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    const auto& group = r.slot_sharing_group;
    if (std::any_of(group.begin(), group.end(), bad_char) || group.find_first_not_of(' ') == std::string::npos ||
        group.front() == ' ' || group.back() == ' ')
      bad_value(describe_operator(n) + " has the slot sharing group '" + group + "'",
                "use a name without control characters and without spaces at its ends");
  }
  for (auto& [e, given] : graph.edges) {
    const auto &up = graph.nodes[e.from], &down = graph.nodes[e.to];
    if (e.partition->kind == partitioning_kind::forward && up.parallelism != down.parallelism)
      throw error{
          errc::invalid_graph,
          "forward partitioning does not allow change of parallelism. Upstream operation: " + graph.node(e.from).name +
              " parallelism: " + std::to_string(up.parallelism) + ", downstream operation: " + graph.node(e.to).name +
              " parallelism: " + std::to_string(down.parallelism),
          "use another partitioning, such as broadcast, rebalance, shuffle or global"};
  }
}

} // namespace dataflow
