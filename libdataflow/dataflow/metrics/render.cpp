#include <dataflow/metrics/snapshot.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
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

/// Sums, in the order in which the names were first seen.
class metric_sums {
public:
  void add(const metric_group& group) {
    for (const auto& m : group.metrics) {
      if (m.kind == metric_kind::rate) continue;
      const auto known = std::find_if(sums_.begin(), sums_.end(), [&](const auto& s) { return s.first == m.name; });
      if (known != sums_.end() && m.name.ends_with("Watermark"))
        known->second = std::min(known->second, m.value); // the subtask that holds the others back
      else if (known != sums_.end())
        known->second += m.value;
      else
        sums_.emplace_back(m.name, m.value);
    }
  }
  std::string lines(std::string_view indent) const {
    std::string out;
    for (const auto& [name, value] : sums_)
      out.append(indent).append(name).append(": ").append(number(value)).append("\n");
    return out;
  }

private:
  std::vector<std::pair<std::string, double>> sums_;
};

} // namespace

std::string metrics_as_table(const metrics_snapshot& snapshot) {
  struct row {
    std::string title;
    std::uint32_t subtasks = 0;
    metric_sums sums;
  };
  std::map<std::pair<std::int64_t, std::int64_t>, row> rows; // by vertex and position in its chain: none comes first
  for (const auto& group : snapshot.groups) {
    const auto& s = group.scope;
    auto& r = rows[{s.vertex, s.position}];
    r.title = s.position != metric_scope::none ? s.operator_name : s.vertex != metric_scope::none ? s.task : "job";
    ++r.subtasks;
    r.sums.add(group);
  }
  std::string out;
  for (const auto& [at, r] : rows) {
    const bool is_operator = at.second != metric_scope::none;
    out += (is_operator ? "  " : "") + r.title;
    if (at.first != metric_scope::none && !is_operator)
      out += " (" + std::to_string(r.subtasks) + (r.subtasks == 1 ? " subtask)" : " subtasks)");
    out += "\n" + r.sums.lines(is_operator ? "    " : "  ");
  }
  return out;
}

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
