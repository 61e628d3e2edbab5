#include <dataflow/graph/plan_printer.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dataflow {

namespace {

std::string count(std::size_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::string task_label(vertex_index v) { return "task " + std::to_string(v + 1); }

/// The name of the operator that writes an edge, and of the side output if it is one.
std::string producer_of(const job_graph& g, const job_edge& e) {
  const auto& node = g.node(g.vertices[e.from].chain[e.producer]);
  if (!e.side_output) return node.name;
  const auto name = node.side_output_names.find(*e.side_output);
  return node.name + ", side output " +
         (name == node.side_output_names.end() ? std::to_string(*e.side_output) : name->second);
}

/// "16, 12 x 3, 4": a list with its runs counted.
std::string runs(const std::vector<std::size_t>& values) {
  std::string text;
  for (std::size_t i = 0; i < values.size();) {
    auto end = i;
    while (end < values.size() && values[end] == values[i])
      ++end;
    text += (i ? ", " : "") + std::to_string(values[i]);
    if (end - i > 1) text += " x " + std::to_string(end - i);
    i = end;
  }
  return text;
}

void add_task(std::string& out, const job_graph& g, const job_vertex& v) {
  out += "\n" + task_label(v.index) + ": " + v.name + "\n";
  out += "  parallelism " + std::to_string(v.parallelism) + ", max parallelism " + std::to_string(v.max_parallelism) +
         (v.max_parallelism_set ? "" : " (default)") + ", slot sharing group " + v.slot_sharing_group +
         (v.keyed ? ", keyed" : "") + "\n";
  std::vector<std::size_t> depth(v.chain.size());
  for (std::size_t i = 0; i < v.chain.size(); ++i) {
    const auto& op = v.chain[i];
    const auto& node = g.node(op);
    if (op.parent != no_parent) depth[i] = depth[op.parent] + 1;
    out += "  " + std::string(2 * depth[i], ' ') + "- " + node.name + "  [" +
           (node.uid.empty() ? "id " + op.id.to_string() : "uid " + node.uid) + "]\n";
  }
  for (auto i : v.inputs) {
    const auto& e = g.edges[i];
    out += "  reads " + task_label(e.from) + " (" + producer_of(g, e) + ")";
    if (g.head(v).kind == node_kind::two_input) out += " as input " + std::to_string(e.input + 1);
    out += e.feedback ? " as feedback" : "";
    out += ": " + std::string{e.ship_strategy()} + ", " + std::string{to_string(e.pattern)} + ", " +
           std::string{to_string(e.result)} + "\n    not chained: " + e.reason + "\n";
  }
}

/// Which tasks the slots hold; neighbours that hold the same ones in one line.
void add_slots(std::string& out, const execution_plan& plan) {
  const auto& slots = plan.slots();
  auto vertices = [&](const planned_slot& s) {
    std::string text;
    for (auto t : s.tasks)
      text += (text.empty() ? "" : ", ") + std::to_string(plan.tasks()[t].vertex + 1);
    return text;
  };
  std::vector<std::size_t> of_task_manager(plan.task_managers());
  for (auto& s : slots)
    of_task_manager[s.task_manager] += s.tasks.size();
  out += "\n" + count(slots.size(), "slot") + " in " + count(plan.task_managers(), "task manager") + " of " +
         count(plan.slots_per_task_manager(), "slot") + ", holding " + runs(of_task_manager) + " subtasks\n";
  for (std::size_t i = 0; i < slots.size();) {
    const auto tasks = vertices(slots[i]);
    auto end = i;
    while (end < slots.size() && slots[end].slot_sharing_group == slots[i].slot_sharing_group &&
           vertices(slots[end]) == tasks)
      ++end;
    out += (end - i == 1 ? "  slot " : "  slots ") + std::to_string(i + 1) +
           (end - i == 1 ? "" : "-" + std::to_string(end)) + " (" + slots[i].slot_sharing_group +
           "): " + count(slots[i].tasks.size(), "subtask") + ", of " +
           (slots[i].tasks.size() == 1 ? "task " : "tasks ") + tasks + "\n";
    i = end;
  }
}

std::string dot_text(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

} // namespace

std::string plan_as_text(const execution_plan& plan) {
  const auto& g = plan.graph();
  auto out = "job \"" + g.name + "\" (" + (g.bounded ? "bounded" : "unbounded") +
             "): " + count(g.vertices.size(), "task") + ", " + count(plan.tasks().size(), "subtask") + ", " +
             count(plan.slots().size(), "slot") + ", " + count(plan.regions().size(), "pipelined region") + "\n";
  for (auto& v : g.vertices)
    add_task(out, g, v);
  add_slots(out, plan);
  for (auto& w : g.warnings)
    out += "\nwarning: " + w + "\n";
  return out;
}

std::string plan_as_json(const execution_plan& plan) {
  using json = nlohmann::ordered_json;
  const auto& g = plan.graph();
  auto nodes = json::array();
  for (auto& v : g.vertices) {
    json node{{"id", v.id.to_string()},
              {"parallelism", v.parallelism},
              {"operator", ""},
              {"operator_strategy", ""},
              {"description", v.name},
              {"inputs", json::array()},
              {"optimizer_properties", json::object()},
              {"max_parallelism", v.max_parallelism},
              {"slot_sharing_group", v.slot_sharing_group},
              {"operators", json::array()}};
    for (auto i : v.inputs) {
      const auto& e = g.edges[i];
      json input{{"num", node["inputs"].size()},
                 {"id", g.vertices[e.from].id.to_string()},
                 {"ship_strategy", e.ship_strategy()},
                 {"exchange", lower(to_string(e.result))},
                 {"distribution_pattern", to_string(e.pattern)},
                 {"reason", e.reason}};
      if (e.feedback) input["feedback"] = true;
      node["inputs"].push_back(std::move(input));
    }
    for (auto& op : v.chain) {
      json o{{"id", op.id.to_string()}, {"name", g.node(op).name}};
      if (!g.node(op).uid.empty()) o["uid"] = g.node(op).uid;
      if (op.parent != no_parent) o["parent"] = v.chain[op.parent].id.to_string();
      node["operators"].push_back(std::move(o));
    }
    if (v.keyed) {
      node["key_groups"] = json::array();
      for (std::uint32_t i = 0; i < v.parallelism; ++i) {
        const auto& range = plan.tasks()[plan.task_of(v.index, i)].key_groups;
        node["key_groups"].push_back({range.first, range.last});
      }
    }
    nodes.push_back(std::move(node));
  }
  json out{{"name", g.name},
           {"type", "STREAMING"},
           {"bounded", g.bounded},
           {"nodes", std::move(nodes)},
           {"subtasks", plan.tasks().size()},
           {"slots", plan.slots().size()},
           {"slots_per_task_manager", plan.slots_per_task_manager()},
           {"task_managers", plan.task_managers()},
           {"regions", plan.regions().size()},
           {"warnings", g.warnings}};
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string plan_as_dot(const execution_plan& plan) {
  const auto& g = plan.graph();
  auto out = "digraph \"" + dot_text(g.name) + "\" {\n  rankdir=LR;\n  node [shape=box];\n";
  for (auto& v : g.vertices)
    out += "  t" + std::to_string(v.index + 1) + " [label=\"" + dot_text(v.name) + "\\nparallelism " +
           std::to_string(v.parallelism) + "\"];\n";
  for (auto& e : g.edges)
    out += "  t" + std::to_string(e.from + 1) + " -> t" + std::to_string(e.to + 1) + " [label=\"" +
           std::string{e.ship_strategy()} + "\", tooltip=\"" + dot_text(e.reason) + "\"" +
           (e.feedback ? ", style=dashed" : "") + "];\n";
  return out + "}\n";
}

} // namespace dataflow
