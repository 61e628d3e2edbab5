#include <dataflow/recovery/supervisor_state.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

using names = std::vector<std::string>;

std::vector<error> because(const std::string& text) { return {error{errc::user_function_failed, text}}; }

supervisor_settings with(supervision_strategy strategy) {
  supervisor_settings s;
  s.strategy = strategy;
  return s;
}

/// Two regions: a1, a2 and b1; helper in none.
supervisor_state of_regions(supervisor_settings settings) {
  supervisor_state s{"job master", std::move(settings)};
  s.add({"a1", child_restart::transient, "a"});
  s.add({"a2", child_restart::transient, "a"});
  s.add({"b1", child_restart::transient, "b"});
  s.add({"b2", child_restart::temporary, "b"});
  return s;
}

void start_all(supervisor_state& s, const names& children) {
  for (const auto& c : children)
    s.started(c);
}

} // namespace

TEST_CASE("one for one restarts only the failed child") {
  auto s = of_regions(with(supervision_strategy::one_for_one));
  const auto d = s.failed("a1", 0, because("x"), 0ms);
  CHECK(d.action == supervision_action::restart);
  CHECK(d.restart == names{"a1"});
  CHECK(d.stop.empty());
  CHECK(d.delay == 0ms);
  CHECK(s.child("a1")->state == child_state::restarting);
  CHECK(s.child("a1")->attempt == 1);
  s.started("a1");
  CHECK(s.child("a1")->state == child_state::running);
  CHECK(s.restarts() == 1);
}

TEST_CASE("a region restarts as a whole, with those of its children that had ended, and nobody else") {
  auto s = of_regions(with(supervision_strategy::region));
  CHECK(s.ended("a2", 0, 0ms).action == supervision_action::ended);
  const auto d = s.failed("a1", 0, because("x"), 1ms);
  CHECK(d.restart == names{"a1", "a2"});
  CHECK(d.stop.empty()); // a2 has ended, there is nothing to stop
  CHECK(s.child("b1")->state == child_state::running);
  start_all(s, d.restart);
  const auto again = s.failed("a2", 1, because("x"), 2ms);
  CHECK(again.stop == names{"a1"});
  CHECK(again.restart == names{"a1", "a2"});
}

TEST_CASE("temporary siblings are stopped with their region, but not started again") {
  auto s = of_regions(with(supervision_strategy::region));
  const auto d = s.failed("b1", 0, because("x"), 0ms);
  CHECK(d.stop == names{"b2"});
  CHECK(d.restart == names{"b1"});
  CHECK(s.child("b2")->state == child_state::ended);
}

TEST_CASE("all: everybody is stopped, the youngest first, and started, the oldest first") {
  auto s = of_regions(with(supervision_strategy::all));
  const auto d = s.failed("a2", 0, because("x"), 0ms);
  CHECK(d.stop == names{"b2", "b1", "a1"});
  CHECK(d.restart == names{"a1", "a2", "b1"});
}

TEST_CASE("a temporary child is never restarted, its failure is recorded") {
  auto s = of_regions(with(supervision_strategy::all));
  const auto d = s.failed("b2", 0, because("helper died"), 5ms);
  CHECK(d.action == supervision_action::ended);
  REQUIRE(s.history().size() == 1);
  CHECK(s.history()[0].causes[0].cause() == "helper died");
  CHECK(s.restarts() == 0);
}

TEST_CASE("the normal end is the end of a transient child and a failure of a permanent one") {
  supervisor_state s{"root", {}};
  s.add({"for ever", child_restart::permanent});
  s.add({"for now", child_restart::transient});
  CHECK(s.ended("for now", 0, 0ms).action == supervision_action::ended);
  CHECK(!s.all_ended());
  const auto d = s.ended("for ever", 0, 0ms);
  CHECK(d.action == supervision_action::restart);
  CHECK(d.restart == names{"for ever"});
  s.remove("for ever");
  CHECK(s.all_ended());
}

TEST_CASE("notices of stopped, replaced and unknown children are ignored") {
  auto s = of_regions(with(supervision_strategy::region));
  const auto d = s.failed("a1", 0, because("x"), 0ms);
  CHECK(s.failed("a2", 0, because("stopped"), 1ms).action == supervision_action::ignored); // old attempt
  CHECK(s.failed("a2", 1, because("stopped"), 1ms).action == supervision_action::ignored); // not started yet
  start_all(s, d.restart);
  CHECK(s.failed("a1", 0, because("late notice"), 2ms).action == supervision_action::ignored);
  CHECK(s.failed("nobody", 0, because("?"), 2ms).action == supervision_action::ignored);
  CHECK(s.ended("a1", 0, 2ms).action == supervision_action::ignored);
  CHECK(s.history().size() == 1);
  CHECK(s.failed("a1", 1, because("really"), 3ms).action == supervision_action::restart);
}

TEST_CASE("the restart intensity is exact at the edge of its period") {
  for (const auto& [gap, escalates] : {std::pair{1000ms, true}, std::pair{1001ms, false}}) {
    supervisor_settings settings;
    settings.intensity = restart_intensity{2, 1000ms};
    supervisor_state s{"root", settings};
    s.add({"c", child_restart::permanent});
    const auto fail = [&](std::uint32_t attempt, std::chrono::milliseconds at) {
      const auto d = s.failed("c", attempt, because("x"), at);
      s.started("c");
      return d.action;
    };
    CHECK(fail(0, 0ms) == supervision_action::restart);
    CHECK(fail(1, 400ms) == supervision_action::restart);
    // The restart at 0 is `gap` old: exactly 1000 ms still counts.
    CHECK(fail(2, gap) == (escalates ? supervision_action::escalate : supervision_action::restart));
  }
}

TEST_CASE("an intensity of none escalates at the first failure") {
  supervisor_settings settings;
  settings.intensity = restart_intensity{0, 1s};
  supervisor_state s{"root", settings};
  s.add({"c", child_restart::permanent});
  CHECK(s.failed("c", 0, because("x"), 0ms).action == supervision_action::escalate);
}

TEST_CASE("without limit a child is restarted for ever") {
  supervisor_settings settings;
  settings.intensity.reset();
  supervisor_state s{"root", settings};
  s.add({"c", child_restart::permanent});
  for (std::uint32_t i = 0; i < 1000; ++i) {
    REQUIRE(s.failed("c", i, because("x"), 0ms).action == supervision_action::restart);
    s.started("c");
  }
  CHECK(s.restarts() == 1000);
  CHECK(s.history().size() == 64);
  CHECK(s.history().back().attempt == 999);
}

TEST_CASE("escalation stops who still runs, carries the chain of causes and ends the supervisor") {
  auto settings = with(supervision_strategy::region);
  settings.intensity = restart_intensity{0, 10min};
  auto s = of_regions(settings);
  const auto d = s.failed("a1", 0, because("std::runtime_error: boom"), 0ms);
  CHECK(d.action == supervision_action::escalate);
  CHECK(d.stop == names{"b2", "b1", "a2"});
  CHECK(d.restart.empty());
  REQUIRE(d.causes.size() == 2);
  CHECK(d.causes[0].code() == errc::user_function_failed);
  CHECK(d.causes[1].code() == errc::restart_limit_exceeded);
  CHECK(d.causes[1].cause() ==
        "job master gave up restarting: 1 failures within 10 min, 0 restarts are allowed; last to fail: a1");
  CHECK(s.escalated());
  CHECK(s.failed("b1", 0, because("y"), 1ms).action == supervision_action::ignored);

  // The parent's verdict comes on top.
  supervisor_settings parent_settings;
  parent_settings.backoff = restart_settings::never();
  supervisor_state parent{"dispatcher", parent_settings};
  parent.add({"job master", child_restart::transient});
  const auto up = parent.failed("job master", 0, d.causes, 1ms);
  REQUIRE(up.causes.size() == 3);
  CHECK(up.causes[2].cause() == "dispatcher gave up restarting (no restarts); last to fail: job master");
  const auto text = format_causes(up.causes);
  CHECK(text.starts_with("restart_limit_exceeded: dispatcher gave up"));
  CHECK(text.ends_with("\n  caused by: user_function_failed: std::runtime_error: boom"));
}

TEST_CASE("the back-off delays restarts, and failures inside a wait are answered by that restart") {
  auto settings = with(supervision_strategy::region);
  settings.intensity = restart_intensity{1, 1h};
  settings.backoff = restart_settings::exponential(1s, 1min, 2, 0);
  auto s = of_regions(settings);
  const auto first = s.failed("a1", 0, because("x"), 0ms);
  CHECK(first.delay == 1s);
  const auto merged = s.failed("b1", 0, because("y"), 400ms);
  CHECK(merged.action == supervision_action::restart);
  CHECK(merged.delay == 600ms);
  CHECK(merged.restart == names{"b1"});
  start_all(s, {"a1", "a2", "b1"});
  CHECK(s.failed("a1", 1, because("z"), 5s).action == supervision_action::escalate); // the second that counts
}

TEST_CASE("fixed and failure-rate back-off limit by themselves") {
  supervisor_settings settings;
  settings.intensity.reset();
  settings.backoff = restart_settings::fixed(1, 250ms);
  supervisor_state fixed{"root", settings};
  fixed.add({"c", child_restart::permanent});
  CHECK(fixed.failed("c", 0, because("x"), 0ms).delay == 250ms);
  fixed.started("c");
  CHECK(fixed.failed("c", 1, because("x"), 24h).action == supervision_action::escalate);

  settings.backoff = restart_settings::rate(1, 1s, 10ms);
  supervisor_state rate{"root", settings};
  rate.add({"c", child_restart::permanent});
  CHECK(rate.failed("c", 0, because("x"), 0ms).action == supervision_action::restart);
  rate.started("c");
  CHECK(rate.failed("c", 1, because("x"), 1001ms).action == supervision_action::restart);
  rate.started("c");
  CHECK(rate.failed("c", 2, because("x"), 2001ms).action == supervision_action::escalate);
}

TEST_CASE("an id can be given once") {
  supervisor_state s{"root", {}};
  s.add({"c"});
  CHECK_THROWS_AS(s.add({"c"}), error);
  s.remove("c");
  CHECK_NOTHROW(s.add({"c"}));
}
