#include <dataflow/operators/async_wait.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <tests/support/operator_runner.hpp>
#include <thread>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

using number = std::int64_t;
using numbers = std::vector<number>;
using options_of = async_options<number, number>;
const output_tag<async_failure<number>> failures{"failures"};
const output_tag<number> bad{"bad"};

/// What the function was asked, for the test to answer.
struct service {
  struct question {
    number record;
    async_result<number> result;
  };
  std::vector<question> asked;
  int opened = 0, closed = 0;
  void answer(std::size_t i) const { asked[i].result.complete({asked[i].record * 10}); }
  numbers records() const {
    numbers all;
    for (auto& q : asked)
      all.push_back(q.record);
    return all;
  }
};
struct client {
  std::shared_ptr<service> to;
  void open(runtime_context&) { ++to->opened; }
  void close() { ++to->closed; }
  void operator()(const number& n, async_result<number> result) const { to->asked.push_back({n, std::move(result)}); }
};
struct client_with_timeout : client {
  using client::operator();
  void timeout(const number& n, async_result<number> result) const { result.complete_with(-n); }
};

template <class F = client>
operator_factory asking(F f, bool ordered, options_of o = {}) {
  return [=] {
    return std::make_unique<async_wait_operator<number, number, F>>(
        f, async_settings{o.timeout, o.capacity, o.retry, ordered}, o);
  };
}

} // namespace

TEST_CASE("unordered results leave as they come, ordered ones in the order of their records") {
  for (const bool ordered : {false, true}) {
    auto s = std::make_shared<service>();
    operator_runner r{asking(client{s}, ordered)};
    auto& out = r.capture<number>();
    r.push_timed<number>({{1, 100}, {2, 200}, {3, 300}});
    CHECK(s->records() == numbers{1, 2, 3});
    CHECK(out.empty());
    s->answer(2);
    r.run_again();
    CHECK(values_of(out) == (ordered ? numbers{} : numbers{30}));
    s->answer(0);
    r.run_again();
    CHECK(values_of(out) == (ordered ? numbers{10} : numbers{30, 10}));
    s->asked[1].result.complete({21, 22}); // several results, or none
    r.run_again();
    REQUIRE(values_of(out) == (ordered ? numbers{10, 21, 22, 30} : numbers{30, 10, 21, 22}));
    CHECK(out[2].time == 200); // that of the record
    r.push_timed<number>({{4, 400}});
    s->asked[3].result.complete({});
    r.end();
    CHECK(out.size() == 4);
    CHECK(r.controls.back().kind == element_kind::end);
  }
}

TEST_CASE("no result overtakes a watermark or another control element") {
  auto s = std::make_shared<service>();
  operator_runner r{asking(client{s}, false)};
  auto& out = r.capture<number>();
  r.watermark(1);
  REQUIRE(r.controls.size() == 1); // nothing to wait for
  r.push<number>({1, 2});
  r.watermark(5);
  r.watermark(10);
  r.push<number>({3, 4});
  r.push(element::control(element_kind::idle));
  r.push(element::control(element_kind::active));
  r.push<number>({5});
  for (auto i : {4u, 3u, 1u})
    s->answer(i);
  r.run_again();
  CHECK(values_of(out) == numbers{20});
  CHECK(r.controls.size() == 1);
  s->answer(0);
  r.run_again();
  CHECK(values_of(out) == numbers{20, 10, 40});
  REQUIRE(r.controls.size() == 2);
  CHECK(r.controls[1].value == 10); // of two watermarks that follow each other the last one
  CHECK(r.controls[1].records_before == 2);
  s->answer(2);
  r.run_again();
  CHECK(values_of(out) == numbers{20, 10, 40, 30, 50});
  REQUIRE(r.controls.size() == 4);
  CHECK(r.controls[2].kind == element_kind::idle);
  CHECK(r.controls[3].kind == element_kind::active);
  CHECK(r.controls[3].records_before == 4);
}

TEST_CASE("no more records are taken than the capacity allows, and nobody spins meanwhile") {
  for (const bool ordered : {false, true}) {
    auto s = std::make_shared<service>();
    operator_runner r{asking(client{s}, ordered, {.capacity = 2})};
    auto& out = r.capture<number>();
    r.push<number>({1, 2, 3, 4, 5});
    CHECK(s->records() == numbers{1, 2});
    CHECK(r.state == chain_state::blocked);
    const auto runs = r.runs;
    r.run_again(); // nothing has changed
    CHECK(r.runs == runs + 1);
    CHECK(s->asked.size() == 2);
    s->answer(0);
    r.run_again();
    CHECK(s->records() == numbers{1, 2, 3});
    CHECK(r.state == chain_state::blocked);
    for (std::size_t i = 1; i < 5; ++i) {
      s->answer(i);
      r.run_again();
    }
    CHECK(values_of(out) == numbers{10, 20, 30, 40, 50});
    CHECK(r.state == chain_state::drained);
  }
  // Held behind a watermark, answered requests still count.
  auto s = std::make_shared<service>();
  operator_runner r{asking(client{s}, false, {.capacity = 2})};
  r.push<number>({1});
  r.watermark(5);
  r.push<number>({2, 3});
  s->answer(1);
  r.run_again();
  CHECK(s->records() == numbers{1, 2});
}

TEST_CASE("answers may come inside the call") {
  for (const bool ordered : {false, true}) {
    struct at_once {
      void operator()(const number& n, async_result<number> result) const { result.complete_with(n + 1); }
    };
    operator_runner r{asking(at_once{}, ordered, {.capacity = 3})};
    auto& out = r.capture<number>();
    numbers in, expected;
    for (number i = 0; i < 1000; ++i) {
      in.push_back(i);
      expected.push_back(i + 1);
    }
    r.push(in);
    r.watermark(1);
    r.end();
    CHECK(values_of(out) == expected);
    REQUIRE(r.controls.size() == 2);
    CHECK(r.controls[0].records_before == 1000);
  }
}

TEST_CASE("a request that is never answered fails the task after its timeout, by the operator's name") {
  auto s = std::make_shared<service>();
  operator_runner r{asking(client{s}, false, {.timeout = 10s}), {.name = "ask the service"}};
  r.push<number>({1});
  r.set_time(9'999);
  CHECK_THROWS_WITH_AS(r.set_time(10'000),
                       "timed_out: operator \"ask the service\" in task \"task\" (1/1) attempt 0: an asynchronous "
                       "request was not answered within 10000 ms (raise the timeout, give the function a "
                       "timeout(record, result), or send failures to a side output)",
                       error);
}

TEST_CASE("timeouts come to the function's handler, each for its own record") {
  auto s = std::make_shared<service>();
  operator_runner r{asking(client_with_timeout{{s}}, false, {.timeout = 10s})};
  auto& out = r.capture<number>();
  r.push<number>({1, 2});
  r.set_time(4'000);
  r.push<number>({3});
  s->answer(0);
  r.set_time(10'000);
  CHECK(values_of(out) == numbers{10, -2});
  CHECK(s->asked[1].result.done());
  s->answer(1); // too late
  r.set_time(14'000);
  CHECK(values_of(out) == numbers{10, -2, -3});
  r.end();
  CHECK(r.controls.back().kind == element_kind::end);

  struct mute : client {
    using client::operator();
    void timeout(const number&, async_result<number>) const {}
  };
  operator_runner silent{asking(mute{{s}}, false, {.timeout = 10s})};
  silent.push<number>({1});
  silent.set_time(10'000);
  silent.set_time(19'999); // a handler has as long again
  CHECK_THROWS_AS(silent.set_time(20'000), error);
}

TEST_CASE("failures are asked for again, as often and as late as the strategy says") {
  auto s = std::make_shared<service>();
  operator_runner r{asking(client{s}, false, {.timeout = 1min, .retry = fixed_delay{2, 100ms}})};
  auto& out = r.capture<number>();
  r.push<number>({1});
  s->asked[0].result.fail("busy");
  r.run_again();
  r.set_time(99);
  CHECK(s->asked.size() == 1);
  r.set_time(100);
  REQUIRE(s->asked.size() == 2);
  s->asked[0].result.complete({7}); // of an attempt that is over
  s->asked[1].result.fail("busy");
  r.run_again();
  r.set_time(200);
  REQUIRE(s->asked.size() == 3);
  s->answer(2);
  r.run_again();
  CHECK(values_of(out) == numbers{10});

  r.push<number>({2});
  for (auto i : {3u, 4u, 5u}) {
    REQUIRE(s->asked.size() == i + 1);
    s->asked[i].result.fail(error{errc::connection_failed, "refused"});
    if (i < 5) r.run_again(), r.set_time(200 + (i - 2) * 100);
  }
  CHECK_THROWS_WITH_AS(r.run_again(), doctest::Contains("refused"), error);

  const async_retry growing = exponential_delay{5, 100ms, 1s, 3};
  CHECK(growing.delay(1) == 100ms);
  CHECK(growing.delay(2) == 300ms);
  CHECK(growing.delay(3) == 900ms);
  CHECK(growing.delay(4) == 1s);
  CHECK(growing.delay(4'000'000) == 1s);
}

TEST_CASE("predicates choose which results and failures are asked for again") {
  auto s = std::make_shared<service>();
  options_of o;
  o.retry = fixed_delay{1, 100ms};
  o.retry_on_result = [](const numbers& values) { return values.empty(); };
  o.retry_on_error = [](const error& e) { return e.code() == errc::connection_failed; };
  operator_runner r{asking(client{s}, true, o)};
  auto& out = r.capture<number>();
  r.push<number>({1, 2});
  s->asked[0].result.complete({});
  s->asked[1].result.fail(error{errc::connection_failed, "refused"});
  r.run_again();
  r.set_time(100);
  REQUIRE(s->asked.size() == 4);
  s->asked[2].result.complete({}); // no retry is left: an empty answer then
  s->answer(3);
  r.run_again();
  CHECK(values_of(out) == numbers{20});
  r.push<number>({3});
  s->asked[4].result.fail(error{errc::permission_denied, "no"});
  CHECK_THROWS_AS(r.run_again(), error);
}

TEST_CASE("a timeout ends the retries of a record") {
  auto s = std::make_shared<service>();
  operator_runner r{asking(client_with_timeout{{s}}, false, {.timeout = 250ms, .retry = fixed_delay{100, 100ms}})};
  auto& out = r.capture<number>();
  r.push<number>({1});
  for (std::int64_t t : {100, 200, 250, 300}) {
    s->asked.back().result.fail("busy");
    r.run_again();
    r.set_time(t);
  }
  CHECK(s->asked.size() == 3);
  CHECK(values_of(out) == numbers{-1});
}

TEST_CASE("the first answer counts, and answers after the end of the operator are ignored") {
  auto s = std::make_shared<service>();
  {
    operator_runner r{asking(client{s}, false)};
    auto& out = r.capture<number>();
    r.push<number>({1, 2});
    s->answer(0);
    s->asked[0].result.complete({99});
    s->asked[0].result.fail("too late");
    r.run_again();
    s->answer(0);
    r.run_again();
    CHECK(values_of(out) == numbers{10});
    r.close();
    s->answer(1);
    CHECK(s->opened == 1);
    CHECK(s->closed == 1);
  }
  s->asked[1].result.fail("the operator is gone");
}

TEST_CASE("failures go to a side output, are skipped, or fail the task") {
  auto s = std::make_shared<service>();
  operator_runner either{asking(client{s}, true, {.failures = failures})};
  auto& good = either.capture<number>();
  auto& failed = either.capture(failures);
  either.push_timed<number>({{1, 100}, {2, 200}});
  s->asked[1].result.fail("broken");
  s->answer(0);
  either.run_again();
  CHECK(values_of(good) == numbers{10});
  REQUIRE(failed.size() == 1);
  CHECK(failed[0].value == async_failure<number>{2, "user_function_failed: broken"});
  CHECK(failed[0].time == 200);

  s->asked.clear();
  operator_runner skipping{asking(client{s}, false), {.policy = {record_error_policy::kind::skip, 0, 0}}};
  skipping.push<number>({1});
  s->asked[0].result.fail("broken");
  skipping.end();
  CHECK(skipping.counters["numRecordsSkipped"].value() == 1);
  CHECK(skipping.state == chain_state::drained);

  s->asked.clear();
  operator_runner diverting{asking(client{s}, false),
                            {.policy = {record_error_policy::kind::side_output, 0, bad.id()}}};
  auto& diverted = diverting.capture(bad);
  diverting.push<number>({5});
  s->asked[0].result.fail("broken");
  diverting.run_again();
  CHECK(values_of(diverted) == numbers{5});

  struct throwing {
    void operator()(const number&, async_result<number>) const { throw std::runtime_error("cannot even ask"); }
  };
  operator_runner failing{asking(throwing{}, false)};
  CHECK_THROWS_WITH_AS(failing.push<number>({1}), doctest::Contains("cannot even ask"), error);
}

TEST_CASE("unanswered requests are asked again after a restart, behind them the watermark that they held back") {
  for (const bool ordered : {false, true}) {
    auto s = std::make_shared<service>();
    operator_runner r{asking(client{s}, ordered, {.capacity = 2})};
    auto& out = r.capture<number>();
    r.push_timed<number>({{1, 100}, {2, 200}});
    s->answer(0);
    r.run_again();
    r.watermark(150);
    r.restart();
    CHECK(s->records() == numbers{1, 2, 2});
    s->answer(1); // to the instance that is gone
    r.run_again();
    CHECK(values_of(out) == numbers{10});
    CHECK(r.controls.empty());
    s->answer(2);
    r.run_again();
    CHECK(values_of(out) == numbers{10, 20});
    CHECK(out[1].time == 200);
    REQUIRE(r.controls.size() == 1);
    CHECK(r.controls[0].value == 150);
    r.restart(); // nothing is left: the watermark does not come again
    r.push<number>({3});
    s->answer(3);
    r.run_again();
    CHECK(r.controls.size() == 1);
    CHECK(values_of(out) == numbers{10, 20, 30});
  }
}

TEST_CASE("restored requests keep to the capacity and come before new records") {
  auto wide = std::make_shared<service>(), narrow = std::make_shared<service>();
  auto which = std::make_shared<bool>(true); // the second instance has a smaller capacity
  operator_runner r{[=]() -> std::unique_ptr<stream_operator> {
    return *which ? asking(client{wide}, false, {.capacity = 10})() : asking(client{narrow}, false, {.capacity = 2})();
  }};
  auto& out = r.capture<number>();
  r.push<number>({1, 2, 3, 4});
  *which = false;
  r.restart();
  CHECK(narrow->records() == numbers{1, 2});
  r.push<number>({5});
  CHECK(narrow->records() == numbers{1, 2});
  for (std::size_t i = 0; i < 5; ++i) {
    REQUIRE(narrow->asked.size() > i);
    narrow->answer(i);
    r.run_again();
  }
  CHECK(values_of(out) == numbers{10, 20, 30, 40, 50});
}

TEST_CASE("the end of the input waits for all answers") {
  auto s = std::make_shared<service>();
  operator_runner r{asking(client{s}, false)};
  auto& out = r.capture<number>();
  r.push<number>({1, 2});
  r.end();
  CHECK(r.state == chain_state::blocked);
  s->answer(0);
  r.run_again();
  CHECK(r.controls.empty());
  CHECK(r.state == chain_state::blocked);
  s->answer(1);
  r.run_again();
  CHECK(out.size() == 2);
  REQUIRE(r.controls.size() == 1);
  CHECK(r.controls[0].kind == element_kind::end);
  CHECK(r.state == chain_state::drained);
}

TEST_CASE("answers come from many threads at once") {
  for (const bool ordered : {false, true}) {
    auto s = std::make_shared<service>();
    operator_runner r{asking(client{s}, ordered, {.capacity = 64})};
    auto& out = r.capture<number>();
    constexpr number count = 2000;
    numbers in, expected;
    for (number i = 0; i < count; ++i) {
      in.push_back(i);
      expected.push_back(i * 10);
    }
    r.push(in);
    for (std::size_t answered = 0; out.size() < count;) {
      const auto begin = answered, end = s->asked.size();
      answered = end;
      // Answers go on while the operator asks more: the threads have a list of their own.
      const service now{{s->asked.begin() + static_cast<std::ptrdiff_t>(begin), s->asked.end()}};
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
          for (std::size_t i = 0; i < end - begin; ++i)
            if (i % 4 == t || i % 7 == 0) now.answer(i); // some twice
        });
      for (int k = 0; k < 3; ++k)
        r.run_again();
      for (auto& t : threads)
        t.join();
      r.run_again();
    }
    auto got = values_of(out);
    if (!ordered) std::sort(got.begin(), got.end());
    CHECK(got == expected);
  }
}

TEST_CASE("options of asynchronous I/O that cannot be are refused") {
  CHECK_THROWS_AS(detail::check_async_settings({.timeout = 0ms}), error);
  CHECK_THROWS_AS(detail::check_async_settings({.capacity = 0}), error);
  CHECK_THROWS_AS(detail::check_async_settings({.retry = fixed_delay{1, -1ms}}), error);
  CHECK_THROWS_AS(detail::check_async_settings({.retry = exponential_delay{1, 10ms, 5ms}}), error);
  CHECK_THROWS_AS(detail::check_async_settings({.retry = exponential_delay{1, 10ms, 50ms, 0.5}}), error);
  CHECK_NOTHROW(detail::check_async_settings({}));
}
