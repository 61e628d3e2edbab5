// Keyed state with a database behind it does what keyed state in memory does.
#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/keyed_states.hpp>
#include <dataflow/state/look_ahead.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/state/stored_rows.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <tests/support/effort.hpp>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

/// What a function keeps, one state of each kind.
struct all_kinds {
  value_state<std::int64_t> number{state("number")};
  value_state<std::string> text{state("text", ttl{1h})};
  list_state<std::int32_t> list{state("list")};
  list_state<std::string> mortal_list{state("mortal-list", ttl{1h})};
  map_state<std::string, std::int64_t> map{state("map")};
  void open(state_registry& states) {
    number.open(states);
    text.open(states);
    list.open(states);
    mortal_list.open(states);
    map.open(states);
  }
};
struct expected_row {
  std::optional<std::int64_t> number;
  std::optional<std::string> text;
  std::vector<std::int32_t> list;
  std::vector<std::string> mortal_list;
  std::map<std::string, std::int64_t> map;
  bool empty() const { return !number && !text && list.empty() && mortal_list.empty() && map.empty(); }
  bool operator==(const expected_row&) const = default;
};

struct store_on_disk {
  explicit store_on_disk(const test::manual_clock& clock, std::shared_ptr<const operator_snapshot> restored = {},
                         bool on_disk = true, key_group_range groups = {0, 127})
      : states{groups, 128, std::move(restored)} {
    if (on_disk) states.set_place({databases.get(), place / "state", 1}); // as few rows in memory as it allows
    keys.open(states, clock);
    states.set_keyed(keys);
    function.open(states);
  }
  void key(const std::string& k) { keys.set_key(std::string_view{k}, key_hash(k)); }
  std::shared_ptr<const operator_snapshot> snapshot() {
    keys.clear_key();
    return std::make_shared<operator_snapshot>(states.snapshot());
  }
  expected_row row() {
    expected_row r;
    if (function.number.has_value()) r.number = *function.number;
    if (function.text.has_value()) r.text = *function.text;
    r.list = function.list.get();
    r.mortal_list = function.mortal_list.get();
    function.map.for_each([&](const std::string& k, std::int64_t v) { r.map.emplace(k, v); });
    return r;
  }

  test::temporary_directory place;
  std::shared_ptr<state_database_factory> databases = rocksdb_databases({4 << 20});
  state_registry states;
  keyed_context<std::string> keys;
  all_kinds function;
};

void change_one(std::mt19937_64& random, all_kinds& s, expected_row& r) {
  const auto number = static_cast<std::int64_t>(random() % 1000);
  switch (random() % 11) {
  case 0:
    s.number.clear();
    r.number.reset();
    break;
  case 1:
    s.text.clear();
    r.text.reset();
    break;
  case 2:
    s.list.clear();
    r.list.clear();
    break;
  case 3:
    s.map.remove("k3");
    r.map.erase("k3");
    break;
  case 4:
    s.number.edit() += 3;
    r.number = r.number.value_or(0) + 3;
    break;
  case 5:
    s.text = std::string(random() % 40, 'a');
    r.text = s.text.value();
    break;
  case 6:
  case 7:
    s.mortal_list.add(std::to_string(number));
    r.mortal_list.push_back(std::to_string(number));
    break;
  case 8:
    s.map["k" + std::to_string(number % 5)] = number;
    r.map["k" + std::to_string(number % 5)] = number;
    break;
  default:
    s.list.add(static_cast<std::int32_t>(number));
    r.list.push_back(static_cast<std::int32_t>(number));
  }
}

std::string stored_key(std::uint64_t n) { return "key-" + std::to_string(n) + std::string(n % 20, '.'); }

void check_rows(store_on_disk& store, const std::map<std::string, expected_row>& m) {
  for (auto& [key, expected] : m) {
    store.key(key);
    REQUIRE(store.row() == expected);
  }
}

} // namespace

TEST_CASE("keyed state in a database holds what was put into it, and moves to memory and back through snapshots") {
  for (std::uint64_t seed = 0; seed < test::rounds(6); ++seed) {
    test::manual_clock clock;
    std::mt19937_64 random{seed};
    auto store = std::make_unique<store_on_disk>(clock);
    std::map<std::string, expected_row> m;
    for (int step = 0; step < 30'000; ++step) {
      const auto key = stored_key(random() % 4000);
      store->key(key);
      auto& expected = m[key];
      if (random() % 2 == 0) REQUIRE(store->row() == expected); // else changes meet what is not in memory
      for (auto n = random() % 3; n > 0; --n)
        change_one(random, store->function, expected);
      if (random() % 10'000 == 0) store = std::make_unique<store_on_disk>(clock, store->snapshot(), random() % 2 == 0);
    }
    check_rows(*store, m);
    REQUIRE((store->keys.stored() != nullptr || seed > 0));
    if (store->keys.stored()) CHECK(store->keys.size() < m.size()); // or nothing was tested
  }
}

TEST_CASE("a snapshot of keyed state is the same from a database and from memory") {
  test::manual_clock clock;
  store_on_disk disk{clock}, memory{clock, {}, false};
  std::mt19937_64 random{11};
  std::map<std::string, expected_row> m, same;
  for (int step = 0; step < 20'000; ++step) {
    const auto key = stored_key(random() % 3000);
    auto again = random;
    disk.key(key);
    change_one(random, disk.function, m[key]);
    memory.key(key);
    change_one(again, memory.function, same[key]);
  }
  // Rows of a group may stand in another order: both are restored, each where the other was, at half the groups.
  for (auto groups : {key_group_range{0, 63}, key_group_range{64, 127}}) {
    for (auto& [from, on_disk] : {std::pair{disk.snapshot(), false}, std::pair{memory.snapshot(), true}}) {
      auto part = std::make_shared<operator_snapshot>(*from);
      for (auto& [name, state] : part->states)
        std::erase_if(state.parts, [&](auto& p) { return !groups.contains(p.key_group); });
      store_on_disk other{clock, part, on_disk, groups};
      std::size_t met = 0;
      for (auto& [key, expected] : m) {
        if (!groups.contains(key_group_of(key_hash(key), 128))) continue;
        other.key(key);
        REQUIRE(other.row() == expected);
        ++met;
      }
      CHECK(met > 1000);
    }
  }
}

TEST_CASE("every key of a database can be visited, group by group, and changed on the way") {
  test::manual_clock clock;
  store_on_disk store{clock};
  std::map<std::string, expected_row> m;
  for (int i = 0; i < 5000; ++i) {
    store.key(stored_key(static_cast<std::uint64_t>(i)));
    if (i % 3 == 0)
      store.function.list.add(i);
    else
      store.function.number = i;
  }
  std::uint32_t group = 0;
  std::size_t visited = 0;
  store.keys.for_each_key([&](const std::string& key) {
    const auto g = key_group_of(key_hash(key), 128);
    CHECK(g >= group);
    group = g;
    ++visited;
    if (store.function.number.has_value()) {
      if (*store.function.number % 2 == 0)
        store.function.number.clear();
      else
        store.function.number.edit() += 10'000;
    }
  });
  CHECK(visited == 5000);
  for (int i = 0; i < 5000; ++i) {
    store.key(stored_key(static_cast<std::uint64_t>(i)));
    if (i % 3 == 0)
      REQUIRE(store.function.list.get() == std::vector<std::int32_t>{i});
    else if (i % 2 == 0)
      REQUIRE_FALSE(store.function.number.has_value());
    else
      REQUIRE(*store.function.number == i + 10'000);
  }
  std::size_t left = 0;
  for (int i = 0; i < 5000; ++i)
    left += i % 3 == 0 || i % 2 != 0;
  visited = 0;
  store.keys.for_each_key([&](const std::string&) { ++visited; });
  CHECK(visited == left);
}

TEST_CASE("state with a time to live that is in a database expires, and goes when files are merged") {
  test::manual_clock clock;
  store_on_disk store{clock};
  for (int i = 0; i < 3000; ++i) {
    store.key(stored_key(static_cast<std::uint64_t>(i)));
    store.function.text = "t" + std::to_string(i);
    store.function.mortal_list.add("old");
    if (i == 1500) clock.advance(30min);
  }
  store.key(stored_key(1));
  store.function.mortal_list.add("new");
  clock.advance(30min);
  store.key(stored_key(1));
  CHECK_FALSE(store.function.text.has_value());
  CHECK(store.function.mortal_list.get() == std::vector<std::string>{"new"});
  store.key(stored_key(2999));
  CHECK(store.function.text.value() == "t2999");
  store.keys.clear_key();
  store.keys.stored()->flush();
  auto stored_texts = [&] {
    std::size_t n = 0;
    store.keys.stored()->database().scan(1, {0, 127}, [&](auto, auto) { return ++n, true; });
    return n;
  };
  CHECK(stored_texts() > 2000);
  store.keys.stored()->database().compact();
  CHECK(stored_texts() < 1600);
}

TEST_CASE("keys that come in batches find their rows, also when rows leave memory in between") {
  test::manual_clock clock;
  store_on_disk store{clock};
  std::mt19937_64 random{5};
  std::map<std::string, expected_row> m;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> batch;
    std::vector<std::uint64_t> hashes;
    for (int i = 0; i < 300; ++i) {
      batch.push_back(stored_key(random() % 3000));
      hashes.push_back(key_hash(batch.back()));
    }
    look_ahead<keyed_store> ahead{store.keys, hashes.data(), 0, hashes.size()};
    std::size_t looked_up = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (i == looked_up) looked_up = ahead.advance(i, [](std::size_t) {});
      store.keys.set_key(std::string_view{batch[i]}, hashes[i], ahead[i]);
      auto& expected = m[batch[i]];
      REQUIRE(store.row() == expected);
      change_one(random, store.function, expected);
    }
    store.keys.clear_key();
  }
  check_rows(store, m);
}
