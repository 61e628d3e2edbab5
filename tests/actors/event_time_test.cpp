// Watermarks through whole jobs: from sources and assigners, over exchanges, unions and two inputs.
#include <dataflow/actors/simulation/simulate.hpp>
#include <dataflow/api/explain_silence.hpp>
#include <dataflow/api/windowed_stream.hpp>
#include <dataflow/connectors/text_file.hpp>
#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

using number = std::int64_t;
timestamp at(number n) { return timestamp{std::chrono::milliseconds{n}}; }

struct step {
  number source = 0, time = 0;
};

/// Records come out of order by up to 7 ms.
auto steps_of(number source, std::uint64_t count) {
  return generator_source{[source](std::int64_t i) { return step{source, i ^ 7}; }, generator_options{count}};
}
/// A watermark on every record: no timer has a say in what is seen.
auto marks() {
  return watermark_strategy<step>::punctuated([](const step&, timestamp t) { return std::optional{t - 8ms}; })
      .with_timestamp(&step::time);
}

/// Of each record: was it late, and had any watermark come before it?
struct seen {
  number source = 0, time = 0;
  bool late = false, marked = false;
};
void look(const step& s, process_context& ctx, collector<seen>& out) {
  const auto watermark = ctx.current_watermark();
  out.collect(
      {s.source, s.time, ctx.record_timestamp() != at(s.time) || at(s.time) <= watermark, watermark != min_timestamp});
}
struct tally {
  std::size_t records = 0, late = 0, marked = 0;
};
tally tally_of(const std::vector<seen>& all) {
  tally t;
  for (auto& s : all) {
    ++t.records;
    t.late += s.late ? 1 : 0;
    t.marked += s.marked ? 1 : 0;
  }
  return t;
}

} // namespace
DATAFLOW_RECORD(step, source, time);
DATAFLOW_RECORD(seen, source, time, late, marked);

TEST_CASE("watermarks of a union hold for every record, whatever the parallelism") {
  for (const int parallelism : {1, 2, 4})
    for (const bool chained : {true, false})
      for (const bool at_source : {true, false})
        for (const char* batch : {"1", "2048"}) {
          CAPTURE(parallelism);
          CAPTURE(chained);
          CAPTURE(at_source);
          CAPTURE(batch);
          environment env;
          env.set_parallelism(parallelism);
          env.configure("taskmanager.batch.records", batch);
          if (!chained) env.disable_operator_chaining();
          auto stream = [&](number source, std::uint64_t count) {
            if (at_source) return env.from(steps_of(source, count), marks(), "steps");
            return env.from(steps_of(source, count), "steps").assign_timestamps_and_watermarks(marks());
          };
          const auto t = tally_of(stream(0, 600).union_with(stream(1, 400)).rebalance().process(look).collect());
          CHECK(t.records == 1000);
          CHECK(t.late == 0);
        }
}

TEST_CASE("the watermark of two inputs is the smaller one") {
  struct joined : co_process_function<step, step, seen> {
    void process1(const step& s, context& ctx, collector<seen>& out) override { look(s, ctx, out); }
    void process2(const step& s, context& ctx, collector<seen>& out) override { look(s, ctx, out); }
  };
  environment env;
  env.set_parallelism(2);
  auto left = env.from(steps_of(0, 500), marks(), "left");
  auto right = env.from(steps_of(1, 500), "right").assign_timestamps_and_watermarks(marks());
  const auto t = tally_of(left.rebalance().connect(right.rebalance()).process<joined>().collect());
  CHECK(t.records == 1000);
  CHECK(t.late == 0);
}

TEST_CASE("a chained source's watermark stands behind its record") {
  environment env;
  env.set_parallelism(1);
  auto count = [](const std::vector<seen>& all) { return tally_of(all).marked; };
  CHECK(count(env.from(steps_of(0, 50), marks(), "steps").process(look).collect()) == 49);
  CHECK(count(env.from(steps_of(0, 50), "steps").assign_timestamps_and_watermarks(marks()).process(look).collect()) ==
        49);
}

TEST_CASE("on any schedule no record is late") {
  auto report = simulate(
      [](environment& env) {
        env.set_parallelism(2);
        auto a = env.from(steps_of(0, 200), marks(), "a");
        auto b = env.from(steps_of(1, 100), "b").assign_timestamps_and_watermarks(marks());
        const auto t = tally_of(a.union_with(b).rebalance().process(look).collect());
        return std::pair<std::uint64_t, std::uint64_t>{t.records, t.late};
      },
      {.task_managers = 2, .seeds = 20});
  INFO(report.describe());
  CHECK(report.exactly_once());
  CHECK(report.expected.outcome == to_text(std::pair<std::uint64_t, std::uint64_t>{300, 0}));
}

TEST_CASE("watermarks per split: files read one after another by one reader are in order for each file only") {
  std::string content;
  for (int file = 0; file < 3; ++file)
    for (int i = 0; i < 50; ++i)
      content += std::to_string(i * 10 + file) + "\n";
  auto report = simulate(
      [](environment& env) {
        env.set_parallelism(1);
        auto time = watermark_strategy<std::string>::punctuated([](const std::string&, timestamp t) {
                      return std::optional{t};
                    }).with_timestamp([](const std::string& line) { return std::stoll(line); });
        return env.from(text_file_source{"in.txt", text_file_options{.split_size = 60}}, time, "lines")
            .map([](const std::string& line) { return std::stoll(line); })
            .collect()
            .size();
      },
      {.seeds = 20, .files = {{"in.txt", content}}});
  INFO(report.describe());
  CHECK(report.exactly_once());
}

namespace {
/// How far the first source gets ahead of the second one, in event time.
struct lead {
  number first = 0, second = 0, most = 0;
  bool operator()(const step& s) {
    (s.source == 0 ? first : second) = s.time;
    most = std::max(most, first - second);
    return true;
  }
};

number most_ahead(environment& env, bool aligned) {
  env.set_parallelism(1);
  env.configure("taskmanager.batch.records", "10"); // sources look at the limit once per batch
  auto source = [&](number id, number speed, std::uint64_t count) {
    auto strategy = watermark_strategy<step>::punctuated([](const step&, timestamp t) {
                      return std::optional{t};
                    }).with_timestamp(&step::time);
    if (aligned) strategy = strategy.with_alignment("both", 1s, 10ms);
    return env.from(generator_source{[=](std::int64_t i) {
                                       return step{id, i * speed};
                                     },
                                     generator_options{count, 1000}},
                    strategy, "source " + std::to_string(id));
  };
  // Both cover 10 s of event time, one in 0.1 s and the other in 1 s.
  auto fast = source(0, 100, 100), slow = source(1, 10, 1000);
  const auto leads = fast.union_with(slow)
                         .map([l = lead{}](const step& s) mutable {
                           l(s);
                           return l.most;
                         })
                         .collect();
  CHECK(leads.size() == 1100);
  return *std::max_element(leads.begin(), leads.end());
}
} // namespace

TEST_CASE("aligned sources wait for each other; others run ahead") {
  for (const bool aligned : {true, false}) {
    auto report = simulate(
        [aligned](environment& env) {
          const auto most = most_ahead(env, aligned);
          // 1 s of drift, a batch, and what the fast one reads until it is told: 100 ms of event time a millisecond.
          return aligned ? most < 6'000 : most > 8'000;
        },
        {.seeds = 20});
    INFO(report.describe());
    CHECK(report.exactly_once());
    CHECK(report.expected.outcome == to_text(true));
  }
}

namespace {
/// Asks a running job until the answer is there, of this operator if one is named, or for 100 s.
std::vector<silence> ask(const std::function<void(environment&)>& build, silence_cause cause,
                         const std::string& operator_name = {}) {
  simulated_cluster cluster{7};
  environment_options o;
  o.runner = std::shared_ptr<executor>{std::shared_ptr<void>{}, &cluster};
  environment env{o};
  env.set_parallelism(1);
  build(env);
  auto job = env.execute_async("silent");
  std::vector<silence> found;
  for (int i = 0; i < 100 && found.empty(); ++i) {
    job->wait_for(1s);
    for (auto& s : explain_silence(job->report()))
      if (s.cause == cause && (operator_name.empty() || s.operator_name == operator_name)) found.push_back(s);
  }
  job->cancel();
  job->wait();
  return found;
}
/// `count` steps at once, then one an hour: 1 ms of event time each.
auto trickle(number id, number count, number speed = 1) {
  return generator_source{[=](std::int64_t i) {
                            return step{id, i * speed};
                          },
                          generator_options{{}, count == 0 ? 1.0 / 3600 : static_cast<double>(count)}};
}
auto plain() { return watermark_strategy<step>::monotonous_timestamps().with_timestamp(&step::time); }
} // namespace

TEST_CASE("a running job says which split is silent, on which channel, and that idleness would help") {
  const auto found = ask(
      [](environment& env) {
        auto silent = env.from(trickle(0, 0), plain(), "silent"), busy = env.from(trickle(1, 100), plain(), "busy");
        silent.union_with(busy).rebalance().process(look).name("watch").discard();
      },
      silence_cause::no_records);
  REQUIRE_FALSE(found.empty());
  const auto& s = found.front();
  INFO(s.text);
  CHECK(s.operator_name == "Source: silent (1/1)");
  CHECK(s.split == "0");
  CHECK(s.channel.find("Source: silent (1/1) -> ") == 0);
  CHECK(s.idleness_would_help);
  CHECK(s.standing > 0ms);
}

TEST_CASE("a running job says which channel lags, and that no strategy was given") {
  const auto lagging = ask(
      [](environment& env) {
        auto slow = env.from(trickle(0, 100), plain(), "slow"), fast = env.from(trickle(1, 100, 50), plain(), "fast");
        slow.union_with(fast).rebalance().process(look).discard();
      },
      silence_cause::behind, "Source: slow (1/1)"); // a moment after the start it may be the other one
  REQUIRE_FALSE(lagging.empty());
  CHECK_FALSE(lagging.front().idleness_would_help);
  CHECK(lagging.front().channel.find("Source: slow (1/1) -> ") == 0);
  const auto without =
      ask([](environment& env) { env.from(trickle(0, 100), "bare").rebalance().process(look).discard(); },
          silence_cause::no_strategy);
  REQUIRE_FALSE(without.empty());
  CHECK(without.front().operator_name == "Source: bare (1/1)");
}

TEST_CASE("a running job says which alignment group waits for whom") {
  const auto found = ask(
      [](environment& env) {
        auto fast = env.from(trickle(0, 100, 1000), plain().with_alignment("pair", 1s), "fast");
        auto slow = env.from(trickle(1, 100), plain().with_alignment("pair", 1s), "slow");
        fast.rebalance().process(look).discard();
        slow.rebalance().process(look).discard();
      },
      silence_cause::aligned);
  REQUIRE_FALSE(found.empty());
  CHECK(found.front().operator_name == "Source: fast (1/1)");
  CHECK(found.front().split == "0");
  CHECK(found.front().text.find("slowest member, Source: slow (1/1)") != std::string::npos);
}

TEST_CASE("a running job says which window has not fired yet, and which one waits for its lateness") {
  for (const bool sliced : {true, false}) {
    CAPTURE(sliced);
    auto windows = [sliced](environment& env, const watermark_strategy<step>& strategy, std::chrono::milliseconds size,
                            std::chrono::milliseconds lateness) {
      auto windowed = env.from(trickle(0, 0), strategy, "steps")
                          .key_by(&step::source)
                          .window(tumbling_event_time_windows{size})
                          .allowed_lateness(lateness);
      auto later = [](const step& a, const step& b) { return step{a.source, std::max(a.time, b.time)}; };
      if (sliced)
        windowed.reduce(later).name("Windows").discard();
      else
        windowed.evictor(count_evictor{5}).reduce(later).name("Windows").discard();
    };
    const auto open = ask([&](environment& env) { windows(env, plain(), 1min, 0ms); }, silence_cause::waiting);
    REQUIRE_FALSE(open.empty());
    CHECK(open.front().operator_name == "Windows (1/1)");
    CHECK(open.front().channel.find("Source: steps (1/1) -> ") == 0);
    CHECK(open.front().text.find("the window [1970-01-01T00:00:00Z, 1970-01-01T00:01:00Z) fires then") !=
          std::string::npos);
    auto ahead = watermark_strategy<step>::punctuated([](const step&, timestamp t) {
                   return std::optional{t + 1s};
                 }).with_timestamp(&step::time);
    const auto kept = ask([&](environment& env) { windows(env, ahead, 10ms, 1h); }, silence_cause::waiting);
    REQUIRE_FALSE(kept.empty());
    CHECK(kept.front().text.find("waits for event time 1970-01-01T01:00:00.009Z: the window [1970-01-01T00:00:00Z, "
                                 "1970-01-01T00:00:00.010Z) has fired and is kept") != std::string::npos);
  }
}
