#include <dataflow/time/timer_service.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <random>
#include <set>
#include <tests/support/effort.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {
timestamp at(std::int64_t t) { return timestamp{std::chrono::milliseconds{t}}; }

struct item {
  std::int64_t rank;
  std::string text;
  std::int64_t order() const { return rank; }
  bool operator==(const item&) const = default;
};

std::vector<item> all_of(const sorted_blocks<item>& s) {
  std::vector<item> all;
  s.for_each([&](const item& i) { all.push_back(i); });
  return all;
}

/// What sorted_blocks promises, the slow way.
struct model {
  std::deque<item> items;
  bool insert(const item& i) {
    if (std::find(items.begin(), items.end(), i) != items.end()) return false;
    auto at = std::upper_bound(items.begin(), items.end(), i, [](auto& a, auto& b) { return a.rank < b.rank; });
    items.insert(at, i);
    return true;
  }
  bool erase(const item& i) {
    auto at = std::find(items.begin(), items.end(), i);
    if (at == items.end()) return false;
    items.erase(at);
    return true;
  }
};

std::string text(std::uint64_t n) { return std::string(n % 40, 'x') + std::to_string(n); }
} // namespace

TEST_CASE("sorted blocks are a sorted sequence, whatever is done to them and to their copies") {
  for (std::uint64_t seed = 0; seed < test::rounds(60); ++seed) {
    std::mt19937_64 random{seed};
    const auto ranks = 1 + random() % 400, texts = 1 + random() % 6;
    sorted_blocks<item> s;
    model m;
    std::vector<std::pair<sorted_blocks<item>, std::vector<item>>> copies;
    for (int step = 0; step < 3000; ++step) {
      const item i{static_cast<std::int64_t>(random() % ranks), text(random() % texts)};
      switch (random() % (seed % 3 == 0 ? 4 : 8)) {
      case 0:
        REQUIRE(s.erase(i) == m.erase(i));
        break;
      case 1:
        if (m.items.empty()) break;
        REQUIRE(s.front() == m.items.front());
        REQUIRE(s.pop_front() == m.items.front());
        m.items.pop_front();
        break;
      case 2:
        if (random() % 100 == 0) copies.emplace_back(s, std::vector<item>(m.items.begin(), m.items.end()));
        break;
      default:
        REQUIRE(s.insert(i) == m.insert(i));
      }
      REQUIRE(s.size() == m.items.size());
    }
    REQUIRE(all_of(s) == std::vector<item>(m.items.begin(), m.items.end()));
    for (auto& [copy, expected] : copies)
      REQUIRE(all_of(copy) == expected);
    sorted_blocks<item> moved{std::move(s)};
    CHECK(all_of(moved).size() == m.items.size());
    while (!moved.empty()) {
      REQUIRE(moved.pop_front() == m.items.front());
      m.items.pop_front();
    }
  }
}

TEST_CASE("a timer store gives timers in the order of time, each once, as registered where the time is equal") {
  using store = timer_store<std::int64_t, std::int32_t>;
  for (std::uint64_t seed = 0; seed < test::rounds(30); ++seed) {
    std::mt19937_64 random{seed};
    const key_group_range range{seed % 2 ? 16u : 0u, seed % 2 ? 31u : 127u};
    store s;
    s.open(range, 128);
    // (time, group, hash) -> (key, namespace) in the order of registration
    std::map<std::tuple<std::int64_t, std::uint32_t, std::uint64_t>, std::vector<std::pair<std::int64_t, std::int32_t>>>
        model;
    std::size_t size = 0;
    for (int step = 0; step < 4000; ++step) {
      const auto key = static_cast<std::int64_t>(random() % 50);
      const auto hash = key_hash(key);
      const auto group = key_group_of(hash, 128);
      if (!range.contains(group)) continue;
      const auto time = static_cast<std::int64_t>(random() % 200) - 100;
      const auto space = static_cast<std::int32_t>(random() % 2);
      auto& there = model[{time, group, hash}];
      const std::pair entry{key, space};
      const auto found = std::find(there.begin(), there.end(), entry);
      switch (random() % 4) {
      case 0:
        REQUIRE(s.erase({at(time), {key, hash}, space}) == (found != there.end()));
        if (found != there.end()) there.erase(found), --size;
        break;
      case 1: {
        std::erase_if(model, [](auto& m) { return m.second.empty(); });
        REQUIRE(s.empty() == model.empty());
        if (s.empty()) break;
        auto& [first, waiting] = *model.begin();
        REQUIRE(s.first_time() == at(std::get<0>(first)));
        const auto t = s.pop_first();
        REQUIRE(t.time == at(std::get<0>(first)));
        REQUIRE(std::pair{t.key.key, t.space} == waiting.front());
        waiting.erase(waiting.begin());
        --size;
        break;
      }
      default:
        REQUIRE(s.insert({at(time), {key, hash}, space}) == (found == there.end()));
        if (std::find(there.begin(), there.end(), entry) == there.end()) there.push_back(entry), ++size;
      }
      REQUIRE(s.size() == size);
    }
  }
}

TEST_CASE("a timer on a 64-bit key takes at most 64 bytes, in whatever order it was registered") {
  static_assert(sizeof(timer<std::int64_t>) == 16);
  const std::int64_t n = sizeof(void*) * static_cast<std::int64_t>(test::rounds(25'000));
  for (const bool ascending : {true, false}) {
    timer_store<std::int64_t> s;
    s.open({0, 127}, 128);
    std::mt19937_64 random{1};
    for (std::int64_t i = 0; i < n; ++i) {
      const auto key = static_cast<std::int64_t>(random());
      s.insert({at(ascending ? i : static_cast<std::int64_t>(random() % 1'000'000'000)), {key, key_hash(key)}, {}});
    }
    CAPTURE(s.memory_bytes());
    REQUIRE(s.size() == static_cast<std::size_t>(n));
    // Where there are few timers the 128 key groups' first blocks count.
    CHECK(s.memory_bytes() <= s.size() * 64 + 128 * 2048);
    if (!test::sanitized) CHECK(s.memory_bytes() <= s.size() * 64);
    // And they give their memory back, in front and in the middle.
    for (std::int64_t i = 0; i < n * 9 / 10; ++i)
      s.pop_first();
    CHECK(s.memory_bytes() <= static_cast<std::size_t>(n) * 64 / 4 + 128 * 2048);
  }
}

namespace {
struct service {
  explicit service(std::shared_ptr<const operator_snapshot> restored = {})
      : states{{0, 127}, 128, std::move(restored)} {
    keys.open(states, clock);
    timers.open(states, keys, clock);
  }
  void key(std::int64_t k) {
    current = k;
    keys.set_key(current, key_hash(k));
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> advance(std::int64_t t, std::size_t most = 1'000'000) {
    std::vector<std::pair<std::int64_t, std::int64_t>> fired;
    done = timers.advance(
        at(t),
        [&](const timer<std::int64_t>& due) {
          CHECK(keys.key() == due.key.key);
          fired.emplace_back(due.time.time_since_epoch().count(), due.key.key);
          if (on_timer) on_timer(due);
        },
        [&] { return fired.size() >= most; });
    return fired;
  }
  std::shared_ptr<const operator_snapshot> snapshot() { return std::make_shared<operator_snapshot>(states.snapshot()); }

  test::manual_clock clock;
  state_registry states;
  keyed_context<std::int64_t> keys;
  timer_service<std::int64_t> timers;
  std::int64_t current = 0;
  std::function<void(const timer<std::int64_t>&)> on_timer;
  bool done = false;
};
using fired = std::vector<std::pair<std::int64_t, std::int64_t>>;
} // namespace

TEST_CASE("a pass over due timers stops where it is told to, and goes on with the rest") {
  service s;
  for (std::int64_t i = 0; i < 10; ++i) {
    s.key(i);
    s.timers.register_event_time(at(i));
  }
  CHECK(s.advance(20, 4).size() == 4);
  CHECK_FALSE(s.done);
  CHECK(s.timers.current_watermark() == at(20));
  SUBCASE("with the same watermark") {
    CHECK(s.advance(20) == fired{{4, 4}, {5, 5}, {6, 6}, {7, 7}, {8, 8}, {9, 9}});
    CHECK(s.done);
    CHECK(s.advance(20).empty());
  }
  SUBCASE("after a restart in between, when the watermark comes again") {
    service next{s.snapshot()};
    CHECK(next.advance(20).size() == 6);
    CHECK(next.done);
  }
}

TEST_CASE("timers registered while others fire: due ones in the same pass, in time order; past ones, too") {
  service s;
  s.key(1);
  s.timers.register_event_time(at(10));
  s.timers.register_event_time(at(30));
  s.on_timer = [&](const timer<std::int64_t>& due) {
    if (due.time != at(10)) return;
    s.timers.register_event_time(at(20));
    s.timers.register_event_time(at(5));
    s.timers.register_event_time(at(41));
    s.timers.delete_event_time(at(30));
  };
  CHECK(s.advance(40) == fired{{10, 1}, {5, 1}, {20, 1}});
  s.key(2);
  s.timers.register_event_time(at(7)); // waits for the next watermark
  CHECK(s.advance(40).empty());
  CHECK(s.advance(39).empty());
  CHECK(s.advance(42) == fired{{7, 2}, {41, 1}});
}

TEST_CASE("timers and the last watermark survive a restart, and each key group goes where its keys go") {
  service s;
  for (std::int64_t i = 0; i < 100; ++i) {
    s.key(i);
    s.timers.register_event_time(at(i % 7));
    s.timers.register_processing_time(std::chrono::milliseconds{i});
  }
  s.advance(-1);
  service next{s.snapshot()};
  CHECK(next.timers.current_watermark() == at(-1));
  CHECK(next.timers.next_processing_time() == 0ms);
  CHECK(next.timers.event_timers() == 100);
  CHECK(next.advance(100) == s.advance(100));

  std::size_t events = 0;
  for (std::uint32_t subtask : {0u, 1u, 2u}) {
    state_registry states{range_of(subtask, 3, 128), 128, s.snapshot()};
    keyed_context<std::int64_t> keys;
    timer_service<std::int64_t> timers;
    keys.open(states, s.clock);
    timers.open(states, keys, s.clock);
    events += timers.processing_timers();
  }
  CHECK(events == 100);
}

TEST_CASE("timers at the limits of 64 bits fire in order, the last ones at the end of the input") {
  constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
  service s;
  s.key(1);
  for (const auto t : {most, std::int64_t{0}, least, most - 1, least + 1, std::int64_t{-1}}) {
    s.timers.register_event_time(at(t));
    s.timers.register_processing_time(at(t));
  }
  CHECK(s.timers.next_event_time() == at(least));
  service restored{s.snapshot()};
  for (auto* now : {&s, &restored}) {
    CHECK(now->advance(least + 1) == fired{{least, 1}, {least + 1, 1}});
    CHECK(now->advance(most - 1) == fired{{-1, 1}, {0, 1}, {most - 1, 1}});
    CHECK(now->advance(most) == fired{{most, 1}});
    CHECK_FALSE(now->timers.next_event_time().has_value());
    CHECK(now->timers.next_processing_time() == std::chrono::milliseconds{least});
    std::size_t due = 0;
    now->timers.advance_processing_time(
        0ms, [&](auto&) { ++due; }, [] { return false; });
    CHECK(due == 4);
    CHECK(now->timers.next_processing_time() == std::chrono::milliseconds{most - 1});
  }
}

TEST_CASE("a timer needs a key") {
  service s;
  try {
    s.timers.register_event_time(at(1));
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.code() == errc::no_current_key);
    CHECK(e.to_string().find("key_by") != std::string::npos);
  }
}
