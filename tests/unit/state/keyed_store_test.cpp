// The rows behind keyed state, against a model.
#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/keyed_states.hpp>
#include <dataflow/state/look_ahead.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <tests/support/effort.hpp>
#include <tests/support/store_on_disk.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

template <class K>
struct store_under_test {
  explicit store_under_test(std::shared_ptr<const operator_snapshot> restored = {}, key_group_range groups = {0, 127})
      : states{groups, 128, std::move(restored)} {
    keys.open(states, clock);
    states.set_keyed(keys);
  }
  void key(K k) {
    const auto hash = key_hash(k);
    keys.set_key(std::move(k), hash);
  }
  std::shared_ptr<const operator_snapshot> snapshot() {
    keys.clear_key();
    return std::make_shared<operator_snapshot>(states.snapshot());
  }

  test::manual_clock clock;
  state_registry states;
  keyed_context<K> keys;
};

using model = std::map<std::string, test::expected_row>;

void check_equal(store_under_test<std::string>& store, test::all_kinds& s, const model& m) {
  for (auto& [key, expected] : m) {
    store.key(key);
    REQUIRE(test::row_of(s) == expected);
  }
  store.keys.clear_key();
  REQUIRE(store.keys.size() ==
          static_cast<std::size_t>(std::count_if(m.begin(), m.end(), [](auto& e) { return !e.second.empty(); })));
}

} // namespace

TEST_CASE("a keyed store holds what was put into it, whatever is cleared, snapshotted and restored in between") {
  for (std::uint64_t seed = 0; seed < test::rounds(30); ++seed) {
    std::mt19937_64 random{seed};
    const auto key_count = 1 + random() % 3000;
    auto store = std::make_unique<store_under_test<std::string>>();
    auto states = std::make_unique<test::all_kinds>();
    states->open(store->states);
    model m;
    for (int step = 0; step < 4000; ++step) {
      const auto key = test::stored_key(random() % key_count);
      store->key(key);
      auto& expected = m[key];
      REQUIRE(test::row_of(*states) == expected);
      for (auto n = random() % 3; n > 0; --n)
        test::change_one(random, *states, expected);
      if (random() % 1500 == 0) {
        auto next = std::make_unique<store_under_test<std::string>>(store->snapshot());
        auto next_states = std::make_unique<test::all_kinds>();
        next_states->open(next->states);
        store = std::move(next);
        states = std::move(next_states);
        check_equal(*store, *states, m);
      }
    }
    check_equal(*store, *states, m);
  }
}

TEST_CASE("keys are found through the candidates of a batched look-up, also when rows go in between") {
  store_under_test<std::string> store;
  test::all_kinds s;
  s.open(store.states);
  std::mt19937_64 random{5};
  model m;
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> batch;
    std::vector<std::uint64_t> hashes;
    for (int i = 0; i < 300; ++i) {
      batch.push_back(test::stored_key(random() % 150));
      hashes.push_back(key_hash(batch.back()));
    }
    look_ahead<keyed_store> ahead{store.keys, hashes.data(), 0, hashes.size()};
    std::size_t looked_up = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (i == looked_up) looked_up = ahead.advance(i, [](std::size_t) {});
      store.keys.set_key(batch[i], hashes[i], ahead[i]);
      auto& expected = m[batch[i]];
      REQUIRE(test::row_of(s) == expected);
      test::change_one(random, s, expected);
    }
    store.keys.clear_key();
  }
  check_equal(store, s, m);
}

TEST_CASE("a held snapshot stays as it was while the store goes on, and knows what has changed") {
  store_under_test<std::string> store;
  test::all_kinds s;
  s.open(store.states);
  std::mt19937_64 random{7};
  model m;
  auto run = [&](int steps, std::uint64_t key_count) {
    for (int i = 0; i < steps; ++i) {
      const auto key = test::stored_key(random() % key_count);
      store.key(key);
      test::change_one(random, s, m[key]);
    }
    store.keys.clear_key();
  };
  run(20'000, 5000);
  const auto before = store.snapshot()->states.at("text").parts;
  const auto lists_before = store.snapshot()->states.at("list").parts;
  auto held = store.keys.freeze();
  CHECK(held.changed() == held.segments());
  run(20'000, 6000);
  auto bytes_of = [](const std::vector<state_part>& parts) {
    std::vector<std::pair<std::uint32_t, std::string>> all;
    for (auto& p : parts)
      all.emplace_back(p.key_group, p.bytes);
    return all;
  };
  std::map<std::string, std::vector<state_part>> written;
  store.keys.for_each_column([&](const keyed_column& c) {
    stored_state into;
    into.info.kind = state_kind::keyed;
    state_writer w{into};
    held.write(c, w);
    w.finish();
    written[c.name()] = std::move(into.parts);
  });
  CHECK(bytes_of(written["text"]) == bytes_of(before));
  CHECK(bytes_of(written["list"]) == bytes_of(lists_before));
  check_equal(store, s, m);

  auto second = store.keys.freeze();
  CHECK(second.changed() > 0);
  auto third = store.keys.freeze();
  CHECK(third.changed() == 0);
  store.key(test::stored_key(1));
  s.number = 5;
  store.keys.clear_key();
  CHECK(store.keys.freeze().changed() == 1);
}

TEST_CASE("states may be declared one after the other, also when there are keys already") {
  store_under_test<std::int64_t> store;
  value_state<std::int64_t> a{state("a")};
  value_state<std::string> b{state("b")};
  a.open(store.states);
  for (std::int64_t i = 0; i < 1000; ++i) {
    store.key(i);
    a = i;
  }
  b.open(store.states);
  for (std::int64_t i = 0; i < 1000; ++i) {
    store.key(i);
    REQUIRE(*a == i);
    REQUIRE_FALSE(b.has_value());
    b = std::to_string(i);
  }
  for (std::int64_t i = 0; i < 1000; ++i) {
    store.key(i);
    REQUIRE(*a == i);
    REQUIRE(*b == std::to_string(i));
  }
}

TEST_CASE("rows and their memory go when the last value is cleared") {
  store_under_test<std::int64_t> store;
  value_state<std::int64_t> a{state("a")}, b{state("b")};
  a.open(store.states);
  b.open(store.states);
  std::size_t after_first = 0;
  for (int round = 0; round < 10; ++round) {
    for (std::int64_t i = 0; i < 20'000; ++i) {
      store.key(round * 1'000'000 + i);
      a = i;
      b = i;
    }
    CHECK(store.keys.size() == 20'000);
    if (round == 0) after_first = store.keys.memory_bytes();
    for (std::int64_t i = 0; i < 20'000; ++i) {
      store.key(round * 1'000'000 + i);
      a.clear();
      CHECK(b.has_value());
      b.clear();
    }
    store.keys.clear_key();
    CHECK(store.keys.size() == 0);
  }
  CHECK(store.keys.memory_bytes() <= after_first * 3 / 2);
}

TEST_CASE("all keys can be visited, in the same order after a restart, and changed on the way") {
  store_under_test<std::int64_t> store;
  value_state<std::int64_t> a{state("a")};
  a.open(store.states);
  for (std::int64_t i = 0; i < 5000; ++i) {
    store.key(i * 7);
    a = i;
  }
  std::vector<std::int64_t> order;
  store.keys.for_each_key([&](std::int64_t key) {
    order.push_back(key);
    CHECK(*a == key / 7);
    if (key % 2 == 0)
      a.clear();
    else
      a = *a + 1;
  });
  CHECK(order.size() == 5000);
  CHECK(store.keys.size() == 2500);
  CHECK_FALSE(store.keys.has_key());
  std::erase_if(order, [](auto key) { return key % 2 == 0; });

  store_under_test<std::int64_t> next{store.snapshot()};
  value_state<std::int64_t> again{state("a")};
  again.open(next.states);
  std::vector<std::int64_t> visited;
  next.keys.for_each_key([&](std::int64_t key) {
    visited.push_back(key);
    CHECK(*again == key / 7 + 1);
  });
  CHECK(visited == order);
}

TEST_CASE("restored rows go to the subtask that has their key group") {
  store_under_test<std::int64_t> store;
  value_state<std::int64_t> a{state("a")};
  a.open(store.states);
  for (std::int64_t i = 0; i < 3000; ++i) {
    store.key(i);
    a = i;
  }
  auto snapshot = store.snapshot();
  std::size_t rows = 0;
  for (std::uint32_t subtask = 0; subtask < 5; ++subtask) {
    const auto range = range_of(subtask, 5, 128);
    store_under_test<std::int64_t> part{snapshot, range};
    value_state<std::int64_t> b{state("a")};
    b.open(part.states);
    rows += part.keys.size();
    part.keys.for_each_key([&](std::int64_t key) { REQUIRE(range.contains(key_group_of(key_hash(key), 128))); });
  }
  CHECK(rows == 3000);
}

TEST_CASE("a namespace in the key leaves the key group that of the key") {
  using space_key = std::pair<std::int64_t, std::int32_t>;
  struct first_hash {
    std::uint64_t operator()(const space_key& k, std::uint64_t) const { return key_hash(k.first); }
  };
  test::manual_clock clock;
  state_registry states{range_of(1, 4, 128), 128};
  keyed_context<space_key, first_hash> keys;
  keys.open(states, clock);
  states.set_keyed(keys);
  value_state<std::int64_t> a{state("a")};
  a.open(states);
  std::int64_t put = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    if (!range_of(1, 4, 128).contains(key_group_of(key_hash(i), 128))) continue;
    for (std::int32_t n = 0; n < 3; ++n, ++put) {
      const space_key k{i, n};
      keys.set_key(k, key_hash(k));
      a = put;
    }
  }
  keys.clear_key();
  CHECK(keys.size() == static_cast<std::size_t>(put));
  const auto snapshot = states.snapshot();
  for (auto& part : snapshot.states.at("a").parts)
    CHECK(range_of(1, 4, 128).contains(part.key_group));
}
