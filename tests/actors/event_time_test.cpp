// Watermarks through whole jobs: from sources and assigners, over exchanges, unions and two inputs.
#include <dataflow/actors/simulation/simulate.hpp>
#include <dataflow/connectors/text_file.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "event_steps.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

using number = std::int64_t;

/// Records come out of order by up to 7 ms.
auto steps_of(number source, std::uint64_t count) {
  return generator_source{[source](std::int64_t i) { return event_step{source, i ^ 7}; }, generator_options{count}};
}
/// A watermark on every record: no timer has a say in what is seen_step.
auto marks() {
  return watermark_strategy<event_step>::punctuated(
             [](const event_step&, timestamp t) { return std::optional{t - 8ms}; })
      .with_timestamp(&event_step::time);
}

struct tally {
  std::size_t records = 0, late = 0, marked = 0;
};
tally tally_of(const std::vector<seen_step>& all) {
  tally t;
  for (auto& s : all) {
    ++t.records;
    t.late += s.late ? 1 : 0;
    t.marked += s.marked ? 1 : 0;
  }
  return t;
}

} // namespace

TEST_CASE("watermarks of a union hold for every record, whatever the parallelism") {
  for (const int parallelism : {1, 2, 4})
    for (const bool chained : {true, false})
      for (const bool at_source : {true, false})
        for (const char* batch : {"1", "4096"}) {
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
          const auto t =
              tally_of(stream(0, 600).union_with(stream(1, 400)).rebalance().process(look_at_step).collect());
          CHECK(t.records == 1000);
          CHECK(t.late == 0);
        }
}

TEST_CASE("the watermark of two inputs is the smaller one") {
  struct joined : co_process_function<event_step, event_step, seen_step> {
    void process1(const event_step& s, context& ctx, collector<seen_step>& out) override { look_at_step(s, ctx, out); }
    void process2(const event_step& s, context& ctx, collector<seen_step>& out) override { look_at_step(s, ctx, out); }
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
  auto count = [](const std::vector<seen_step>& all) { return tally_of(all).marked; };
  CHECK(count(env.from(steps_of(0, 50), marks(), "steps").process(look_at_step).collect()) == 49);
  CHECK(count(env.from(steps_of(0, 50), "steps")
                  .assign_timestamps_and_watermarks(marks())
                  .process(look_at_step)
                  .collect()) == 49);
}

TEST_CASE("on any schedule no record is late") {
  auto report = simulate(
      [](environment& env) {
        env.set_parallelism(2);
        auto a = env.from(steps_of(0, 200), marks(), "a");
        auto b = env.from(steps_of(1, 100), "b").assign_timestamps_and_watermarks(marks());
        const auto t = tally_of(a.union_with(b).rebalance().process(look_at_step).collect());
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
  bool operator()(const event_step& s) {
    (s.source == 0 ? first : second) = s.time;
    most = std::max(most, first - second);
    return true;
  }
};

number most_ahead(environment& env, bool aligned) {
  env.set_parallelism(1);
  env.configure("taskmanager.batch.records", "10"); // sources look_at_step at the limit once per batch
  auto source = [&](number id, number speed, std::uint64_t count) {
    auto strategy = watermark_strategy<event_step>::punctuated([](const event_step&, timestamp t) {
                      return std::optional{t};
                    }).with_timestamp(&event_step::time);
    if (aligned) strategy = strategy.with_alignment("both", 1s, 10ms);
    return env.from(generator_source{[=](std::int64_t i) {
                                       return event_step{id, i * speed};
                                     },
                                     generator_options{count, 1000}},
                    strategy, "source " + std::to_string(id));
  };
  // Both cover 10 s of event time, one in 0.1 s and the other in 1 s.
  auto fast = source(0, 100, 100), slow = source(1, 10, 1000);
  const auto leads = fast.union_with(slow)
                         .map([l = lead{}](const event_step& s) mutable {
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
