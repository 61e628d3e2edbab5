#include <dataflow/metrics/registry.hpp>

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <map>

namespace dataflow {

namespace {

/// Whole numbers without a point.
std::string number(double value) {
  char buffer[40];
  const bool whole = value == std::floor(value) && std::fabs(value) < 9e15;
  const auto end = whole ? std::to_chars(buffer, buffer + sizeof buffer, static_cast<std::int64_t>(value)).ptr
                         : std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, 3).ptr;
  return {buffer, end};
}

std::string label_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

/// [a-zA-Z0-9_:]; everything else becomes '_', as Flink's reporter does.
std::string metric_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
    out += good ? c : '_';
  }
  return out;
}

std::string family(const metric_scope& s) {
  if (s.job.empty()) return "jobmanager";
  if (s.subtask == metric_scope::none) return "jobmanager_job";
  return s.position == metric_scope::none ? "taskmanager_job_task" : "taskmanager_job_task_operator";
}

std::string labels(const metric_scope& s) {
  std::string out;
  const auto add = [&](std::string_view name, std::string_view value) {
    out += out.empty() ? "{" : ",";
    out.append(name).append("=\"").append(label_value(value)).append("\"");
  };
  if (!s.job.empty()) add("job_id", s.job);
  if (!s.task.empty()) add("task_name", s.task);
  if (s.subtask != metric_scope::none) add("subtask_index", std::to_string(s.subtask));
  if (!s.operator_name.empty()) add("operator_name", s.operator_name);
  return out.empty() ? out : out + "}";
}

} // namespace

std::string metrics_as_text(const metrics_snapshot& snapshot, std::string_view prefix) {
  std::map<std::string, std::pair<metric_kind, std::string>> families; // name -> kind, lines
  for (const auto& group : snapshot.groups) {
    for (const auto& m : group.metrics) {
      auto name = metric_name(prefix);
      if (!name.empty()) name += '_';
      name += family(group.scope);
      name += '_';
      name += metric_name(m.name);
      auto& [kind, lines] = families[name];
      kind = m.kind;
      lines += name + labels(group.scope) + " " + number(m.value) + "\n";
    }
  }
  std::string out;
  for (const auto& [name, entry] : families) {
    out += "# TYPE " + name + (entry.first == metric_kind::counter ? " counter\n" : " gauge\n");
    out += entry.second;
  }
  return out;
}

std::string metrics_as_json(const metrics_snapshot& snapshot) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& group : snapshot.groups) {
    const auto& s = group.scope;
    nlohmann::ordered_json scope;
    if (!s.job.empty()) scope["job"] = s.job;
    if (!s.task.empty()) scope["task"] = s.task;
    if (s.subtask != metric_scope::none) scope["subtask"] = s.subtask;
    if (!s.operator_name.empty()) scope["operator"] = s.operator_name;
    if (s.subtask != metric_scope::none) scope["attempt"] = group.attempt;
    nlohmann::ordered_json values;
    for (const auto& m : group.metrics) {
      const bool whole = m.value == std::floor(m.value) && std::fabs(m.value) < 9e15;
      if (whole)
        values[m.name] = static_cast<std::int64_t>(m.value);
      else
        values[m.name] = m.value;
    }
    list.push_back({{"scope", scope}, {"metrics", values}});
  }
  // Names are the user's bytes: what is no UTF-8 is replaced.
  return list.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace dataflow
