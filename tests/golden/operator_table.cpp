#include "operator_table.hpp"

#include <dataflow/api/environment_state.hpp>

namespace dataflow::test::golden {

json to_json(const event& e) { return {{"id", e.id}, {"k", e.k}, {"ts", e.ts}, {"v", e.v}}; }

event event_of(const json& line) {
  return {line.at("id"), line.at("k"), line.at("ts"), line.at("v"), line.value("gap", std::int64_t{0})};
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
    return rows;
  }();
  return table;
}

void add_rolling_rows(std::vector<row>& table) {
  auto text = [](const event& e) -> json {
    return {{"id", e.id}, {"k", e.k}, {"ts", e.ts}, {"v", e.v}, {"gap", e.gap}};
  };
  auto add = [&](const char* op, auto build) {
    auto r = one_input(
        "rolling-aggregates", "operators/keyed_reduce.hpp",
        [build](data_stream<event> in) { return build(in.key_by(&event::k)); }, text);
    r.filter = op;
    table.push_back(std::move(r));
  };
  add("sum(v)", [](auto s) { return s.sum(&event::v); });
  add("min(v)", [](auto s) { return s.min(&event::v); });
  add("max(v)", [](auto s) { return s.max(&event::v); });
  add("minBy(v)", [](auto s) { return s.min_by(&event::v); });
  add("minBy(v,false)", [](auto s) { return s.min_by(&event::v, false); });
  add("maxBy(v)", [](auto s) { return s.max_by(&event::v); });
  add("maxBy(v,false)", [](auto s) { return s.max_by(&event::v, false); });
  add("reduce", [](auto s) {
    return s.reduce([](const event& a, const event& b) {
      return event{a.id + b.id, a.k, b.ts, a.v + b.v, std::max(a.gap, b.gap)};
    });
  });
}

} // namespace dataflow::test::golden
