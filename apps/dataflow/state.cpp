// `dataflow state`: what is in a checkpoint or savepoint, without its job.
#include <dataflow/checkpoint/state_rewrite.hpp>
#include <dataflow/checkpoint/state_view.hpp>
#include <dataflow/config/units.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/platform.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>

namespace dataflow::cli {

namespace {

using json = nlohmann::ordered_json;

void write_line(const json& j) {
  system_platform().out->write(j.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}
void write_text(const std::string& text) { system_platform().out->write(text); }

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + "  ";
}

json as_json(const state_entry& e) {
  json j{{"key_group", e.key_group}};
  if (!e.key.empty()) j["key"] = json::parse(e.key);
  j["value"] = json::parse(e.value);
  j["bytes"] = e.bytes;
  return j;
}

std::string as_text(const state_entry& e) { return (e.key.empty() ? "" : e.key + " -> ") + e.value; }

/// "uid/state", split at the last slash.
std::pair<std::string, std::string> operator_and_state(const std::string& text) {
  const auto slash = text.rfind('/');
  if (slash == std::string::npos)
    throw error{errc::invalid_option, "\"" + text + "\" is no state: it is named <operator's uid>/<state>",
                "`dataflow state list` shows them"};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

void list(const state_view& view, bool as_lines) {
  auto& m = view.metadata();
  const auto rows = view.list();
  if (as_lines) {
    for (auto& r : rows)
      write_line({{"operator", r.uid},
                  {"name", r.name},
                  {"parallelism", r.parallelism},
                  {"max_parallelism", r.max_parallelism},
                  {"state", r.state.name},
                  {"kind", to_string(r.state.kind)},
                  {"schema", r.state.schema},
                  {"parts", r.parts},
                  {"bytes", r.bytes}});
    return;
  }
  std::string text = std::string{to_string(m.kind)} + " " + std::to_string(m.id) + " of job '" + m.job_name + "' (" +
                     m.job_id + "), " + format_memory_size(m.bytes()) + (m.unaligned ? ", unaligned" : "") + "\n";
  std::size_t width = 0, kind_width = 0;
  for (auto& r : rows) {
    width = std::max(width, r.uid.size() + r.state.name.size() + 1);
    kind_width = std::max(kind_width, to_string(r.state.kind).size());
  }
  for (auto& r : rows)
    text += padded(r.uid + "/" + r.state.name, width) + padded(std::string{to_string(r.state.kind)}, kind_width) +
            padded(format_memory_size(r.bytes), 8) + "x" + std::to_string(r.parallelism) + "  " + r.state.schema + "\n";
  write_text(text);
}

void inspect(const state_view& view, const std::string& uid, const std::string& state, std::size_t top, bool as_lines) {
  const auto found = view.inspect(uid, state, top);
  if (as_lines) {
    auto groups = json::array(), largest = json::array();
    for (auto& g : found.key_groups)
      groups.push_back({{"key_group", g.key_group}, {"entries", g.entries}, {"bytes", g.bytes}});
    for (auto& e : found.largest)
      largest.push_back(as_json(e));
    write_line({{"operator", uid},
                {"state", state},
                {"readable", found.readable},
                {"entries", found.entries},
                {"bytes", found.bytes},
                {"key_groups", groups},
                {"largest", largest}});
    return;
  }
  std::string text = std::to_string(found.entries) + (found.readable ? " entries, " : " parts (no schema), ") +
                     format_memory_size(found.bytes) + "\n";
  if (!found.key_groups.empty()) {
    const auto [least, most] = std::minmax_element(found.key_groups.begin(), found.key_groups.end(),
                                                   [](auto& a, auto& b) { return a.bytes < b.bytes; });
    text += std::to_string(found.key_groups.size()) + " key groups in use, the smallest " +
            format_memory_size(least->bytes) + ", the largest " + format_memory_size(most->bytes) + " (key group " +
            std::to_string(most->key_group) + ")\n";
  }
  if (!found.largest.empty()) text += "largest:\n";
  for (auto& e : found.largest)
    text += "  " + padded(format_memory_size(e.bytes), 8) + as_text(e).substr(0, 200) + "\n";
  write_text(text);
}

int get(const state_view& view, const std::string& uid, const std::string& state, const std::string& key,
        bool as_lines) {
  // A word without quotes is a text, too.
  auto found = view.get(uid, state, key);
  if (!found) found = view.get(uid, state, json(key).dump());
  if (!found) {
    report_error({errc::invalid_argument, "state '" + uid + "/" + state + "' has no key " + key,
                  "keys are written as `dataflow state export` shows them"},
                 as_lines);
    return exit_not_runnable;
  }
  if (as_lines)
    write_line(as_json(*found));
  else
    write_text(found->value + "\n");
  return exit_success;
}

void compare(const state_view& before, const state_view& after, const std::string& uid, const std::string& state,
             bool as_lines) {
  diff(before, after, uid, state, [&](entry_change c, const state_entry* was, const state_entry* is) {
    if (as_lines) {
      json j{{"change", to_string(c)}};
      if (was) j["before"] = as_json(*was);
      if (is) j["after"] = as_json(*is);
      write_line(j);
      return;
    }
    if (was) write_text("- " + as_text(*was) + "\n");
    if (is) write_text("+ " + as_text(*is) + "\n");
  });
}

} // namespace

int show_state(const command_line& line) {
  auto& a = line.state;
  file_checkpoint_storage storage{*system_platform().files, "", "", 0}; // reads by the paths that are given
  const state_view view{storage, a.checkpoint};
  if (a.action == "list") {
    list(view, line.json);
    return exit_success;
  }
  const auto [uid, state] = operator_and_state(a.state);
  if (a.action == "inspect") {
    inspect(view, uid, state, a.top, line.json);
  } else if (a.action == "get") {
    return get(view, uid, state, a.key, line.json);
  } else if (a.action == "rewrite") {
    return rewrite_state(line, uid, state);
  } else if (a.action == "diff") {
    compare(view, state_view{storage, a.other}, uid, state, line.json);
  } else {
    view.for_each(uid, state, [](state_entry&& e) { write_text(json_line(e) + "\n"); });
  }
  return exit_success;
}

} // namespace dataflow::cli
