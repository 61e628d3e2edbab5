// Why nothing comes out: running jobs that say which operator, channel and split hold event time back.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/api/explain_silence.hpp>
#include <dataflow/api/windowed_stream.hpp>

#include <doctest/doctest.h>

#include "event_steps.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

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
auto trickle(std::int64_t id, std::int64_t count, std::int64_t speed = 1) {
  return generator_source{[=](std::int64_t i) {
                            return event_step{id, i * speed};
                          },
                          generator_options{{}, count == 0 ? 1.0 / 3600 : static_cast<double>(count)}};
}
/// In order, with a periodic watermark.
auto plain() { return watermark_strategy<event_step>::monotonous_timestamps().with_timestamp(&event_step::time); }
} // namespace

TEST_CASE("a running job says which split is silent, on which channel, and that idleness would help") {
  const auto found = ask(
      [](environment& env) {
        auto silent = env.from(trickle(0, 0), plain(), "silent"), busy = env.from(trickle(1, 100), plain(), "busy");
        silent.union_with(busy).rebalance().process(look_at_step).name("watch").discard();
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
        slow.union_with(fast).rebalance().process(look_at_step).discard();
      },
      silence_cause::behind, "Source: slow (1/1)"); // a moment after the start it may be the other one
  REQUIRE_FALSE(lagging.empty());
  CHECK_FALSE(lagging.front().idleness_would_help);
  CHECK(lagging.front().channel.find("Source: slow (1/1) -> ") == 0);
  CHECK(lagging.front().split == "0");
  const auto without =
      ask([](environment& env) { env.from(trickle(0, 100), "bare").rebalance().process(look_at_step).discard(); },
          silence_cause::no_strategy);
  REQUIRE_FALSE(without.empty());
  CHECK(without.front().operator_name == "Source: bare (1/1)");
  CHECK(without.front().channel.find("Source: bare (1/1) -> ") == 0);
  CHECK(without.front().split == "0");
}

TEST_CASE("a running job says which alignment group waits for whom") {
  const auto found = ask(
      [](environment& env) {
        auto fast = env.from(trickle(0, 100, 1000), plain().with_alignment("pair", 1s), "fast");
        auto slow = env.from(trickle(1, 100), plain().with_alignment("pair", 1s), "slow");
        fast.rebalance().process(look_at_step).discard();
        slow.rebalance().process(look_at_step).discard();
      },
      silence_cause::aligned);
  REQUIRE_FALSE(found.empty());
  CHECK(found.front().operator_name == "Source: fast (1/1)");
  CHECK(found.front().split == "0");
  CHECK(found.front().channel.find("Source: fast (1/1) -> ") == 0);
  CHECK(found.front().text.find("slowest member, Source: slow (1/1)") != std::string::npos);
}

TEST_CASE("a running job says which window has not fired yet, and which one waits for its lateness") {
  for (const bool sliced : {true, false}) {
    CAPTURE(sliced);
    auto windows = [sliced](environment& env, const watermark_strategy<event_step>& strategy,
                            std::chrono::milliseconds size, std::chrono::milliseconds lateness) {
      auto windowed = env.from(trickle(0, 0), strategy, "steps")
                          .key_by(&event_step::source)
                          .window(tumbling_event_time_windows{size})
                          .allowed_lateness(lateness);
      auto later = [](const event_step& a, const event_step& b) {
        return event_step{a.source, std::max(a.time, b.time)};
      };
      if (sliced)
        windowed.reduce(later).name("Windows").discard();
      else
        windowed.evictor(count_evictor{5}).reduce(later).name("Windows").discard();
    };
    const auto open = ask([&](environment& env) { windows(env, plain(), 1min, 0ms); }, silence_cause::waiting);
    REQUIRE_FALSE(open.empty());
    CHECK(open.front().operator_name == "Windows (1/1)");
    CHECK(open.front().channel.find("Source: steps (1/1) -> ") == 0);
    CHECK(open.front().split == "0");
    CHECK(open.front().text.find("the window [1970-01-01T00:00:00Z, 1970-01-01T00:01:00Z) fires then") !=
          std::string::npos);
    auto ahead = watermark_strategy<event_step>::punctuated([](const event_step&, timestamp t) {
                   return std::optional{t + 1s};
                 }).with_timestamp(&event_step::time);
    const auto kept = ask([&](environment& env) { windows(env, ahead, 10ms, 1h); }, silence_cause::waiting);
    REQUIRE_FALSE(kept.empty());
    CHECK(kept.front().operator_name == "Windows (1/1)");
    CHECK(kept.front().channel.find("Source: steps (1/1) -> ") == 0);
    CHECK(kept.front().split == "0");
    CHECK(kept.front().text.find("waits for event time 1970-01-01T01:00:00.009Z: the window [1970-01-01T00:00:00Z, "
                                 "1970-01-01T00:00:00.010Z) has fired and is kept") != std::string::npos);
  }
}

namespace {
/// Sets a timer a minute after each record.
struct later : keyed_process_function<std::int64_t, event_step, std::int64_t> {
  void process(const event_step& s, context& ctx, collector<std::int64_t>&) override {
    ctx.timers().register_event_time(step_time(s.time) + 1min);
  }
};
struct later_of_two : keyed_co_process_function<std::int64_t, event_step, event_step, std::int64_t> {
  void process1(const event_step& s, context& ctx, collector<std::int64_t>&) override {
    ctx.timers().register_event_time(step_time(s.time) + 1min);
  }
  void process2(const event_step&, context&, collector<std::int64_t>&) override {}
};
const map_state_descriptor<std::int64_t, std::int64_t> told{"told"};
struct later_of_broadcast : keyed_broadcast_process_function<std::int64_t, event_step, event_step, std::int64_t> {
  void process(const event_step& s, read_only_context& ctx, collector<std::int64_t>&) override {
    ctx.timers().register_event_time(step_time(s.time) + 1min);
  }
  void process_broadcast(const event_step&, context&, collector<std::int64_t>&) override {}
};
} // namespace

TEST_CASE("a running job says which timer it waits for, whatever kind of function set it") {
  using build = std::function<void(environment&)>;
  auto keyed = [](environment& env, std::int64_t id) {
    return env.from(trickle(id, 0), plain(), "steps " + std::to_string(id)).key_by(&event_step::source);
  };
  const build builds[] = {
      [&](environment& env) { keyed(env, 0).process<later>().name("Timers").discard(); },
      [&](environment& env) {
        keyed(env, 0)
            .connect(keyed(env, 1))
            .key_by(&event_step::source, &event_step::source)
            .process<later_of_two>()
            .name("Timers")
            .discard();
      },
      [&](environment& env) {
        keyed(env, 0).connect(keyed(env, 1).broadcast(told)).process<later_of_broadcast>().name("Timers").discard();
      }};
  for (auto& b : builds) {
    const auto found = ask(b, silence_cause::waiting);
    REQUIRE_FALSE(found.empty());
    const auto& s = found.front();
    INFO(s.text);
    CHECK(s.operator_name == "Timers (1/1)");
    CHECK(s.channel.find("Source: steps ") == 0);
    CHECK(s.split == "0");
    CHECK(s.text.find("Timers (1/1) waits for event time 1970-01-01T00:01:00Z: the only timer fires then") == 0);
    CHECK(s.text.find("from split \"0\"") != std::string::npos);
  }
}

namespace {
/// Never answers, and keeps the question open.
struct forgetful {
  std::shared_ptr<std::vector<async_result<std::int64_t>>> open =
      std::make_shared<std::vector<async_result<std::int64_t>>>();
  void operator()(const event_step&, async_result<std::int64_t> result) const { open->push_back(std::move(result)); }
};
} // namespace

TEST_CASE("a running job says which operator has not sent a watermark on") {
  const auto found = ask(
      [](environment& env) {
        auto marks = watermark_strategy<event_step>::punctuated([](const event_step&, timestamp t) {
                       return std::optional{t};
                     }).with_timestamp(&event_step::time);
        async::unordered(env.from(trickle(0, 10), marks, "steps").rebalance(), forgetful{}, {.timeout = 1h})
            .name("Ask")
            .rebalance()
            .map([](std::int64_t n) { return n; })
            .name("After")
            .discard();
      },
      silence_cause::held);
  REQUIRE_FALSE(found.empty());
  const auto& s = found.front();
  INFO(s.text);
  CHECK(s.operator_name == "Ask (1/1)");
  CHECK(s.channel.find("Ask (1/1) -> ") == 0);
  CHECK(s.split == "0");
  CHECK_FALSE(s.idleness_would_help);
  CHECK(s.text.find("not sent it on") != std::string::npos);
}
