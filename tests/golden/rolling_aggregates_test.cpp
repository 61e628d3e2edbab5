// Flink's own output of reduce, sum, min, max, min_by and max_by on a keyed stream.
#include <dataflow/operators/keyed_reduce.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <tests/support/operator_runner.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using nlohmann::json;

namespace {
struct event {
  std::string id, k;
  std::int64_t ts = 0, v = 0, gap = 0;
};

std::vector<json> lines_of(const std::string& name) {
  std::ifstream file{dataflow::test::source_path("tests/golden/data/rolling-aggregates/") + name};
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(json::parse(line));
  REQUIRE_FALSE(lines.empty());
  return lines;
}

template <class Merge>
operator_factory keyed(Merge merge) {
  return
      [merge] { return std::make_unique<keyed_reduce_operator<event, std::string event::*, Merge>>(&event::k, merge); };
}
event together(const event& a, const event& b) { return {a.id + b.id, a.k, b.ts, a.v + b.v, std::max(a.gap, b.gap)}; }
} // namespace
DATAFLOW_RECORD(event, id, k, ts, v, gap);

TEST_CASE("rolling aggregates emit what Flink emits") {
  using field = std::int64_t event::*;
  const std::map<std::string, operator_factory> operators{
      {"sum(v)", keyed(sum_merge<field>{&event::v})},
      {"min(v)", keyed(extreme_merge<field, extreme::least>{&event::v})},
      {"max(v)", keyed(extreme_merge<field, extreme::greatest>{&event::v})},
      {"minBy(v)", keyed(extreme_by_merge<field, extreme::least>{&event::v, true})},
      {"minBy(v,false)", keyed(extreme_by_merge<field, extreme::least>{&event::v, false})},
      {"maxBy(v)", keyed(extreme_by_merge<field, extreme::greatest>{&event::v, true})},
      {"maxBy(v,false)", keyed(extreme_by_merge<field, extreme::greatest>{&event::v, false})},
      {"reduce", keyed(reduce_merge<event (*)(const event&, const event&)>{together})},
  };
  std::map<std::string, std::vector<json>> expected;
  for (auto& line : lines_of("expected.ndjson"))
    expected[line["op"]].push_back(line);
  REQUIRE(expected.size() == operators.size());
  std::vector<std::pair<event, std::int64_t>> input;
  for (auto& line : lines_of("input.ndjson"))
    input.push_back({{line["id"], line["k"], line["ts"], line["v"], line["gap"]}, line["ts"]});

  for (auto& [name, make] : operators)
    for (const bool shared : {false, true}) {
      CAPTURE(name);
      test::operator_runner r{make};
      auto& out = r.capture<event>();
      std::vector<event> records;
      for (auto& [e, t] : input)
        records.push_back(e);
      auto b = r.batch_of(records);
      for (auto& [e, t] : input)
        b->timestamps.push_back(timestamp{std::chrono::milliseconds{t}});
      auto other = shared ? b : batch_ptr{};
      r.push(std::move(b));
      REQUIRE(out.size() == expected[name].size());
      for (std::size_t i = 0; i < out.size(); ++i) {
        const auto& e = out[i].value;
        CHECK(json{{"id", e.id}, {"k", e.k}, {"ts", e.ts}, {"v", e.v}, {"gap", e.gap}} == expected[name][i]["out"]);
        CHECK(out[i].time == expected[name][i]["ts"].get<std::int64_t>());
      }
    }
}

TEST_CASE("a reduction uses the hashes that travel with the batch, and makes its own when there are none") {
  struct plus {
    event operator()(const event& a, const event& b) const { return together(a, b); }
  };
  for (const bool hashed : {false, true}) {
    test::operator_runner r{keyed(reduce_merge<plus>{})};
    auto& out = r.capture<event>();
    for (int round = 0; round < 3; ++round) {
      std::vector<event> records;
      for (int i = 0; i < 1000; ++i)
        records.push_back({"", "key-" + std::to_string(i % 300), 0, 1, 0});
      auto b = r.batch_of(records);
      if (hashed)
        for (auto& e : records)
          b->hashes.push_back(key_hash(e.k));
      r.push(std::move(b));
    }
    REQUIRE(out.size() == 3000);
    std::map<std::string, std::int64_t> last;
    for (auto& d : out)
      CHECK(++last[d.value.k] == d.value.v);
    CHECK(last.size() == 300);
  }
}
