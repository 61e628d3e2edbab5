// Snapshots of keyed state in memory that are read by one thread while another changes the state.
#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/keyed_states.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <random>
#include <tests/support/effort.hpp>
#include <tests/support/test_platform.hpp>
#include <thread>

using namespace dataflow;

namespace {

/// A store with a state of plain bytes, one of strings and one of shared contents.
struct held_store {
  explicit held_store(std::size_t snapshot_bytes = std::size_t{1} << 40) {
    state_place place;
    place.snapshot_bytes = snapshot_bytes;
    states.set_place(place);
    keys.open(states, clock);
    states.set_keyed(keys);
    number.open(states);
    text.open(states);
    list.open(states);
  }
  void key(std::int64_t k) { keys.set_key(std::int64_t{k}, key_hash(k)); }
  void change(std::mt19937_64& random, std::int64_t key_count) {
    key(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(key_count)));
    switch (random() % 8) {
    case 0:
      return number.clear();
    case 1:
      return text.clear();
    case 2:
      return list.clear();
    case 3:
      list.add(static_cast<std::int32_t>(random()));
      return;
    case 4:
      text = std::string(random() % 60, static_cast<char>('a' + random() % 26));
      return;
    default:
      number.edit() += static_cast<std::int64_t>(random() % 1000);
    }
  }

  test::manual_clock clock;
  state_registry states{{0, 127}, 128};
  keyed_context<std::int64_t> keys;
  value_state<std::int64_t> number{state("number")};
  value_state<std::string> text{state("text")};
  list_state<std::int32_t> list{state("list")};
  value_state<std::int64_t> more{state("more")}; // is opened later
};

using parts_by_state = std::map<std::string, std::vector<std::pair<std::uint32_t, std::string>>>;
parts_by_state parts_of_all(const operator_snapshot& s, bool give_up) {
  parts_by_state all;
  for (auto& [name, stored] : s.states) {
    auto& parts = all[name];
    const auto take = [&](const state_part& p) { parts.emplace_back(p.key_group, p.bytes); };
    if (give_up)
      stored.give_up_parts(take);
    else
      stored.for_each_part(take);
  }
  return all;
}

} // namespace

TEST_CASE("a snapshot is what was there, whatever the task does while another thread writes it or drops it") {
  for (std::uint64_t seed = 0; seed < test::rounds(40); ++seed) {
    std::mt19937_64 random{seed};
    auto store = std::make_unique<held_store>();
    const auto key_count = static_cast<std::int64_t>(1 + random() % 8000);
    for (int i = 0; i < 8000; ++i)
      store->change(random, key_count);
    struct taken {
      parts_by_state expected, written;
      operator_snapshot snapshot;
      std::thread writer;
    };
    std::vector<std::unique_ptr<taken>> all;
    for (int round = 0; round < 6; ++round) {
      store->keys.clear_key();
      auto t = std::make_unique<taken>();
      t->expected = parts_of_all(store->states.snapshot(), false);
      t->snapshot = store->states.freeze();
      const bool dropped = random() % 4 == 0, twice = random() % 2 == 0;
      t->writer = std::thread{[t = t.get(), dropped, twice] {
        if (twice) parts_of_all(t->snapshot, false);
        if (dropped)
          t->written = t->expected;
        else
          t->written = parts_of_all(t->snapshot, true);
        t->snapshot = {};
      }};
      all.push_back(std::move(t));
      for (auto n = random() % 6000; n > 0; --n)
        store->change(random, key_count + (round == 3 ? 4000 : 0)); // more keys: segments grow
      if (round == 4) {                                             // the layout changes
        store->more.open(store->states);
        store->key(1);
        store->more = 5;
      }
      if (random() % 2 == 0) // else the next one is taken while this one is in progress
        for (auto& other : all)
          if (other->writer.joinable()) other->writer.join();
    }
    if (random() % 2 == 0) store.reset(); // snapshots outlive the task
    for (auto& t : all) {
      if (t->writer.joinable()) t->writer.join();
      REQUIRE(t->written == t->expected);
    }
    if (!store) continue;
    store->keys.clear_key();
    CHECK(store->keys.held_bytes() == 0);
  }
}

TEST_CASE("a snapshot holds nothing of rows that do not change, and the copies of others only until they are written") {
  held_store store;
  for (std::int64_t i = 0; i < 20'000; ++i) {
    store.key(i);
    store.number = i;
    store.text = "x";
  }
  store.keys.clear_key();
  auto snapshot = store.states.freeze();
  CHECK(store.keys.held_bytes() == 0);
  for (std::int64_t i = 0; i < 20'000; i += 100) {
    store.key(i);
    store.number.edit() += 1;
    store.key(i);
    store.number.edit() += 1;
  }
  store.keys.clear_key();
  const auto of_few = store.keys.held_bytes();
  CHECK(of_few > 200 * sizeof(std::int64_t));
  for (std::int64_t i = 0; i < 20'000; ++i) {
    store.key(i);
    store.number.edit() += 1;
  }
  store.keys.clear_key();
  const auto of_all = store.keys.held_bytes();
  CHECK(of_all > 20'000 * 2 * sizeof(std::int64_t));
  CHECK(of_few * 5 < of_all); // the rows that changed, not their segments
  // One state after the other: what has been written can go with the last one.
  std::vector<std::size_t> held;
  for (auto& [name, stored] : snapshot.states)
    stored.give_up_parts([&](const state_part&) {
      if (name == "text")
        held.push_back(store.keys.held_bytes());
      else
        CHECK(store.keys.held_bytes() == of_all);
    });
  REQUIRE(held.size() == 128);
  CHECK(std::is_sorted(held.rbegin(), held.rend()));
  CHECK(held[64] < of_all * 6 / 10);
  CHECK(store.keys.held_bytes() == 0);
  CHECK_THROWS_AS(snapshot.states.at("text").for_each_part([](const state_part&) {}), error);
}

TEST_CASE("a task that changes all keys waits for who writes the snapshot before it holds too much") {
  constexpr std::size_t limit = 256 * 1024;
  test::manual_clock clock;
  state_registry states{{0, 127}, 128};
  state_place place;
  place.snapshot_bytes = limit;
  states.set_place(place);
  keyed_context<std::int64_t> keys;
  keys.open(states, clock);
  states.set_keyed(keys);
  value_state<std::int64_t> number{state("number")};
  number.open(states);
  constexpr std::int64_t key_count = 50'000;
  const auto change_all = [&](auto&& after_each) {
    for (std::int64_t i = 0; i < key_count; ++i) {
      keys.set_key(std::int64_t{i * 7919 % key_count}, key_hash(std::int64_t{i * 7919 % key_count}));
      number.edit() += 1;
      keys.clear_key();
      after_each();
    }
  };
  change_all([] {});
  const auto expected = parts_of_all(states.snapshot(), false);

  // The writer starts when the task has to wait for the first time.
  std::atomic<int> woken{0};
  keys.set_wake_up([&] {
    woken.fetch_add(1);
    woken.notify_all();
  });
  auto snapshot = states.freeze();
  parts_by_state written;
  std::thread writer;
  std::size_t most = 0, waited = 0;
  change_all([&] {
    most = std::max(most, keys.held_bytes());
    const auto before = woken.load();
    if (!keys.must_wait()) return;
    ++waited;
    if (!writer.joinable()) writer = std::thread{[&] { written = parts_of_all(snapshot, true); }};
    woken.wait(before);
    CHECK(keys.held_bytes() <= limit / 2);
  });
  writer.join();
  CHECK(waited >= 1);
  CHECK(most > limit / 2);
  CHECK(most < limit + 128 * 1024); // a block of copies, and now and then a segment
  CHECK(written == expected);
  CHECK(keys.held_bytes() == 0);
  CHECK_FALSE(keys.must_wait());
}

namespace {
struct counted_content {
  counted_content() { ++alive; }
  counted_content(const counted_content&) {
    ++alive;
    if (while_copied) while_copied();
  }
  counted_content& operator=(const counted_content&) = delete;
  ~counted_content() { --alive; }
  static inline int alive = 0;
  static inline std::function<void()> while_copied;
};
} // namespace

TEST_CASE("a shared value goes with the last who has it, also when one gives it up while another copies it to write") {
  using shared = detail::shared_value<counted_content>;
  {
    shared mine;
    auto others = std::make_unique<shared>(mine);
    counted_content::while_copied = [&] { others.reset(); };
    mine.write();
    counted_content::while_copied = {};
    CHECK(counted_content::alive == 1);
  }
  CHECK(counted_content::alive == 0);
}
