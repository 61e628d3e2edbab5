// State handles: what users write with, and times to live to the letter of Flink's Ttl... classes.
#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/keyed_states.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using dataflow::test::error_of;

namespace {

struct scope {
  explicit scope(std::shared_ptr<const operator_snapshot> restored = {}) : states{{0, 127}, 128, std::move(restored)} {
    keys.open(states, clock);
    states.set_keyed(keys);
  }
  template <class... Handles>
  explicit scope(Handles&... handles) : scope() {
    (handles.open(states), ...);
    key("k");
  }
  void key(std::string k) {
    const auto hash = key_hash(k);
    keys.set_key(std::move(k), hash);
  }
  void time(std::chrono::milliseconds t) { clock.advance_to(t); }

  test::manual_clock clock;
  state_registry states;
  keyed_context<std::string> keys;
};

using pairs = std::vector<std::pair<std::string, int>>;
using numbers = std::vector<int>;

struct mean {
  std::pair<std::int64_t, std::int64_t> create_accumulator() const { return {0, 0}; }
  void add(int value, std::pair<std::int64_t, std::int64_t>& sum) const { sum.first += value, ++sum.second; }
  double get_result(const std::pair<std::int64_t, std::int64_t>& sum) const {
    return static_cast<double>(sum.first) / static_cast<double>(sum.second);
  }
};

} // namespace

TEST_CASE("a value behaves like an optional") {
  value_state<std::string> s = state("name");
  scope at{s};
  CHECK_FALSE(s.has_value());
  CHECK(s.value_or("none") == "none");
  const auto e = error_of([&] { s.value(); });
  CHECK(e.code() == errc::empty_state);
  CHECK(e.cause().find("\"name\"") != std::string::npos);
  CHECK_FALSE(e.advice().empty());
  s = "ann";
  CHECK(*s == "ann");
  CHECK(s->size() == 3);
  s.edit() += "a";
  CHECK(s.value() == "anna");
  at.key("other");
  CHECK_FALSE(s.has_value());
  CHECK(s.edit("x") == "x");
  at.key("k");
  CHECK(s.value_or("none") == "anna");
  s.clear();
  s.clear();
  CHECK_FALSE(s.has_value());
}

TEST_CASE("state without a current key is an error that says what to do") {
  value_state<int> s = state("s");
  CHECK(error_of([&] { s.has_value(); }).code() == errc::no_current_key); // before open
  map_state<int, int> m = state("m");
  scope at{s, m};
  at.keys.clear_key();
  for (auto& e : {error_of([&] { s = 1; }), error_of([&] { s.value_or(1); }), error_of([&] { m.put(1, 2); }),
                  error_of([&] { m.find(1); })}) {
    CHECK(e.code() == errc::no_current_key);
    CHECK(e.advice().find("key_by") != std::string::npos);
  }
  state_registry no_keys{{0, 127}, 128};
  value_state<int> other = state("other");
  const auto e = error_of([&] { other.open(no_keys); });
  CHECK(e.code() == errc::no_current_key);
  CHECK(e.cause().find("\"other\"") != std::string::npos);
}

TEST_CASE("names: one of each, and none of the engine's") {
  value_state<int> a = state("same");
  list_state<int> b = state("same");
  scope at{a};
  CHECK(error_of([&] { b.open(at.states); }).code() == errc::invalid_argument);
  CHECK(error_of([] { value_state<int> s = state("_mine"); }).code() == errc::invalid_argument);
  CHECK(error_of([] { value_state<int> s = state(""); }).code() == errc::invalid_argument);
  CHECK(error_of([] { ttl{0ms}; }).code() == errc::invalid_argument);
  CHECK(error_of([] { ttl{-1ms}; }).code() == errc::invalid_argument);
}

TEST_CASE("a list keeps its values in order") {
  list_state<int> l = state("l");
  scope at{l};
  CHECK(l.empty());
  l.add(3);
  l.add_all({1, 2});
  CHECK(l.get() == numbers{3, 1, 2});
  at.key("other");
  CHECK(l.empty());
  at.key("k");
  l.update({9});
  CHECK(l.get() == numbers{9});
  l.update({});
  CHECK(l.empty());
}

TEST_CASE("a map finds its entries, few or many") {
  map_state<std::string, int> m = state("m");
  scope at{m};
  CHECK(m.empty());
  CHECK_FALSE(m.contains("a"));
  m.remove("a");
  m.put("a", 1);
  m["b"] += 5;
  m.put("a", 2);
  CHECK(m.at("a") == 2);
  CHECK(*m.find("b") == 5);
  CHECK(m.value_or("c", 7) == 7);
  CHECK(error_of([&] { m.at("c"); }).code() == errc::empty_state);
  CHECK(m.entries() == pairs{{"a", 2}, {"b", 5}});
  for (int i = 0; i < 500; ++i)
    m.put(std::to_string(i), i);
  for (int i = 0; i < 500; i += 2)
    m.remove(std::to_string(i));
  for (int i = 0; i < 500; ++i)
    CHECK(m.contains(std::to_string(i)) == (i % 2 == 1));
  CHECK(m.keys().size() == 252);
  CHECK(m.values().size() == 252);
  std::size_t seen = 0;
  m.for_each([&](const std::string&, int) { ++seen; });
  CHECK(seen == 252);
  for (auto& k : m.keys())
    m.remove(k);
  CHECK(m.empty());
}

TEST_CASE("reducing and aggregating state") {
  reducing_state<int> most{state("most"), [](auto& a, auto& b) { return std::max(a, b); }};
  reducing_state<int, std::plus<>> sum = state("sum");
  aggregating_state<int, std::pair<std::int64_t, std::int64_t>, double, mean> average = state("average");
  scope at{most, sum, average};
  CHECK(most.value_or(-1) == -1);
  CHECK(error_of([&] { sum.get(); }).code() == errc::empty_state);
  CHECK(error_of([&] { average.get(); }).code() == errc::empty_state);
  for (int i : {3, 8, 4}) {
    most.add(i);
    sum.add(i);
    average.add(i);
  }
  CHECK(most.get() == 8);
  CHECK(sum.get() == 15);
  CHECK(average.get() == 5.0);
  most.clear();
  average.clear();
  CHECK_FALSE(most.has_value());
  CHECK(average.value_or(0.5) == 0.5);
}

TEST_CASE("expiry is exact and cannot overflow") {
  const ttl rules{1000ms};
  CHECK_FALSE(rules.expired(0, 999));
  CHECK(rules.expired(0, 1000));
  CHECK(rules.expired(-5000, -4000));
  CHECK_FALSE(
      rules.expired(std::numeric_limits<std::int64_t>::max() - 10, std::numeric_limits<std::int64_t>::max() - 1));
}

TEST_CASE("each entry of a map expires by itself, and reading prolongs only the one that is read") {
  SUBCASE("on write") {
    map_state<std::string, int> m = state("m", ttl{100ms});
    scope at{m};
    m.put("a", 1);
    at.time(60ms);
    m.put("b", 2);
    CHECK(m.contains("a"));
    at.time(100ms);
    CHECK_FALSE(m.empty()); // counts what has not been met
    CHECK_FALSE(m.contains("a"));
    CHECK(m.entries() == pairs{{"b", 2}});
    at.time(160ms);
    CHECK(m.entries().empty());
    CHECK(m.empty());
    m["c"] = 1;
    at.time(260ms);
    CHECK(++m["c"] == 1);
  }
  SUBCASE("on read") {
    map_state<std::string, int> m = state("m", ttl{100ms}.update_on_read());
    scope at{m};
    m.put("a", 1);
    m.put("b", 2);
    at.time(60ms);
    CHECK(m.at("a") == 1);
    at.time(120ms);
    CHECK(m.entries() == pairs{{"a", 1}});
    at.time(219ms);
    CHECK(m.contains("a"));
    at.time(319ms);
    CHECK_FALSE(m.contains("a"));
  }
  SUBCASE("shown once") {
    map_state<std::string, int> m = state("m", ttl{100ms}.return_if_not_cleaned_up());
    scope at{m};
    m.put("a", 1);
    m.put("b", 2);
    m.put("c", 3);
    at.time(100ms);
    CHECK(m.at("a") == 1);
    CHECK_FALSE(m.contains("a"));
    CHECK(m.entries().size() == 2);
    CHECK(m.entries().empty());
  }
}

TEST_CASE("each value of a list expires by itself") {
  SUBCASE("on write") {
    list_state<int> l = state("l", ttl{100ms});
    scope at{l};
    l.add(1);
    at.time(60ms);
    l.add(2);
    CHECK(l.get() == numbers{1, 2});
    at.time(100ms);
    CHECK(l.get() == numbers{2});
    l.add(3);
    at.time(160ms);
    CHECK(l.get() == numbers{3});
    at.time(200ms);
    CHECK(l.get().empty());
    CHECK(at.keys.size() == 1); // until the key is left
    at.keys.clear_key();
    CHECK(at.keys.size() == 0);
  }
  SUBCASE("on read") {
    list_state<int> l = state("l", ttl{100ms}.update_on_read());
    scope at{l};
    l.add(1);
    at.time(60ms);
    l.add(2);
    at.time(110ms);
    CHECK(l.get() == numbers{2});
    at.time(209ms);
    CHECK(l.get() == numbers{2});
    at.time(309ms);
    CHECK(l.get().empty());
  }
  SUBCASE("shown while something lives, then once more") {
    list_state<int> l = state("l", ttl{100ms}.return_if_not_cleaned_up());
    scope at{l};
    l.add(1);
    at.time(60ms);
    l.add(2);
    at.time(100ms);
    CHECK(l.get() == numbers{1, 2});
    CHECK(l.get() == numbers{1, 2});
    at.time(160ms);
    CHECK(l.get() == numbers{1, 2});
    CHECK(l.get().empty());
  }
}

TEST_CASE("reducing and aggregating state forget what has expired, unless it is shown") {
  reducing_state<int, std::plus<>> hidden = state("hidden", ttl{100ms}),
                                   shown = state("shown", ttl{100ms}.return_if_not_cleaned_up());
  aggregating_state<int, std::pair<std::int64_t, std::int64_t>, double, mean> average = state("average", ttl{100ms});
  scope at{hidden, shown, average};
  auto add = [&](int i) {
    hidden.add(i);
    shown.add(i);
    average.add(i);
  };
  add(1);
  at.time(99ms);
  add(2);
  CHECK(hidden.get() == 3);
  CHECK(average.get() == 1.5);
  at.time(199ms);
  add(10);
  CHECK(hidden.get() == 10);
  CHECK(shown.get() == 13);
  CHECK(average.get() == 10.0);
  at.time(299ms);
  CHECK_FALSE(hidden.has_value());
  CHECK(shown.value_or(0) == 13);
  CHECK(shown.value_or(0) == 0);
}

TEST_CASE("the background clean-up removes what nobody reads any more") {
  value_state<int> v = state("v", ttl{100ms});
  value_state<int> kept = state("kept", ttl{100ms}.without_background_clean_up());
  list_state<int> l = state("l", ttl{100ms});
  map_state<int, int> m = state("m", ttl{100ms});
  scope at{v, kept, l, m};
  for (int i = 0; i < 1000; ++i) {
    at.key("key" + std::to_string(i));
    v = i;
    if (i % 10 == 0) kept = i;
    l.add(i);
    m.put(i, i);
  }
  at.time(50ms);
  for (int i = 0; i < 500; ++i) {
    at.key("key" + std::to_string(i));
    l.add(i);
    m.put(-1, i);
  }
  at.time(100ms);
  CHECK(at.keys.has_expiring_columns());
  for (int i = 0; i < 100; ++i)
    at.keys.clean_up(100);
  CHECK(at.keys.size() == 550);
  at.key("key499");
  CHECK(l.get() == numbers{499});
  CHECK(m.keys() == numbers{-1});
  at.time(150ms);
  for (int i = 0; i < 100; ++i)
    at.keys.clean_up(100);
  CHECK(at.keys.size() == 100);
}

TEST_CASE("snapshots do not contain what has expired, where the time to live says so") {
  const auto sizes = [](auto rules) {
    value_state<int> v = state("v", rules);
    list_state<int> l = state("l", rules);
    map_state<int, int> m = state("m", rules);
    scope at{v, l, m};
    for (int i = 0; i < 10; ++i) {
      at.time(i * 10ms);
      at.key("key" + std::to_string(i));
      v = i;
      for (int n : {1, 2}) {
        l.add(n);
        m.put(n, i);
      }
    }
    at.time(100ms);
    at.key("key0");
    l.add(3);
    at.keys.clear_key();
    auto snapshot = std::make_shared<operator_snapshot>(at.states.snapshot());
    auto frozen = std::make_shared<operator_snapshot>(at.states.freeze());
    at.time(10s); // what counts is when it was taken
    std::vector<std::size_t> found;
    for (auto& from : {snapshot, frozen}) {
      scope again{std::shared_ptr<const operator_snapshot>{from}};
      value_state<int> v2 = state("v", rules);
      list_state<int> l2 = state("l", rules);
      map_state<int, int> m2 = state("m", rules);
      v2.open(again.states), l2.open(again.states), m2.open(again.states);
      std::size_t values = 0, items = 0, entries = 0;
      again.keys.for_each_key([&](const std::string&) {
        values += v2.has_value();
        items += l2.get().size();
        entries += m2.entries().size();
      });
      found.insert(found.end(), {again.keys.size(), values, items, entries});
    }
    return found;
  };
  using counts = std::vector<std::size_t>;
  CHECK(sizes(ttl{50ms}) == counts{10, 10, 21, 20, 10, 10, 21, 20}); // in time that begins again
  CHECK(sizes(ttl{50ms}.clean_up_in_snapshots()) == counts{5, 4, 9, 8, 5, 4, 9, 8});
}

TEST_CASE("all kinds of state come back after a restart, with their times of access") {
  struct all {
    value_state<std::string> v = state("v", ttl{100ms});
    list_state<int> l = state("l", ttl{100ms});
    map_state<int, std::string> m = state("m");
    reducing_state<int, std::plus<>> r = state("r");
    aggregating_state<int, std::pair<std::int64_t, std::int64_t>, double, mean> a = state("a");
    void open(state_registry& states) {
      v.open(states), l.open(states), m.open(states), r.open(states), a.open(states);
    }
  };
  scope before;
  all x;
  x.open(before.states);
  before.key("k");
  x.v = "value";
  x.l.add(1);
  before.time(60ms);
  x.l.add(2);
  for (int i = 0; i < 20; ++i)
    x.m.put(i, std::to_string(i));
  x.r.add(3);
  x.a.add(5);
  before.keys.clear_key();
  scope after{std::make_shared<const operator_snapshot>(before.states.snapshot())};
  all y;
  y.open(after.states);
  after.time(60ms);
  after.key("k");
  CHECK(*y.v == "value");
  CHECK(y.l.get() == numbers{1, 2});
  CHECK(y.m.keys() == [] {
    numbers n(20);
    for (int i = 0; i < 20; ++i)
      n[static_cast<std::size_t>(i)] = i;
    return n;
  }());
  CHECK(y.m.at(13) == "13");
  y.r.add(1);
  CHECK(y.r.get() == 4);
  CHECK(y.a.get() == 5.0);
  after.time(100ms);
  CHECK_FALSE(y.v.has_value());
  CHECK(y.l.get() == numbers{2});

  // A time to live is part of what is stored.
  scope wrong{std::make_shared<const operator_snapshot>(before.states.snapshot())};
  map_state<int, std::string> m = state("m", ttl{100ms});
  CHECK(error_of([&] { m.open(wrong.states); }).code() == errc::incompatible_state);
}

TEST_CASE("members of a function class are bound together; copies of a handle are not bound") {
  struct function : stateful_function {
    value_state<int> a = state("a");
    map_state<int, int> b = state("b");
  };
  scope at;
  function f;
  f.bind_states(at.states);
  at.key("k");
  f.a = 1;
  f.b.put(1, 1);
  value_state<int> copy{f.a};
  CHECK(error_of([&] { copy.has_value(); }).code() == errc::no_current_key);
  CHECK(copy.name() == "a");
}
