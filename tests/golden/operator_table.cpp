#include "operator_table.hpp"

#include <dataflow/api/environment_state.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <tests/support/tree_paths.hpp>

namespace dataflow::test::golden {

json to_json(const event& e) { return {{"id", e.id}, {"k", e.k}, {"ts", e.ts}, {"v", e.v}}; }

event event_of(const json& line) {
  return {line.at("id"), line.at("k"), line.value("side", std::string{}),
          line.at("ts"), line.at("v"), line.value("gap", std::int64_t{0})};
}

std::vector<json> lines_of(const std::string& file) {
  std::ifstream in{source_path("tests/golden/data/") + file};
  REQUIRE_MESSAGE(in, file);
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) lines.push_back(json::parse(line));
  REQUIRE_FALSE(lines.empty());
  return lines;
}

expectation::expectation(const row& r) : input(lines_of(r.data + "/input.ndjson")) {
  if (!input.back().contains("end")) input.push_back({{"end", true}});
  for (auto line : lines_of(r.data + "/expected.ndjson")) {
    bool picked = true;
    for (auto& [field, value] : r.pick.items()) {
      picked = picked && line.contains(field) && line[field] == value;
      line.erase(field);
    }
    if (!picked) continue;
    if (!r.stamps) line.erase("ts");
    expected.push_back(std::move(line));
  }
  REQUIRE_FALSE(expected.empty());
}

operator_factory factory_of(const dataflow::detail::stream_base& s) {
  return s.state()->graph.node(s.node()).make_operator;
}

const std::vector<row>& operator_table() {
  static const auto table = [] {
    std::vector<row> rows;
    add_rolling_rows(rows);
    add_window_rows(rows);
    add_window_join_rows(rows);
    add_interval_join_rows(rows);
    add_process_rows(rows);
    add_watermark_rows(rows);
    add_async_rows(rows);
    return rows;
  }();
  return table;
}

} // namespace dataflow::test::golden
