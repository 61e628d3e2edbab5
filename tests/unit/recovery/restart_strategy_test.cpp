#include <dataflow/config/configuration.hpp>
#include <dataflow/recovery/restart_strategy.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace dataflow;
using namespace std::chrono_literals;

TEST_CASE("without a strategy every failure is final") {
  const auto s = make_restart_strategy(restart_settings::never(), 1);
  CHECK(!s->failed(0ms).restart);
  CHECK(!s->failed(1h).restart);
}

TEST_CASE("fixed delay counts for ever") {
  const auto s = make_restart_strategy(restart_settings::fixed(2, 10ms), 1);
  for (int i = 0; i < 2; ++i) {
    const auto d = s->failed(i * 24h);
    CHECK(d.restart);
    CHECK(d.delay == 10ms);
  }
  CHECK(!s->failed(72h).restart);
  CHECK(!make_restart_strategy(restart_settings::fixed(0, 10ms), 1)->failed(0ms).restart);
}

TEST_CASE("a failure rate of none refuses every restart") {
  const auto s = make_restart_strategy(restart_settings::rate(0, 1s, 0ms), 1);
  CHECK(!s->failed(0ms).restart);
  CHECK(!s->failed(1h).restart);
}

TEST_CASE("exponential delay gives up after its attempts, and a quiet period gives them back") {
  const auto s = make_restart_strategy(restart_settings::exponential(1s, 8s, 2, 0, 10s, 3), 1);
  CHECK(s->failed(0s).delay == 1s);
  CHECK(s->failed(2s).delay == 2s);
  CHECK(s->failed(5s).delay == 4s);
  CHECK(!s->failed(10s).restart);
  const auto after = s->failed(10s + 8s + 10s);
  CHECK(after.restart);
  CHECK(after.delay == 1s);
}

TEST_CASE("jitter stays within its share, inside the limits, and is the same for the same seed") {
  const auto settings = restart_settings::exponential(1s, 60s, 10, 0.1);
  std::set<std::int64_t> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto a = make_restart_strategy(settings, seed), b = make_restart_strategy(settings, seed);
    CHECK(a->failed(0s).delay >= 1s); // never below the initial one
    (void)b->failed(0s);
    const auto second = a->failed(2s);
    CHECK(second.delay >= 9s);
    CHECK(second.delay <= 11s);
    CHECK(second.delay == b->failed(2s).delay);
    seen.insert(second.delay.count());
    CHECK(a->failed(100s).delay == 60s); // 100 s +- 10 s, cut
  }
  CHECK(seen.size() > 50);
}

TEST_CASE("the delay survives thousands of failures without overflow") {
  const auto s = make_restart_strategy(restart_settings::exponential(1s, 60s, 1000, 1.0), 3);
  auto now = 0ms;
  for (int i = 0; i < 5000; ++i) {
    const auto d = s->failed(now);
    REQUIRE(d.delay >= 1s);
    REQUIRE(d.delay <= 60s);
    now += d.delay + 1ms;
  }
}

TEST_CASE("settings come from the configuration") {
  configuration c;
  CHECK(restart_settings::from(c).kind == restart_kind::none);
  c.set("restart-strategy.type", "failure-rate");
  c.set("restart-strategy.failure-rate.max-failures-per-interval", "4");
  c.set("restart-strategy.failure-rate.failure-rate-interval", "5 min");
  const auto rate = restart_settings::from(c);
  CHECK(rate.kind == restart_kind::failure_rate);
  CHECK(rate.max_failures == 4);
  CHECK(rate.interval == 5min);
  CHECK(rate.delay == 1s);
  c.set("restart-strategy.type", "fixed-delay").set("restart-strategy.fixed-delay.attempts", "3");
  CHECK(restart_settings::from(c).attempts == 3);
  c.set("restart-strategy.type", "exponential-delay");
  const auto exponential = restart_settings::from(c);
  CHECK(exponential.initial == 1s);
  CHECK(exponential.maximum == 1min);
  CHECK(exponential.multiplier == 1.5);
  CHECK(exponential.jitter == 0.1);
  CHECK(exponential.reset_after == 1h);
  c.set("restart-strategy.exponential-delay.initial-backoff", "2 min");
  CHECK_THROWS_AS(restart_settings::from(c), error);
}

TEST_CASE("settings out of range are refused") {
  CHECK_THROWS_AS(make_restart_strategy(restart_settings::exponential(0ms, 1s), 1), error);
  CHECK_THROWS_AS(make_restart_strategy(restart_settings::exponential(1s, 2s, 0.5), 1), error);
  CHECK_THROWS_AS(make_restart_strategy(restart_settings::exponential(1s, 2s, 2, 1.5), 1), error);
  CHECK_THROWS_AS(make_restart_strategy(restart_settings::rate(1, 0ms, 1s), 1), error);
  CHECK_THROWS_AS(make_restart_strategy(restart_settings::fixed(1, -1ms), 1), error);
}
