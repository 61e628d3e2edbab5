// Process functions with timers and state against Flink's own outputs: each case as it is, and again with the operator
// snapshotted and restored into a new instance after every line.
#include <dataflow/actors/simulation/simulate.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/exchange/watermark_merger.hpp>
#include <dataflow/operators/broadcast_process.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <tests/support/operator_runner.hpp>
#include <tests/support/stamped_stream.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {
struct event {
  std::string id, k, side;
  std::int64_t ts = 0, v = 0;
};

std::vector<json> lines_of(const std::string& name, const std::string& file) {
  std::ifstream in{std::string{DATAFLOW_SOURCE_DIR} + "/tests/golden/data/" + name + "/" + file};
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(json::parse(line));
  REQUIRE_FALSE(lines.empty());
  return lines;
}

std::int64_t ms(timestamp t) { return t.time_since_epoch().count(); }
timestamp at(std::int64_t t) { return timestamp{std::chrono::milliseconds{t}}; }

struct drive_options {
  bool restart = false; ///< after every line
  std::size_t batch = batch_limits{}.records;
};

/// Feeds a case's input to an operator whose records are JSON texts; gives the lines that come out.
std::vector<json> drive(const std::vector<json>& input, operator_factory make, unsigned inputs, drive_options how) {
  test::operator_runner::options o;
  o.inputs = inputs;
  o.limits.records = how.batch;
  test::operator_runner r{std::move(make), o};
  auto& out = r.capture<std::string>();
  two_input_watermarks merged;
  if (inputs == 1) merged.watermark(1, max_timestamp);
  std::size_t seen = 0, controls = 0;
  unsigned ended = 0;
  std::vector<json> lines;
  for (std::size_t i = 0; i < input.size(); ++i) {
    const auto& line = input[i];
    const unsigned in = inputs == 1 ? 0 : line["in"].get<unsigned>() - 1;
    auto watermark = [&](std::int64_t t) {
      if (auto m = merged.watermark(in, at(t)); m.watermark) r.watermark(ms(*m.watermark));
    };
    if (line.contains("watermark")) {
      watermark(line["watermark"]);
    } else if (line.contains("processing_time")) {
      r.set_time(line["processing_time"]);
    } else if (line.contains("end")) {
      watermark(ms(max_timestamp));
      r.push(element::control(element_kind::end), in);
      ++ended;
    } else {
      event e{line["id"], line["k"], line.value("side", ""), line["ts"], line["v"]};
      r.push_timed<event>({{e, e.ts}}, in);
    }
    for (; controls < r.controls.size(); ++controls) {
      auto& c = r.controls[controls];
      if (c.kind != element_kind::watermark) continue;
      CHECK(c.records_before == out.size()); // what a watermark causes comes before it
      lines.push_back({{"at", i + 1}, {"watermark", c.value}, {"last", true}});
    }
    std::vector<json> records;
    for (; seen < out.size(); ++seen) {
      records.push_back({{"at", i + 1}, {"out", json::parse(out[seen].value)}});
      if (out[seen].time) records.back()["ts"] = *out[seen].time;
    }
    const auto where = lines.empty() || !lines.back().contains("last") ? lines.end() : lines.end() - 1;
    if (!lines.empty()) lines.back().erase("last");
    lines.insert(where, records.begin(), records.end());
    if (how.restart && ended < inputs) r.restart();
  }
  return lines;
}

void compare(const std::vector<json>& got, const std::vector<json>& expected) {
  CHECK(got.size() == expected.size());
  for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i)
    CHECK_MESSAGE(got[i] == expected[i], "got " << got[i].dump() << ", expected " << expected[i].dump());
}

/// All ways to drive a case come to the same.
void run_case(const std::string& name, const operator_factory& make, unsigned inputs, bool sorted = false) {
  const auto input = lines_of(name, "input.ndjson");
  auto expected = lines_of(name, "expected.ndjson");
  auto sort = [&](std::vector<json>& lines) { // within one input line equal timestamps have no order
    auto rank = [](const json& l) { return std::tuple{l["at"].get<int>(), l.contains("watermark"), l.dump()}; };
    if (sorted) std::sort(lines.begin(), lines.end(), [&](auto& a, auto& b) { return rank(a) < rank(b); });
  };
  sort(expected);
  for (const bool restart : {false, true})
    for (const std::size_t batch : {std::size_t{1}, batch_limits{}.records}) {
      CAPTURE(name);
      CAPTURE(restart);
      CAPTURE(batch);
      auto got = drive(input, make, inputs, {restart, batch});
      sort(got);
      compare(got, expected);
    }
}

/// Obeys the field `side`: reg, del, chain, back, preg, pdel, wm.
class timers_function : public keyed_process_function<std::string, event, std::string> {
  map_state<std::int64_t, std::int64_t> chains_ = state("chains"); // time -> how many are left
  map_state<std::int64_t, bool> backs_ = state("backs");

public:
  void process(const event& e, context& ctx, collector<std::string>& out) override {
    if (e.side == "reg" || e.side == "chain" || e.side == "back") ctx.timers().register_event_time(at(e.v));
    if (e.side == "chain") chains_.put(e.v, 3);
    if (e.side == "back") backs_.put(e.v, true);
    if (e.side == "del") ctx.timers().delete_event_time(at(e.v));
    if (e.side == "preg") ctx.timers().register_processing_time(at(e.v));
    if (e.side == "pdel") ctx.timers().delete_processing_time(at(e.v));
    if (e.side == "wm")
      out.collect(
          json{{"k", e.k}, {"element", e.id}, {"element_ts", e.ts}, {"wm", ms(ctx.current_watermark())}}.dump());
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect(json{{"k", ctx.key()}, {"timer", ms(t)}, {"wm", ms(ctx.timers().current_watermark())}}.dump());
    if (const auto left = chains_.value_or(ms(t), 0); left > 0) {
      ctx.timers().register_event_time(t + 1s);
      chains_.remove(ms(t));
      chains_.put(ms(t) + 1000, left - 1);
    }
    if (backs_.contains(ms(t))) {
      backs_.remove(ms(t));
      ctx.timers().register_event_time(t - 500ms);
    }
  }
};

/// The first element of a key waits for one from the other input, or for its timer.
class match_function : public keyed_co_process_function<std::string, event, event, std::string> {
  value_state<std::string> left_ = state("left"), right_ = state("right");

public:
  void process1(const event& e, context& ctx, collector<std::string>& out) override {
    if (right_.has_value()) {
      out.collect(json{{"k", e.k}, {"match", e.id + "+" + *right_}, {"wm", ms(ctx.current_watermark())}}.dump());
      right_.clear();
    } else {
      left_ = e.id;
      ctx.timers().register_event_time(at(e.ts) + 1s);
    }
  }
  void process2(const event& e, context& ctx, collector<std::string>& out) override {
    if (left_.has_value()) {
      out.collect(json{{"k", e.k}, {"match", *left_ + "+" + e.id}, {"wm", ms(ctx.current_watermark())}}.dump());
      left_.clear();
    } else {
      right_ = e.id;
      ctx.timers().register_event_time(at(e.ts) + 1s);
    }
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    auto text = [](value_state<std::string>& s) { return s.has_value() ? json(*s) : json(nullptr); };
    out.collect(json{{"k", ctx.key()},
                     {"timer", ms(t)},
                     {"unmatched_left", text(left_)},
                     {"unmatched_right", text(right_)},
                     {"wm", ms(ctx.current_watermark())}}
                    .dump());
    left_.clear();
    right_.clear();
  }
};

class ttl_function : public keyed_process_function<std::string, event, std::string> {
  value_state<std::int64_t> value_;

public:
  explicit ttl_function(ttl rules) : value_(state("value", rules)) {}
  void process(const event& e, context&, collector<std::string>& out) override {
    if (e.side == "value.update") value_ = e.v;
    if (e.side == "value.clear") value_.clear();
    if (e.side != "value.read") return;
    json read;
    if (value_.has_value()) read = *value_;
    out.collect(json{{"k", e.k}, {"value", read}}.dump());
  }
};

const map_state_descriptor<std::string, std::int64_t> limits{"limits"};

/// A rule sets the limit, or (by `side`) removes it, dumps or resets the counts of all keys.
class rules_function : public keyed_broadcast_process_function<std::string, event, event, std::string> {
  value_state<std::int64_t> count_ = state("count");

  template <class Context>
  static json limit(Context& ctx) {
    const auto* l = ctx.state(limits).find("limit");
    return l ? json(*l) : json(nullptr);
  }

public:
  void process(const event& e, read_only_context& ctx, collector<std::string>& out) override {
    const auto now = limit(ctx);
    count_ = count_.value_or(0) + 1;
    out.collect(json{{"k", ctx.key()},
                     {"id", e.id},
                     {"v", e.v},
                     {"limit", now},
                     {"above", !now.is_null() && e.v > now.get<std::int64_t>()},
                     {"count", *count_},
                     {"wm", ms(ctx.current_watermark())}}
                    .dump());
    if (e.side == "timer") ctx.timers().register_event_time(at(e.ts) + 100ms);
  }
  void process_broadcast(const event& e, context& ctx, collector<std::string>& out) override {
    if (e.side == "remove")
      ctx.state(limits).remove("limit");
    else if (e.side == "dump")
      ctx.apply_to_keyed_state(count_, [&](const std::string& key, value_state<std::int64_t>& count) {
        out.collect(json{{"k", key}, {"dumped_count", *count}}.dump());
      });
    else if (e.side == "reset")
      ctx.apply_to_keyed_state(count_, [](const std::string&, value_state<std::int64_t>& count) { count.clear(); });
    else
      ctx.state(limits).put("limit", e.v);
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect(json{{"k", ctx.key()}, {"timer", ms(t)}, {"limit", limit(ctx)}}.dump());
  }
};

/// A case's lines as the records of one source: watermarks are records without an id. Gives the records that come out.
std::vector<std::string> run_timers_pipeline(environment& env, const std::string& name, bool chained) {
  std::vector<event> lines;
  for (auto& line : lines_of(name, "input.ndjson"))
    if (line.contains("watermark"))
      lines.push_back({"", "", "", line["watermark"], 0});
    else if (!line.contains("end"))
      lines.push_back({line["id"], line["k"], line.value("side", ""), line["ts"], line["v"]});
  auto out =
      env.from_collection(lines)
          .set_parallelism(1)
          .transform<event>("Stamp", test::stamp<event>([](const event& e) { return e.ts; },
                                                        [](const event& e) {
                                                          return e.id.empty() ? std::optional{e.ts} : std::nullopt;
                                                        }))
          .set_parallelism(1)
          .key_by(&event::k)
          .process<timers_function>();
  if (!chained) out = out.disable_chaining();
  return out.map([](const std::string& text) { return text; }).collect();
}
std::vector<std::string> expected_records(const std::string& name) {
  std::vector<std::string> records;
  for (auto& line : lines_of(name, "expected.ndjson"))
    if (line.contains("out")) records.push_back(line["out"].dump());
  return records;
}

} // namespace
DATAFLOW_RECORD(event, id, k, side, ts, v);

TEST_CASE("timers fire as Flink's do") {
  const operator_factory make = [] {
    return std::make_unique<process_operator<event, std::string, timers_function, std::string event::*>>(
        &event::k, std::tuple<>{});
  };
  run_case("time-timers", make, 1);
  run_case("time-timers-end-of-input", make, 1);
}

TEST_CASE("a keyed co-process function shares state and timers between its inputs as Flink's does") {
  const operator_factory make = [] {
    using key = std::string event::*;
    return std::make_unique<co_process_operator<event, event, std::string, match_function, key, key>>(
        &event::k, &event::k, std::tuple<>{});
  };
  run_case("connect-co-process", make, 2);
}

TEST_CASE("state expires as Flink's does") {
  const auto input = lines_of("ttl-value", "input.ndjson");
  std::map<std::pair<std::string, std::string>, std::vector<json>> expected;
  for (auto line : lines_of("ttl-value", "expected.ndjson")) {
    auto& lines = expected[{line["update"], line["visibility"]}];
    line.erase("update");
    line.erase("visibility");
    lines.push_back(line);
  }
  REQUIRE(expected.size() == 4);
  for (auto& [how, lines] : expected) {
    auto rules = ttl{1s}.without_background_clean_up();
    if (how.first == "OnReadAndWrite") rules = rules.update_on_read();
    if (how.second == "ReturnExpiredIfNotCleanedUp") rules = rules.return_if_not_cleaned_up();
    const operator_factory make = [rules] {
      return std::make_unique<process_operator<event, std::string, ttl_function, std::string event::*>>(
          &event::k, std::tuple{rules});
    };
    for (const bool restart : {false, true}) {
      CAPTURE(how.first);
      CAPTURE(how.second);
      auto got = drive(input, make, 1, {restart});
      for (auto& line : got)
        line.erase("ts"); // of the input, which the case does not use
      compare(got, lines);
    }
  }
}

TEST_CASE("a keyed broadcast function gives what Flink's gives") {
  const operator_factory make = [] {
    return std::make_unique<
        broadcast_process_operator<event, event, std::string, rules_function, std::string event::*>>(
        &event::k, std::vector{limits.declaration()}, std::tuple<>{});
  };
  run_case("broadcast-state", make, 2, true);
}

TEST_CASE("a pipeline with timers gives Flink's records, in order, at every parallelism and batch size") {
  for (const std::string name : {"time-timers", "time-timers-end-of-input"})
    for (const int parallelism : {1, 2, 4})
      for (const bool chained : {true, false})
        for (const char* records : {"1", "1024"}) {
          CAPTURE(name);
          CAPTURE(parallelism);
          environment_options o;
          o.configuration.set("taskmanager.batch.records", records);
          environment env{o};
          env.set_parallelism(parallelism);
          CHECK(run_timers_pipeline(env, name, chained) == expected_records(name));
        }
}

TEST_CASE("a pipeline with timers gives Flink's records under every schedule") {
  const auto report = simulate(
      [](environment& env) {
        env.set_parallelism(2);
        auto records = run_timers_pipeline(env, "time-timers", true);
        CHECK(records == expected_records("time-timers"));
        return records;
      },
      {.seeds = 20});
  CHECK_MESSAGE(report.exactly_once(), report.describe());
}
