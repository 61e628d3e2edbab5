// Rolling reductions of the operator table, also over salted keys.
#include <map>

#include "operator_table.hpp"

namespace dataflow::test::golden {

namespace {

json all_fields(const event& e) { return {{"id", e.id}, {"k", e.k}, {"ts", e.ts}, {"v", e.v}, {"gap", e.gap}}; }

row of_operation(row r, const char* op) {
  r.pick = {{"op", op}};
  r.event_time = false;
  r.ordered = true;
  return r;
}

/// The two stages of a salted sum, each alone: record by record they give the plain sum.
void add_salted_rows(std::vector<row>& table) {
  using key = std::string event::*;
  using sum = sum_merge<std::int64_t event::*>;
  using parts = std::vector<std::pair<salted<event>, std::int64_t>>;
  const sum merge{&event::v};

  row first;
  first.data = "rolling-aggregates";
  first.operator_class = "reduce_parts_operator";
  first.batches = false;
  first.pipelines = played::never;
  first.make = [merge]() -> operator_factory {
    return [merge] { return std::make_unique<reduce_parts_operator<event, key, sum>>(&event::k, merge); };
  };
  first.push = [](operator_runner& runner, const std::vector<json>& lines) {
    parts records;
    for (auto& line : lines)
      records.emplace_back(salted<event>{0, event_of(line)}, line.at("ts"));
    runner.push_timed(records);
  };
  first.listen = [](operator_runner& runner) -> captured {
    auto& out = runner.capture<salted<event>>();
    return [&out] {
      return detail::lines_of<salted<event>>(out, [](const salted<event>& s) { return all_fields(s.value); });
    };
  };

  // The second stage gets the sums of two salts, to which a key's records go in turn.
  auto second = first;
  auto sums = std::make_shared<std::map<std::pair<std::string, std::uint32_t>, event>>();
  auto seen = std::make_shared<std::map<std::string, std::uint32_t>>();
  second.operator_class = "merge_parts_operator";
  second.make = [merge]() -> operator_factory {
    return [merge] { return std::make_unique<merge_parts_operator<event, key, sum>>(&event::k, merge, 2); };
  };
  second.push = [sums, seen, merge](operator_runner& runner, const std::vector<json>& lines) {
    parts records;
    for (auto& line : lines) {
      const auto e = event_of(line);
      const auto salt = (*seen)[e.k]++ % 2;
      const auto [part, fresh] = sums->try_emplace({e.k, salt}, e);
      if (!fresh) merge(part->second, e);
      records.emplace_back(salted<event>{salt, part->second}, e.ts);
    }
    runner.push_timed(records);
  };
  second.listen = [sums, seen](operator_runner& runner) {
    sums->clear();
    seen->clear();
    return detail::listener<event>(all_fields, {})(runner);
  };
  table.push_back(of_operation(first, "sum(v)"));
  table.push_back(of_operation(second, "sum(v)"));
}

} // namespace

void add_rolling_rows(std::vector<row>& table) {
  auto add = [&](const char* op, auto build) {
    table.push_back(of_operation(one_input("rolling-aggregates", "keyed_reduce_operator",
                                           [build](events in) { return build(in.key_by(&event::k)); }, all_fields, {}),
                                 op));
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
      return event{a.id + b.id, a.k, {}, b.ts, a.v + b.v, std::max(a.gap, b.gap)};
    });
  });
  add_salted_rows(table);
}

} // namespace dataflow::test::golden
