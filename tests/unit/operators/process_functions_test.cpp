// Process functions with timers and state, one operator in a chain of its own.
#include <dataflow/operators/broadcast_process.hpp>
#include <dataflow/operators/process.hpp>
#include <dataflow/state/operator_list_state.hpp>

#include <doctest/doctest.h>

#include <set>
#include <tests/support/effort.hpp>
#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

using visit = std::pair<std::string, std::int64_t>;
using number = std::int64_t;
timestamp at(std::int64_t t) { return timestamp{std::chrono::milliseconds{t}}; }

template <class F, class I = visit, class O = std::string, class... Arguments>
operator_factory keyed(Arguments... arguments) {
  return [=] {
    return std::make_unique<process_operator<I, O, F, std::string I::*>>(&I::first, std::tuple{arguments...});
  };
}

/// Counts per key; a timer at the record's number puts the count out.
class counter : public keyed_process_function<std::string, visit, std::string> {
  value_state<number> count_ = state("count");

public:
  void process(const visit& v, context& ctx, collector<std::string>&) override {
    ++count_.edit();
    ctx.timers().register_event_time(at(v.second));
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect(ctx.key() + "=" + std::to_string(*count_) + "@" + std::to_string(t.time_since_epoch().count()));
  }
};

/// One timer per record, on the record's own key.
class many_timers : public keyed_process_function<std::int64_t, number, number> {
public:
  void process(const number& n, context& ctx, collector<number>&) override {
    ctx.timers().register_event_time(at(n % 10));
  }
  void on_timer(timestamp, timer_context& ctx, collector<number>& out) override { out.collect(ctx.key()); }
};
struct itself {
  const number& operator()(const number& n) const { return n; }
};
operator_factory make_many_timers() {
  return
      [] { return std::make_unique<process_operator<number, number, many_timers, itself>>(itself{}, std::tuple<>{}); };
}

const output_tag<std::string> side{"side"};

/// Processing-time timers `second` ms from now.
class alarm_clock : public keyed_process_function<std::string, visit, std::string> {
  value_state<bool> again_ = state("again");

public:
  void process(const visit& v, context& ctx, collector<std::string>&) override {
    const auto now = ctx.timers().current_processing_time();
    ctx.timers().register_processing_time(now + std::chrono::milliseconds{v.second});
    ctx.timers().register_processing_time(std::chrono::milliseconds{1'000'000});
    ctx.timers().delete_processing_time(std::chrono::milliseconds{1'000'000});
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    CHECK(ctx.domain() == time_domain::processing);
    CHECK(ctx.record_timestamp() == t);
    ctx.output(side, ctx.key());
    out.collect(ctx.key() + "@" + std::to_string(t.time_since_epoch().count()));
    if (t != at(10) || again_.has_value()) return;
    again_ = true;
    ctx.timers().register_processing_time(t); // due already: in the same pass
  }
};

/// Throws at the timer of its own choice, after it has put something out.
class brittle : public keyed_process_function<std::string, visit, std::string> {
public:
  explicit brittle(int* failures) : failures_(failures) {}
  void process(const visit& v, context& ctx, collector<std::string>&) override {
    ctx.timers().register_event_time(at(v.second));
  }
  void on_timer(timestamp t, timer_context& ctx, collector<std::string>& out) override {
    out.collect(std::to_string(t.time_since_epoch().count()));
    ctx.output(side, "s");
    if (t == at(2) && (*failures_)-- > 0) throw std::runtime_error("the second timer");
  }

private:
  int* failures_;
};

/// Two runs of one input, with and without a restart after each step, come to the same.
template <class T, class Steps>
void same_after_restarts(operator_factory make, Steps steps) {
  std::vector<std::pair<T, std::optional<std::int64_t>>> expected;
  for (const bool restart : {false, true}) {
    operator_runner r{make};
    auto& out = r.capture<T>();
    steps(r, [&] {
      if (restart) r.restart();
    });
    std::vector<std::pair<T, std::optional<std::int64_t>>> got;
    for (auto& d : out)
      got.emplace_back(d.value, d.time);
    if (!restart)
      expected = got;
    else
      CHECK(got == expected);
  }
  CHECK_FALSE(expected.empty());
}

} // namespace

TEST_CASE("a keyed process function has state and timers of its own keys, also across restarts") {
  same_after_restarts<std::string>(keyed<counter>(), [](operator_runner& r, auto restart) {
    for (int i = 0; i < 50; ++i) {
      r.push_timed<visit>({{{"a", i}, i}, {{"b" + std::to_string(i % 3), i * 2}, i}});
      restart();
      if (i % 10 == 0) r.watermark(i);
      restart();
    }
    r.watermark(1000);
  });
}

TEST_CASE("keys are the same whether hashes came with the batch or not, and whatever the size of the batch") {
  std::set<std::string> expected;
  for (const bool hashed : {false, true}) {
    operator_runner r{keyed<counter>()};
    auto& out = r.capture<std::string>();
    std::vector<visit> visits;
    for (int i = 0; i < 5000; ++i)
      visits.push_back({"key-" + std::to_string(i * i % 1777), 7});
    auto b = r.batch_of(visits);
    if (hashed)
      for (auto& v : visits)
        b->hashes.push_back(key_hash(v.first));
    r.push(std::move(b));
    r.watermark(7);
    std::set<std::string> got;
    for (auto& d : out)
      got.insert(d.value);
    CHECK(got.size() == out.size());
    if (!hashed)
      expected = got;
    else
      CHECK(got == expected);
  }
}

TEST_CASE("a watermark that fires many timers stops when somebody asks for a pause, and loses none") {
  const auto n = static_cast<number>(rounds(100'000));
  for (const bool restart : {false, true}) {
    operator_runner r{make_many_timers()};
    auto& out = r.capture<number>();
    std::vector<number> keys(static_cast<std::size_t>(n));
    for (number i = 0; i < n; ++i)
      keys[static_cast<std::size_t>(i)] = i;
    r.push(keys);
    r.pause = true; // from here on every call stops as soon as it can
    const auto before = r.runs;
    if (restart) {
      r.step(element::watermark(at(20)), 10); // a timer and what it puts out, in turn
      CHECK(out.size() == 5);
      r.restart(); // the watermark was not through: it comes again
      r.pause = false;
    }
    r.watermark(20);
    CHECK(out.size() == static_cast<std::size_t>(n));
    if (!restart) CHECK(r.runs - before > static_cast<unsigned>(n));
    CHECK(std::is_sorted(out.begin(), out.end(), [](auto& a, auto& b) { return *a.time < *b.time; }));
    CHECK(std::set<number>(keys.begin(), keys.end()).size() == [&] {
      std::set<number> seen;
      for (auto& d : out)
        seen.insert(d.value);
      return seen.size();
    }());
    // The watermark comes after what it caused.
    REQUIRE_FALSE(r.controls.empty());
    CHECK(r.controls.back().records_before == out.size());
  }
}

TEST_CASE("processing-time timers fire when wall time has come, without a timestamp, also after a restart") {
  same_after_restarts<std::string>(keyed<alarm_clock>(), [](operator_runner& r, auto restart) {
    auto& sides = r.capture(side);
    r.push<visit>({{"a", 10}, {"b", 5}, {"a", 10}});
    restart();
    r.set_time(4);
    CHECK(sides.empty());
    r.set_time(5);
    CHECK(sides.size() == 1);
    CHECK(sides[0].time == 5); // side outputs of a timer carry its time
    restart();
    r.set_time(100);
    CHECK(sides.size() == 3); // a's, and the one that it registered again
    r.set_time(10'000'000);
    CHECK(sides.size() == 3);
  });
  operator_runner r{keyed<alarm_clock>()};
  auto& out = r.capture<std::string>();
  r.push<visit>({{"a", 10}});
  r.set_time(10);
  REQUIRE(out.size() == 2);
  CHECK(out[0].value == "a@10");
  CHECK_FALSE(out[0].time.has_value());
  r.end(); // fires no timers in processing time
  CHECK(out.size() == 2);
}

TEST_CASE("a timer whose function throws goes by the record-error policy") {
  using kind = record_error_policy::kind;
  auto run = [](record_error_policy policy, int failures) {
    operator_runner::options o;
    o.policy = policy;
    operator_runner r{keyed<brittle>(&failures), o};
    auto& out = r.capture<std::string>();
    auto& sides = r.capture(side);
    r.push<visit>({{"a", 1}, {"a", 2}, {"a", 3}});
    r.watermark(5);
    CHECK(sides.size() == out.size());
    return values_of(out);
  };
  CHECK(run({kind::skip}, 1) == std::vector<std::string>{"1", "3"});
  CHECK(run({kind::retry, 2}, 2) == std::vector<std::string>{"1", "2", "3"});
  for (auto& policy : {record_error_policy{kind::fail}, record_error_policy{kind::retry, 1},
                       record_error_policy{kind::side_output, 0, side.id()}})
    try {
      run(policy, 2);
      FAIL("nothing was thrown");
    } catch (const error& e) {
      CHECK(e.to_string().find("the second timer") != std::string::npos);
    }
}

TEST_CASE("lambdas have the key and its timers; what streams without keys cannot do is an error with advice") {
  auto lambda = [](const visit& v, keyed_process_context<std::string>& ctx, collector<std::string>& out) {
    ctx.timers().register_event_time(at(v.second)); // nobody is there when it fires: nothing happens
    out.collect(ctx.key());
  };
  operator_runner r{[&] {
    return std::make_unique<process_operator<visit, std::string, decltype(lambda), std::string visit::*>>(
        &visit::first, std::tuple{lambda});
  }};
  auto& heard = r.capture<std::string>();
  r.push<visit>({{"a", 1}, {"b", 1}});
  r.watermark(10);
  CHECK(values_of(heard) == std::vector<std::string>{"a", "b"});

  auto unkeyed = [](const visit& v, process_context& ctx, collector<std::string>& out) {
    out.collect(std::to_string(ctx.timers().current_watermark().time_since_epoch().count()));
    if (v.second > 0) ctx.timers().register_event_time(at(v.second));
  };
  operator_runner u{[&] {
    return std::make_unique<process_operator<visit, std::string, decltype(unkeyed)>>(no_key{}, std::tuple{unkeyed});
  }};
  auto& seen = u.capture<std::string>();
  u.watermark(3);
  u.push<visit>({{"a", 0}});
  u.restart();
  u.push<visit>({{"a", 0}});
  CHECK(values_of(seen) == std::vector<std::string>{"3", "3"});
  try {
    u.push<visit>({{"a", 1}});
    FAIL("a timer without a key");
  } catch (const error& e) {
    CHECK(e.code() == errc::no_current_key);
    CHECK(e.advice().find("key_by") != std::string::npos);
  }
}

namespace {
class needs_keys : public process_function<visit, std::string> {
  value_state<int> here_ = state("here");

public:
  void process(const visit&, context&, collector<std::string>&) override {}
};
class reads_in_open : public keyed_process_function<std::string, visit, std::string> {
  value_state<int> early_ = state("early");

public:
  void open(runtime_context&) override { early_.value_or(0); }
  void process(const visit&, context&, collector<std::string>&) override {}
};
/// Any function object may have state.
struct counts {
  value_state<number> n = state("n");
  void open(runtime_context& context) { n.open(context.states()); }
  void operator()(const visit&, keyed_process_context<std::string>& ctx, collector<std::string>& out) {
    out.collect(ctx.key() + std::to_string(++n.edit()));
  }
};
class expiring : public keyed_process_function<std::string, visit, std::string> {
  map_state<number, number> seen_ = state("seen", ttl{10ms});

public:
  void process(const visit& v, context&, collector<std::string>&) override { seen_.put(v.second, 1); }
};
/// Holds records back until there are three.
class batcher : public process_function<number, number> {
  operator_list_state<number> waiting_ = operator_state("waiting");

public:
  void process(const number& n, context&, collector<number>& out) override {
    waiting_.add(n);
    if (waiting_.get().size() < 3) return;
    number sum = 0;
    for (auto w : waiting_.get())
      sum = sum * 10 + w;
    out.collect(sum);
    waiting_.clear();
  }
};
errc code_of_run(operator_factory make) {
  try {
    operator_runner r{std::move(make)};
    r.push<visit>({{"a", 1}});
  } catch (const error& e) {
    return e.code();
  }
  return errc::none;
}
} // namespace

TEST_CASE("keyed state where there are no keys, and without a current key, is an error") {
  CHECK(code_of_run([] {
          return std::make_unique<process_operator<visit, std::string, needs_keys>>(no_key{}, std::tuple<>{});
        }) == errc::no_current_key);
  CHECK(code_of_run(keyed<reads_in_open>()) == errc::no_current_key);
}

TEST_CASE("a function object binds its state in open(), and operator state belongs to no key") {
  same_after_restarts<std::string>(keyed<counts>(counts{}), [](operator_runner& r, auto restart) {
    for (int i = 0; i < 10; ++i) {
      r.push<visit>({{"a", 1}, {std::to_string(i % 2), 1}});
      restart();
    }
  });
  same_after_restarts<number>(
      [] { return std::make_unique<process_operator<number, number, batcher>>(no_key{}, std::tuple<>{}); },
      [](operator_runner& r, auto restart) {
        for (number i = 0; i < 10; ++i) {
          r.push<number>({i});
          restart();
        }
      });
}

TEST_CASE("state that nobody reads any more goes with the batches that come") {
  operator_runner r{keyed<expiring>()};
  for (int i = 0; i < 1000; ++i)
    r.push<visit>({{"key" + std::to_string(i), i}});
  const auto full = r.snapshot().states.at("seen").parts.size();
  r.set_time(100);
  for (int i = 0; i < 1000; ++i)
    r.push<visit>({{"last", i}});
  CHECK(full > 100);
  CHECK(r.snapshot().states.at("seen").parts.size() == 1);
}

namespace {
const map_state_descriptor<std::string, number> factors{"factors"};
const map_state_descriptor<number, std::string> names{"names"};
const map_state_descriptor<std::string, std::string> undeclared{"factors"}; // other types

/// Multiplies by the factor of its key's name; a broadcast record (name, factor) sets it.
class scale : public broadcast_process_function<visit, visit, std::string> {
public:
  void process(const visit& v, read_only_context& ctx, collector<std::string>& out) override {
    static_assert(std::is_const_v<std::remove_reference_t<decltype(ctx.state(factors))>>);
    const auto f = ctx.state(factors).value_or(v.first, 1);
    out.collect(ctx.state(names).value_or(f, "?") + std::to_string(v.second * f));
  }
  void process_broadcast(const visit& v, context& ctx, collector<std::string>& out) override {
    if (v.second == 0) ctx.state(undeclared).clear();
    ctx.state(factors).put(v.first, v.second);
    ctx.state(names)[v.second] = v.first;
    std::string all;
    ctx.state(factors).for_each([&](const std::string& name, number) { all += name; });
    out.collect(all);
  }
};
operator_factory make_scale() {
  return [] {
    return std::make_unique<broadcast_process_operator<visit, visit, std::string, scale>>(
        no_key{}, std::vector{factors.declaration(), names.declaration()}, std::tuple<>{});
  };
}
} // namespace

TEST_CASE("broadcast state of several descriptors is read on one side and written on the other") {
  std::vector<std::string> expected{"?3", "b", "ab", "a9", "b14", "?5"};
  for (const bool restart : {false, true}) {
    operator_runner::options o;
    o.inputs = 2;
    operator_runner r{make_scale(), o};
    auto& out = r.capture<std::string>();
    auto push = [&](visit v, unsigned input) {
      r.push<visit>({v}, input);
      if (restart) r.restart();
    };
    push({"a", 3}, 0);
    push({"b", 2}, 1);
    push({"a", 3}, 1);
    push({"a", 3}, 0);
    push({"b", 7}, 0);
    push({"c", 5}, 0);
    CHECK(values_of(out) == expected);
    try {
      push({"a", 0}, 1);
      FAIL("a descriptor that was not given to broadcast()");
    } catch (const error& e) {
      CHECK(e.code() == errc::invalid_argument);
      CHECK(e.cause().find("\"factors\"") != std::string::npos);
    }
  }
}

namespace {
/// Counts per number, and passes each on.
class number_counter : public keyed_process_function<std::int64_t, number, number> {
  value_state<number> count_ = state("count");

public:
  void process(const number& n, context& ctx, collector<number>& out) override {
    ++count_.edit();
    ctx.timers().register_event_time(at(1));
    out.collect(n);
  }
  void on_timer(timestamp, timer_context& ctx, collector<number>& out) override {
    count_.clear();
    out.collect(ctx.key());
  }
};
} // namespace

TEST_CASE("an operator waits, with records and with timers, while a snapshot in progress holds too much of its state") {
  operator_runner::options o;
  o.place.snapshot_bytes = 4096;
  operator_runner r{[] {
                      return std::make_unique<process_operator<number, number, number_counter, itself>>(itself{},
                                                                                                        std::tuple<>{});
                    },
                    o};
  auto& out = r.capture<number>();
  std::vector<number> all(20'000);
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = static_cast<number>(i);
  r.push(all);
  REQUIRE(out.size() == all.size());
  const auto give_up = [&](operator_snapshot& s) {
    for (auto& [name, state] : s.states)
      state.give_up_parts([](const state_part&) {});
  };

  auto first = r.freeze();
  r.push(all);
  CHECK(r.state == chain_state::blocked);
  CHECK(out.size() < all.size() * 2);
  r.run_again();
  CHECK(out.size() < all.size() * 2);
  give_up(first);
  r.run_again();
  CHECK(out.size() == all.size() * 2);

  auto second = r.freeze();
  r.watermark(1);
  CHECK(r.state == chain_state::blocked);
  CHECK(out.size() < all.size() * 3);
  second = {}; // nobody writes it
  r.run_again();
  CHECK(out.size() == all.size() * 3);
}
