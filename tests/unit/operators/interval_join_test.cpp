#include <dataflow/operators/interval_join.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <set>
#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

struct item {
  std::int64_t key = 0;
  std::string id;
};
const output_tag<item> late_left{"late-left"}, late_right{"late-right"};
constexpr auto least = std::numeric_limits<std::int64_t>::min();
constexpr auto greatest = std::numeric_limits<std::int64_t>::max();

struct pairing {
  void operator()(const item& l, const item& r, collector<std::string>& out) const {
    if (l.id == "bad") throw std::runtime_error("a bad record");
    out.collect(l.id + "+" + r.id);
  }
};
using key = std::int64_t item::*;
using join_operator = interval_join_operator<item, item, std::string, pairing, key, key>;

operator_factory join(std::chrono::milliseconds lower, std::chrono::milliseconds upper, bool side_outputs = false,
                      join_operator** made = nullptr) {
  return [=] {
    interval_join_config<item, item> config{{lower, upper}};
    if (side_outputs) {
      config.late_left = late_left;
      config.late_right = late_right;
    }
    auto op = std::make_unique<join_operator>(&item::key, &item::key, config, std::tuple<>{});
    if (made) *made = op.get();
    return op;
  };
}
std::int64_t late_dropped(operator_runner& r) { return r.counters["numLateRecordsDropped"].value(); }

} // namespace
DATAFLOW_RECORD(item, key, id);

TEST_CASE("an interval join emits a pair when its second record comes, with the larger timestamp") {
  operator_runner r{join(-1s, 1s), {.inputs = 2}};
  auto& out = r.capture<std::string>();
  r.push_timed<item>({{{1, "a"}, 5000}, {{2, "b"}, 5000}}, 0);
  CHECK(out.empty());
  r.push_timed<item>({{{1, "x"}, 4000}, {{1, "y"}, 6000}, {{1, "z"}, 6001}, {{1, "w"}, 3999}, {{3, "v"}, 5000}}, 1);
  REQUIRE(values_of(out) == std::vector<std::string>{"a+x", "a+y"});
  CHECK(out[0].time == 5000);
  CHECK(out[1].time == 6000);
  // Partners come in the order of their timestamps, of equal ones in the order of arrival.
  r.push_timed<item>({{{1, "u"}, 5000}}, 1);
  r.push_timed<item>({{{1, "c"}, 5000}}, 0);
  CHECK(values_of(out) == std::vector<std::string>{"a+x", "a+y", "a+u", "c+x", "c+u", "c+y"});
}

TEST_CASE("bounds of an interval join can be exclusive, one-sided and far away") {
  auto pairs = [](interval_bounds bounds, std::int64_t left, std::int64_t right) {
    unsigned n = 0;
    for (unsigned first : {0u, 1u}) {
      operator_runner r{[&] {
                          return std::make_unique<join_operator>(
                              &item::key, &item::key, interval_join_config<item, item>{bounds}, std::tuple<>{});
                        },
                        {.inputs = 2}};
      auto& out = r.capture<std::string>();
      for (unsigned input : {first, 1 - first})
        r.push_timed<item>({{{1, "r"}, input == 0 ? left : right}}, input);
      n = n * 10 + static_cast<unsigned>(out.size());
    }
    return n; // 11: joined, whichever came first; 0: not
  };
  CHECK(pairs({-1s, 1s}, 5000, 4000) == 11);
  CHECK(pairs({-1s, 1s, false}, 5000, 4000) == 0);
  CHECK(pairs({-1s, 1s, false}, 5000, 4001) == 11);
  CHECK(pairs({-1s, 1s, true, false}, 5000, 6000) == 0);
  CHECK(pairs({-1s, 1s, true, false}, 5000, 5999) == 11);
  CHECK(pairs({1s, 2s}, 5000, 6000) == 11);
  CHECK(pairs({1s, 2s}, 5000, 5999) == 0);
  CHECK(pairs({-2s, -1s}, 5000, 4000) == 11);
  CHECK(pairs({-2s, -1s}, 5000, 4001) == 0);
  CHECK(pairs({0s, 0s}, -7, -7) == 11);
  // Where timestamps end, nothing wraps around.
  const std::chrono::milliseconds all_low{least}, all_high{greatest};
  CHECK(pairs({all_low, all_high}, 0, greatest) == 11);
  CHECK(pairs({all_low, all_high}, greatest, 0) == 11);
  CHECK(pairs({all_low, all_high}, least + 1, greatest) == 0); // further apart than a bound can say
  CHECK(pairs({-1s, 1s}, greatest - 5, greatest) == 11);
  CHECK(pairs({-1s, 1s}, greatest - 5, least + 5) == 0);
  CHECK(pairs({10ms, 20ms}, greatest - 5, greatest) == 0);
  CHECK(pairs({-20ms, -10ms}, least + 5, least + 1) == 0);
  CHECK(pairs({-1s, 1s}, least + 1, least + 1001) == 11);
}

TEST_CASE("bounds between which no timestamp lies are refused") {
  CHECK_THROWS_WITH_AS(
      (interval_bounds{1s, -1s}),
      "invalid_argument: interval join: no timestamp lies between the bounds 1000 ms (inclusive) and -1000 ms "
      "(inclusive) (give the lower bound first: between(-60s, 60s) joins what is at most a minute apart)",
      error);
  CHECK_THROWS_AS((interval_bounds{1s, 1s, false}), error);
  CHECK_THROWS_AS((interval_bounds{1s, 1s, true, false}), error);
  CHECK_THROWS_AS((interval_bounds{1s, 1001ms, false, false}), error);
  CHECK_THROWS_AS((interval_bounds{std::chrono::milliseconds{greatest}, std::chrono::milliseconds{greatest}, false}),
                  error);
  CHECK_NOTHROW(interval_bounds{1s, 1s});
  CHECK_NOTHROW(interval_bounds{1s, 1002ms, false, false});
}

TEST_CASE("late records of an interval join are counted, or go to their side's output") {
  operator_runner dropping{join(-1s, 1s), {.inputs = 2}};
  auto& out = dropping.capture<std::string>();
  dropping.push_timed<item>({{{1, "a"}, 5000}}, 0);
  dropping.watermark(5000);
  dropping.push_timed<item>({{{1, "late"}, 4999}, {{1, "x"}, 5000}}, 1); // equal to the watermark: on time
  dropping.push_timed<item>({{{1, "late"}, 4999}}, 0);
  CHECK(values_of(out) == std::vector<std::string>{"a+x"});
  CHECK(late_dropped(dropping) == 2);

  operator_runner keeping{join(-1s, 1s, true), {.inputs = 2}};
  auto& left = keeping.capture(late_left);
  auto& right = keeping.capture(late_right);
  keeping.watermark(5000);
  keeping.push_timed<item>({{{1, "l"}, 4999}}, 0);
  keeping.push_timed<item>({{{1, "r"}, 4000}}, 1);
  REQUIRE(left.size() == 1);
  CHECK(left[0].value.id == "l");
  CHECK(left[0].time == 4999);
  REQUIRE(right.size() == 1);
  CHECK(right[0].value.id == "r");
  CHECK(late_dropped(keeping) == 0);
}

TEST_CASE("an interval join forgets a record at the watermark that no partner can follow") {
  operator_runner r{join(-2s, 1s), {.inputs = 2}};
  auto& out = r.capture<std::string>();
  r.push_timed<item>({{{1, "a"}, 10000}}, 0);
  r.push_timed<item>({{{2, "x"}, 9000}}, 1);
  r.watermark(10999);
  r.push_timed<item>({{{1, "y"}, 11000}}, 1);
  CHECK(values_of(out) == std::vector<std::string>{"a+y"});
  r.watermark(11000); // a waits until 10000 + 1000, x until 9000 + 2000, both exclusively
  r.push_timed<item>({{{1, "z"}, 11000}}, 1);
  r.push_timed<item>({{{2, "b"}, 11000}}, 0);
  CHECK(values_of(out) == std::vector<std::string>{"a+y"});

  // A record that is as old as the watermark and waits for nothing later stays until the watermark advances.
  operator_runner past{join(-1s, 0s), {.inputs = 2}};
  auto& pairs = past.capture<std::string>();
  past.watermark(9000);
  past.push_timed<item>({{{1, "a"}, 9000}}, 0);
  past.restart();
  past.push_timed<item>({{{1, "x"}, 9000}}, 1);
  past.push_timed<item>({{{1, "b"}, 9001}}, 0);
  past.watermark(9001);
  past.push_timed<item>({{{1, "y"}, 9001}}, 1);
  CHECK(values_of(pairs) == std::vector<std::string>{"a+x", "b+x"});
}

TEST_CASE("an interval join forgets keys that are never seen again") {
  join_operator* op = nullptr;
  operator_runner r{join(-1s, 1s, false, &op), {.inputs = 2}};
  std::size_t most = 0;
  for (std::int64_t t = 0; t < 100'000; t += 100) {
    std::vector<std::pair<item, std::int64_t>> fresh;
    for (std::int64_t k = 0; k < 10; ++k)
      fresh.push_back({{t * 10 + k, "r"}, t + k});
    r.push_timed(fresh, t / 100 % 2 == 0 ? 0 : 1);
    r.watermark(t);
    most = std::max(most, op->keys());
  }
  CHECK(most < 400); // of 10,000: those of two or three seconds
  r.watermark(greatest);
  CHECK(op->keys() == 0);
  REQUIRE(!r.controls.empty());
  CHECK(r.controls.back().value == greatest);
}

TEST_CASE("a watermark that ends many keys can be interrupted, and goes on last") {
  join_operator* op = nullptr;
  operator_runner r{join(-1s, 1s, false, &op), {.inputs = 2}};
  r.capture<std::string>();
  std::vector<std::pair<item, std::int64_t>> many;
  for (std::int64_t k = 0; k < 20'000; ++k)
    many.push_back({{k, "r"}, 1000});
  r.push_timed(many, 0);
  r.pause = true; // every call of the operator is one run of the chain
  const auto before = r.runs;
  r.watermark(1'000'000);
  CHECK(r.runs - before >= 5);
  CHECK(op->keys() == 0);
  CHECK(r.controls.size() == 1);
}

TEST_CASE("records without a timestamp fail an interval join, or are skipped when that was asked for") {
  operator_runner r{join(-1s, 1s), {.inputs = 2}};
  CHECK_THROWS_WITH_AS(
      r.push<item>({{1, "a"}}, 1),
      "missing_timestamp: operator \"op\" in task \"task\" (1/1) attempt 0: a record without a "
      "timestamp came to an interval join (call assign_timestamps_and_watermarks() on the stream before "
      "it)",
      error);
  operator_runner none{join(-1s, 1s), {.inputs = 2}};
  CHECK_THROWS_AS(none.push_timed<item>({{{1, "a"}, least}}, 0), error);

  operator_runner skipping{join(-1s, 1s), {.inputs = 2, .policy = {record_error_policy::kind::skip, 0, 0}}};
  auto& out = skipping.capture<std::string>();
  skipping.push<item>({{1, "a"}}, 0);
  skipping.push_timed<item>({{{1, "x"}, 1000}, {{1, "y"}, 1000}}, 1);
  skipping.push_timed<item>({{{1, "bad"}, 1000}, {{1, "b"}, 1000}}, 0); // a pair of it throws: it joins with nothing
  skipping.push_timed<item>({{{1, "z"}, 1000}}, 1);
  CHECK(values_of(out) == std::vector<std::string>{"b+x", "b+y", "b+z"});
  CHECK(skipping.counters["numRecordsSkipped"].value() == 2);
}

TEST_CASE("an interval join agrees with the joining of all with all, also when it restarts at any time") {
  for (const bool restarting : {false, true})
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
      CAPTURE(seed);
      std::mt19937 random{seed};
      const std::int64_t lower = -static_cast<std::int64_t>(random() % 40),
                         upper = static_cast<std::int64_t>(random() % 40);
      operator_runner r{join(std::chrono::milliseconds{lower}, std::chrono::milliseconds{upper}), {.inputs = 2}};
      auto& out = r.capture<std::string>();
      struct event {
        std::int64_t key, time;
        std::string id;
      };
      std::vector<event> sides[2];
      std::multiset<std::string> expected;
      std::int64_t now = 0;
      for (int i = 0; i < 400; ++i) {
        now += static_cast<std::int64_t>(random() % 3);
        const unsigned side = random() % 2;
        event e{static_cast<std::int64_t>(random() % 5), now + static_cast<std::int64_t>(random() % 15),
                std::to_string(i)};
        for (auto& other : sides[1 - side]) {
          auto& l = side == 0 ? e : other;
          auto& x = side == 0 ? other : e;
          if (l.key == x.key && x.time >= l.time + lower && x.time <= l.time + upper)
            expected.insert(l.id + "+" + x.id);
        }
        r.push_timed<item>({{{e.key, e.id}, e.time}}, side);
        sides[side].push_back(e);
        if (i % 7 == 0) r.watermark(now - 1); // all that comes is at least now: every partner is still there
        if (restarting && i % 5 == 0) r.restart();
      }
      auto got = values_of(out);
      CHECK(std::multiset<std::string>(got.begin(), got.end()) == expected);
      CHECK(late_dropped(r) == 0);
    }
}

TEST_CASE("the watermark of a join is state: what was late stays late") {
  operator_runner r{join(-1s, 1s), {.inputs = 2}};
  auto& out = r.capture<std::string>();
  r.push_timed<item>({{{1, "a"}, 6000}}, 0);
  r.watermark(5500);
  r.restart();
  r.push_timed<item>({{{1, "late"}, 5499}, {{1, "x"}, 5500}}, 1);
  CHECK(values_of(out) == std::vector<std::string>{"a+x"});
  CHECK(late_dropped(r) == 1);
}

TEST_CASE("after a change of the parallelism the least watermark counts") {
  last_watermark a, b;
  a.set(timestamp{5s});
  b.set(timestamp{3s});
  auto parts = std::make_shared<operator_snapshot>();
  for (auto* w : {&a, &b}) {
    state_registry before{{0, 127}, 128};
    before.declare(*w);
    auto one = before.snapshot().states.at("watermark");
    auto& all = parts->states["watermark"];
    all.info = one.info;
    all.parts.insert(all.parts.end(), one.parts.begin(), one.parts.end());
  }
  state_registry after{{0, 127}, 128, parts};
  last_watermark merged;
  after.declare(merged);
  CHECK(merged.value() == timestamp{3s});
}

namespace {

/// Partners on the second input for one record on the first.
std::vector<std::pair<item, std::int64_t>> partners(std::size_t n) {
  std::vector<std::pair<item, std::int64_t>> all(n);
  for (std::size_t i = 0; i < n; ++i)
    all[i] = {{1, std::to_string(i)}, 1000};
  return all;
}
bool each_once(const std::vector<delivered<std::string>>& out, std::size_t n) {
  std::set<std::string> different;
  for (auto& d : out)
    different.insert(d.value);
  return out.size() == n && different.size() == n;
}

/// Throws at some partner, the first time or the first times.
struct stumbling {
  std::shared_ptr<int> failures;
  void operator()(const item& l, const item& r, collector<std::string>& out) const {
    out.collect(l.id + "+" + r.id);
    if (l.id == "bad" && r.id == "150" && (*failures)-- > 0) throw std::runtime_error("a bad pair");
  }
};

} // namespace

TEST_CASE("a record with very many partners can be interrupted between any two of its pairs, and loses none") {
  constexpr std::size_t n = 5000;
  operator_runner r{join(-1s, 1s), {.inputs = 2}};
  auto& out = r.capture<std::string>();
  r.push_timed(partners(n), 1);
  const auto before = r.runs;
  r.pause = true;
  r.push_timed<item>({{{1, "a"}, 1000}, {{1, "b"}, 1001}}, 0);
  CHECK(each_once(out, 2 * n));
  CHECK(r.runs - before >= 2 * n); // every call stopped behind one pair
  CHECK(out.front().value == "a+0");
  CHECK(out[n - 1].value == "a+" + std::to_string(n - 1));
  CHECK(out[n].value == "b+0");
  r.pause = false;
  r.push_timed<item>({{{1, "x"}, 1000}}, 1); // both of them are in the buffer now, once each
  CHECK(values_of(out).back() == "b+x");
  CHECK(out.size() == 2 * n + 2);
}

namespace {
/// Asks for a pause at its 150th pair.
struct pausing {
  std::atomic<bool>* pause;
  int pairs = 0;
  void operator()(const item& l, const item& r, collector<std::string>& out) {
    if (++pairs == 150) *pause = true;
    out.collect(l.id + "+" + r.id);
  }
};
} // namespace

TEST_CASE("pairs of one record leave in batches of the usual size, while there are more of them") {
  operator_runner::options o{.inputs = 2};
  o.limits.records = 100;
  std::atomic<bool>* pause = nullptr;
  operator_runner r{[&] {
                      return std::make_unique<interval_join_operator<item, item, std::string, pausing, key, key>>(
                          &item::key, &item::key, interval_join_config<item, item>{{-1s, 1s}},
                          std::tuple{pausing{pause}});
                    },
                    o};
  pause = &r.pause;
  auto& out = r.capture<std::string>();
  r.push_timed(partners(1000), 1);
  auto one = r.batch_of<item>({{1, "a"}});
  one->timestamps.push_back(timestamp{1s});
  r.step(element::of(std::move(one)), 1);
  CHECK(out.size() == 100); // gone on before the pause was asked for
  r.pause = false;
  r.run_again();
  CHECK(each_once(out, 1000));
}

TEST_CASE("a snapshot between two pairs of a record knows which of them have gone out") {
  constexpr std::size_t n = 300;
  operator_runner r{join(-1s, 1s), {.inputs = 2}};
  auto& out = r.capture<std::string>();
  r.push_timed(partners(n), 1);
  r.pause = true;
  auto one = r.batch_of<item>({{1, "a"}});
  one->timestamps.push_back(timestamp{1s});
  r.step(element::of(std::move(one)), 20);
  CHECK(out.size() == 10);
  r.restart();
  r.restart(); // it is still known when nothing has come in between
  r.pause = false;
  // What was in flight comes again: that record, after one of another key.
  r.push_timed<item>({{{2, "other"}, 1000}, {{1, "a"}, 1000}, {{1, "a2"}, 1000}}, 0);
  CHECK(each_once(out, 2 * n));
}

TEST_CASE("under a record-error policy all pairs of a record go on, or none, however often it is interrupted") {
  using kind = record_error_policy::kind;
  constexpr std::size_t n = 300;
  struct expected_of {
    record_error_policy policy;
    int failures;
    std::size_t results;
  };
  for (auto& e : {expected_of{{kind::skip, 0, 0}, 1, n}, expected_of{{kind::retry, 2, 0}, 2, 2 * n},
                  expected_of{{kind::skip, 0, 0}, 0, 2 * n}})
    for (const bool pause : {false, true})
      for (const bool restart : {false, true}) {
        auto failures = std::make_shared<int>(e.failures);
        operator_runner::options o{.inputs = 2, .policy = e.policy};
        o.limits.records = 64;
        operator_runner r{
            [&] {
              return std::make_unique<interval_join_operator<item, item, std::string, stumbling, key, key>>(
                  &item::key, &item::key, interval_join_config<item, item>{{-1s, 1s}}, std::tuple{stumbling{failures}});
            },
            o};
        auto& out = r.capture<std::string>();
        r.push_timed(partners(n), 1);
        r.pause = pause;
        if (restart) { // nothing of the record has gone out: it comes again as a whole
          auto one = r.batch_of<item>({{1, "bad"}});
          one->timestamps.push_back(timestamp{1s});
          if (pause) {
            r.step(element::of(std::move(one)), 20);
            CHECK(out.empty());
            r.restart();
          }
        }
        r.push_timed<item>({{{1, "bad"}, 1000}, {{1, "good"}, 1000}}, 0);
        CHECK(each_once(out, e.results));
      }
}
