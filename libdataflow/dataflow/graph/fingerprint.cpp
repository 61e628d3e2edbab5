#include <dataflow/graph/fingerprint.hpp>
#include <dataflow/record/record_type.hpp>

#include <algorithm>
#include <string_view>

namespace dataflow {

namespace {

/// Names in quotes and without line ends, so that no name can look like something else.
std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\' || c == '\n') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  return out + "\"";
}

std::string type_text(const record_type* type) {
  return type ? to_string(type->describe()) + " v" + std::to_string(type->version()) : "none";
}

/// Ids of tags may differ from process to process, names do not.
std::string tag_text(const stream_node& from, std::uint64_t tag) {
  const auto name = from.side_output_names.find(tag);
  return name == from.side_output_names.end() ? std::to_string(tag) : in_quotes(name->second);
}

std::string_view kind_text(node_kind kind) {
  switch (kind) {
  case node_kind::source:
    return "source";
  case node_kind::one_input:
    return "one input";
  case node_kind::two_input:
    return "two inputs";
  case node_kind::sink:
    return "sink";
  case node_kind::iteration_head:
    return "iteration head";
  case node_kind::iteration_tail:
    return "iteration tail";
  }
  return "?";
}

std::string policy_text(const stream_node& node) {
  const auto& p = node.on_record_error;
  switch (p.action) {
  case record_error_policy::kind::fail:
    return "fail";
  case record_error_policy::kind::skip:
    return "skip";
  case record_error_policy::kind::retry:
    return "retry " + std::to_string(p.retries);
  case record_error_policy::kind::side_output:
    return "side output " + tag_text(node, p.tag);
  }
  return "?";
}

std::string operator_text(const job_graph& g, const job_vertex& v, const chained_operator& op) {
  const auto& n = g.node(op);
  auto text = "  operator " + in_quotes(n.name) + " (" + std::string{kind_text(n.kind)} + ")" +
              (n.uid.empty() ? ", id " + op.id.to_string() : ", uid " + in_quotes(n.uid)) + ", emits " +
              type_text(n.output_type) + ", on record error " + policy_text(n);
  if (op.parent != no_parent) {
    const auto& parent = g.node(v.chain[op.parent]);
    text += ", reads " + in_quotes(parent.name) + " (operator " + std::to_string(op.parent) + ")";
    if (op.side_output) text += " side output " + tag_text(parent, *op.side_output);
  }
  if (n.keyed) text += ", keyed";
  if (n.source) text += n.source->bounded ? ", bounded" : ", unbounded";
  std::vector<std::string> sides; // in the order of their names: ids may differ
  for (auto& [tag, type] : n.side_output_types)
    sides.push_back(", side output " + tag_text(n, tag) + " of " + type_text(type));
  std::sort(sides.begin(), sides.end());
  for (auto& s : sides)
    text += s;
  return text + "\n";
}

std::string edge_text(const job_graph& g, const job_edge& e) {
  const auto& producer = g.node(g.vertices[e.from].chain[e.producer]);
  return "edge from task " + std::to_string(e.from + 1) + " " + in_quotes(producer.name) + " (operator " +
         std::to_string(e.producer) + ")" +
         (e.side_output ? " side output " + tag_text(producer, *e.side_output) : std::string{}) + " to task " +
         std::to_string(e.to + 1) + " input " + std::to_string(e.input + 1) + ": " + std::string{e.ship_strategy()} +
         " " + std::string{to_string(e.result)} + (e.feedback ? " feedback" : "") + " of " + type_text(e.type) + "\n";
}

} // namespace

std::string canonical_form(const job_graph& g) {
  const auto& settings = g.streams->settings;
  auto text = "job " + in_quotes(g.name) + "\n";
  if (settings.buffer_timeout) text += "buffer timeout " + std::to_string(settings.buffer_timeout->count()) + " ms\n";
  for (auto& [key, value] : settings.configuration)
    text += "setting " + in_quotes(key) + " = " + in_quotes(value) + "\n";
  for (auto& v : g.vertices) {
    text += "task " + std::to_string(v.index + 1) + " " + in_quotes(v.name) + ": parallelism " +
            std::to_string(v.parallelism) + ", max parallelism " + std::to_string(v.max_parallelism) +
            ", slot sharing group " + in_quotes(v.slot_sharing_group) + "\n";
    for (auto& op : v.chain)
      text += operator_text(g, v, op);
  }
  for (auto& e : g.edges)
    text += edge_text(g, e);
  return text;
}

std::string fingerprint(const job_graph& g) { return operator_id_of(canonical_form(g)).to_string(); }

std::string first_difference(const job_graph& one, const job_graph& other) {
  const auto a = canonical_form(one), b = canonical_form(other);
  std::string_view left{a}, right{b};
  auto take_line = [](std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return std::string{line.empty() ? "nothing" : line};
  };
  while (!left.empty() || !right.empty()) {
    const auto l = take_line(left), r = take_line(right);
    if (l != r) return l + " in one graph, " + r + " in the other";
  }
  return {};
}

} // namespace dataflow
