// Flink's own redistribution of operator state.
#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/record/hash.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <tests/support/stored_objects.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using nlohmann::json;

namespace {

std::vector<json> rescale_lines(const std::string& name) {
  std::ifstream file{dataflow::test::source_path("tests/golden/data/rescale-operator-state/") + name};
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(json::parse(line));
  REQUIRE_FALSE(lines.empty());
  return lines;
}

} // namespace

TEST_CASE("operator state goes to the subtasks that Flink gives it to") {
  const auto input = rescale_lines("input.ndjson"), expected = rescale_lines("expected.ndjson");
  REQUIRE(input.size() == expected.size());
  for (std::size_t line = 0; line < input.size(); ++line) {
    CAPTURE(input[line].dump());
    const std::string mode = input[line]["mode"];
    const auto kind = mode == "UNION"       ? state_kind::union_list
                      : mode == "BROADCAST" ? state_kind::broadcast
                                            : state_kind::list;
    checkpoint_metadata m;
    test::object_shelf shelf;
    operator_metadata op;
    op.uid = "op";
    op.parallelism = static_cast<std::uint32_t>(input[line]["elements"].size());
    for (std::uint32_t old = 0; old < op.parallelism; ++old) {
      subtask_state state;
      auto& stored = state.operators["op"].states.states["s"];
      stored.info = {"s", kind, "int"};
      for (int i = 0; i < input[line]["elements"][old].get<int>(); ++i)
        stored.parts.push_back({0, json{old, i}.dump()});
      auto out = shelf.create("subtask " + std::to_string(old));
      const auto summary = write_subtask_state(state, out);
      operator_part part;
      part.states = summary.operators[0].states;
      if (summary.object.size > 0) {
        part.subtask = static_cast<std::uint32_t>(m.subtasks.size());
        m.subtasks.push_back({summary.object, {}});
      }
      op.parts.push_back(part);
    }
    m.operators.push_back(op);
    const auto parallelism = input[line]["new"].get<std::uint32_t>();
    const auto a = assign_state(m, "/c", {{"op", "Op", parallelism, 128, {}}});
    auto got = json::array();
    for (std::uint32_t t = 0; t < parallelism; ++t) {
      auto items = json::array();
      const auto restored = load(*a.find("op", t), shelf.opener());
      for (auto& p : restored.states.states.at("s").parts)
        items.push_back(json::parse(p.bytes));
      std::sort(items.begin(), items.end());
      got.push_back(items);
    }
    CHECK(got == expected[line]["subtasks"]);
  }
}
