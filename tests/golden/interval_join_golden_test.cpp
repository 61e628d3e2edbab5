// Interval joins against Flink's own output: the operator line by line, and whole pipelines.
#include <dataflow/actors/simulation/simulate.hpp>
#include <dataflow/api/interval_join.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/exchange/watermark_merger.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <tests/support/operator_runner.hpp>
#include <tests/support/stamped_stream.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct event {
  std::string id, k;
  std::int64_t ts = 0, v = 0;
};
struct joined {
  std::string k, pair;
  std::int64_t left_ts = 0, right_ts = 0;
};
using key = std::string event::*;
const output_tag<event> late_left{"late-left"}, late_right{"late-right"};

class pairing final : public process_join_function<event, event, joined> {
public:
  void process(const event& l, const event& r, context& ctx, collector<joined>& out) override {
    out.collect({l.k, l.id + "+" + r.id, ctx.left_timestamp().time_since_epoch().count(),
                 ctx.right_timestamp().time_since_epoch().count()});
  }
};

std::vector<json> lines_of(const std::string& file) {
  std::ifstream in{std::string{DATAFLOW_SOURCE_DIR "/tests/golden/data/"} + file};
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(json::parse(line));
  REQUIRE_FALSE(lines.empty());
  return lines;
}

json json_of(const event& e) { return {{"id", e.id}, {"k", e.k}, {"ts", e.ts}, {"v", e.v}}; }
json json_of(const joined& j) {
  return {{"k", j.k}, {"pair", j.pair}, {"left_ts", j.left_ts}, {"right_ts", j.right_ts}};
}

/// Within a line of input and a side, records of equal timestamps have no defined order.
std::vector<json> sorted(std::vector<json> lines) {
  auto rank = [](const json& j) {
    return std::tuple{j["at"].get<int>(), j.value("side", std::string{}), j.contains("watermark"),
                      j.value("ts", std::int64_t{0}), j.dump()};
  };
  std::sort(lines.begin(), lines.end(), [&](const json& a, const json& b) { return rank(a) < rank(b); });
  return lines;
}

/// Drives the operator by the lines of the case; the output in the form of expected.ndjson.
std::vector<json> run_case(const std::string& name, std::size_t batch_records, bool restarting) {
  const bool sides = name == "join-interval-late";
  operator_runner::options options{.inputs = 2};
  options.limits.records = batch_records;
  operator_runner r{[=] {
                      interval_join_config<event, event> config{{-2s, 1s}};
                      if (sides) {
                        config.late_left = late_left;
                        config.late_right = late_right;
                      }
                      return std::make_unique<interval_join_operator<event, event, joined, pairing, key, key>>(
                          &event::k, &event::k, config, std::tuple<>{});
                    },
                    options};
  auto& out = r.capture<joined>();
  auto& left = r.capture(late_left);
  auto& right = r.capture(late_right);
  std::vector<json> got;
  watermark_merger merger{2};
  std::size_t line = 0;
  for (auto& input : lines_of(name + "/input.ndjson")) {
    ++line;
    const auto in = input["in"].get<unsigned>() - 1;
    auto merge = [&](std::int64_t t) {
      if (auto m = merger.watermark(in, timestamp{std::chrono::milliseconds{t}}); m.watermark)
        r.push(element::watermark(*m.watermark), in);
    };
    if (input.contains("end")) {
      merge(std::numeric_limits<std::int64_t>::max());
      r.push(element::control(element_kind::end), in);
    } else if (input.contains("watermark")) {
      merge(input["watermark"]);
    } else {
      r.push_timed<event>({{{input["id"], input["k"], input["ts"], input["v"]}, input["ts"]}}, in);
    }
    for (auto& d : out)
      got.push_back({{"at", line}, {"ts", *d.time}, {"out", json_of(d.value)}});
    for (auto* side : {&left, &right})
      for (auto& d : *side)
        got.push_back({{"at", line},
                       {"side", side == &left ? "late-left" : "late-right"},
                       {"ts", *d.time},
                       {"out", json_of(d.value)}});
    for (auto& c : r.controls)
      if (c.kind == element_kind::watermark) got.push_back({{"at", line}, {"watermark", c.value}});
    out.clear(), left.clear(), right.clear(), r.controls.clear();
    if (restarting && !input.contains("end")) r.restart();
  }
  return got;
}

/// A line of the input in a pipeline: a record, or a watermark where id is empty.
data_stream<event> stream_of(environment& env, const std::vector<event>& lines) {
  return env.from_collection(lines)
      .set_parallelism(1)
      .transform<event>("Stamp",
                        stamp<event>([](const event& e) { return e.ts; },
                                     [](const event& e) { return e.id.empty() ? std::optional{e.ts} : std::nullopt; }))
      .set_parallelism(1);
}
std::vector<std::string> run_pipeline(environment& env, bool chained) {
  std::vector<event> inputs[2];
  for (auto& line : lines_of("join-interval-inclusive/input.ndjson")) {
    auto& to = inputs[line["in"].get<unsigned>() - 1];
    if (line.contains("watermark"))
      to.push_back({"", "", line["watermark"], 0});
    else if (!line.contains("end"))
      to.push_back({line["id"], line["k"], line["ts"], line["v"]});
  }
  auto pairs = stream_of(env, inputs[0])
                   .key_by(&event::k)
                   .interval_join(stream_of(env, inputs[1]).key_by(&event::k))
                   .between(-2s, 1s)
                   .process<pairing>();
  if (!chained) pairs = pairs.disable_chaining();
  auto all = pairs.map([](const joined& j) { return json_of(j).dump(); }).collect();
  std::sort(all.begin(), all.end());
  return all;
}
std::vector<std::string> expected_pairs() {
  std::vector<std::string> pairs;
  for (auto& line : lines_of("join-interval-inclusive/expected.ndjson"))
    if (line.contains("out")) pairs.push_back(line["out"].dump());
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

} // namespace
DATAFLOW_RECORD(event, id, k, ts, v);
DATAFLOW_RECORD(joined, k, pair, left_ts, right_ts);

TEST_CASE("interval joins emit what Flink emits, line by line, also when restarted after every line") {
  for (const std::string name : {"join-interval-inclusive", "join-interval-late"})
    for (const std::size_t batch : {std::size_t{1}, batch_limits{}.records})
      for (const bool restarting : {false, true}) {
        CAPTURE(name);
        CAPTURE(restarting);
        const auto expected = sorted(lines_of(name + "/expected.ndjson"));
        const auto got = sorted(run_case(name, batch, restarting));
        REQUIRE(got.size() == expected.size());
        for (std::size_t i = 0; i < got.size(); ++i)
          CHECK_MESSAGE(got[i] == expected[i], "got " << got[i].dump() << ", expected " << expected[i].dump());
      }
}

TEST_CASE("a pipeline with an interval join gives Flink's pairs at every parallelism and batch size") {
  for (const int parallelism : {1, 2, 4})
    for (const bool chained : {true, false})
      for (const char* records : {"1", "1024"}) {
        CAPTURE(parallelism);
        environment_options o;
        o.configuration.set("taskmanager.batch.records", records);
        environment env{o};
        env.set_parallelism(parallelism);
        CHECK(run_pipeline(env, chained) == expected_pairs());
      }
}

TEST_CASE("a pipeline with an interval join gives Flink's pairs under every schedule") {
  const auto report = simulate(
      [](environment& env) {
        env.set_parallelism(2);
        auto pairs = run_pipeline(env, true);
        CHECK(pairs == expected_pairs());
        return pairs;
      },
      {.seeds = 20});
  CHECK_MESSAGE(report.exactly_once(), report.describe());
}
