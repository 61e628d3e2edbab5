// Keyed state with a database behind it does what keyed state in memory does.
#include <dataflow/state/look_ahead.hpp>
#include <dataflow/state/stored_rows.hpp>

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <tests/support/effort.hpp>
#include <tests/support/store_on_disk.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

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

TEST_CASE("what was frozen is what was there then, whatever happens to the store") {
  for (const bool on_disk : {false, true}) {
    CAPTURE(on_disk);
    test::manual_clock clock;
    std::mt19937_64 random{7};
    auto store = std::make_unique<store_on_disk>(clock, nullptr, on_disk);
    std::map<std::string, expected_row> m;
    auto change = [&] {
      const auto key = stored_key(random() % 3000);
      store->key(key);
      change_one(random, store->function, m[key]);
    };
    std::vector<std::pair<std::shared_ptr<const operator_snapshot>, std::map<std::string, expected_row>>> taken;
    for (int round = 0; round < 3; ++round) {
      for (int step = 0; step < 8000; ++step)
        change();
      taken.emplace_back(store->freeze(), m);
    }
    for (int step = 0; step < 8000; ++step)
      change();
    check_rows(*store, m);
    store.reset();
    for (auto& [snapshot, then] : taken)
      for (const bool to_disk : {false, true}) {
        store_on_disk again{clock, snapshot, to_disk};
        check_rows(again, then);
      }
  }
}

TEST_CASE("a store begins with the files of another's database, or reads them") {
  test::manual_clock clock;
  std::mt19937_64 random{13};
  store_on_disk store{clock};
  store.set_incremental();
  std::map<std::string, expected_row> m;
  auto change = [&](int steps, std::uint64_t keys) {
    for (int step = 0; step < steps; ++step) {
      const auto key = stored_key(random() % keys);
      store.key(key);
      change_one(random, store.function, m[key]);
    }
  };
  change(10'000, 3000);
  store.freeze();
  change(3000, 3000); // files of several ages
  auto frozen = std::make_shared<operator_snapshot>(*store.freeze());
  REQUIRE(frozen->databases.size() == 1);
  auto& files = *frozen->databases[0].files;
  auto then = m;
  change(3000, 3000);

  // Where a restore would put them.
  temporary_directory fetched;
  auto copy_to = [&](const std::string& name) {
    system_files().create_directories(fetched / name);
    for (auto& f : files.files())
      system_files().write_file(join_path(fetched / name, f.name), system_files().read_file(f.path));
    auto copy = std::make_shared<operator_snapshot>(*frozen);
    copy->databases[0].files = nullptr;
    copy->databases[0].directory = fetched / name;
    return copy;
  };
  { // begun with
    auto from = copy_to("go-on");
    from->databases[0].go_on = true;
    store_on_disk again{clock, from};
    check_rows(again, then);
    again.key("a new key");
    again.function.number = 5;
    again.set_incremental();
    const auto next = again.freeze();
    std::size_t same = 0, tables = 0;
    for (auto& f : next->databases[0].files->files()) {
      if (!f.shared) continue;
      ++tables;
      for (auto& before : files.files())
        same += before.name == f.name && system_files().read_file(before.path) == system_files().read_file(f.path);
    }
    CHECK(same > 0);
    CHECK(tables > same);
  }
  { // more key groups than are ours: what is not ours does not stay
    auto from = copy_to("half");
    from->databases[0].go_on = true;
    from->databases[0].groups = {0, 63};
    store_on_disk half{clock, from, true, {0, 63}};
    const auto taken = half.snapshot();
    for (auto& [name, part] : taken->states)
      for (auto& p : part.parts)
        REQUIRE(p.key_group <= 63);
    std::size_t foreign = 0;
    half.keys.stored()->database().scan(0, {64, 127}, [&](auto, auto) { return ++foreign, true; });
    CHECK(foreign == 0);
  }
  for (const bool to_disk : {false, true}) // read
    for (auto groups : {key_group_range{0, 63}, key_group_range{64, 127}}) {
      auto from = copy_to(std::string{to_disk ? "disk" : "memory"} + std::to_string(groups.first));
      from->databases[0].groups = groups;
      store_on_disk other{clock, from, to_disk, groups};
      std::size_t met = 0;
      for (auto& [key, expected] : then) {
        if (!groups.contains(key_group_of(key_hash(key), 128))) continue;
        other.key(key);
        REQUIRE(other.row() == expected);
        ++met;
      }
      CHECK(met > 1000);
    }
}

TEST_CASE("snapshots of rows on the disk do not contain what has expired, where the time to live says so") {
  const ttl rules = ttl{50ms}.without_background_clean_up();
  for (const bool cleans : {false, true}) {
    const auto r = cleans ? rules.clean_up_in_snapshots() : rules;
    temporary_directory place;
    const auto databases = rocksdb_databases({4 << 20});
    manual_clock clock;
    state_registry states{{0, 127}, 128};
    states.set_place({databases.get(), place / "state", 1, false, {}});
    keyed_context<std::int64_t> keys;
    keys.open(states, clock);
    states.set_keyed(keys);
    value_state<std::int64_t> value{state("value", r)};
    list_state<std::int64_t> list{state("list", r)};
    value.open(states), list.open(states);
    for (std::int64_t i = 0; i < 10; ++i) {
      clock.advance_to(i * 10ms);
      keys.set_key(std::int64_t{i}, key_hash(i));
      value = i;
      list.add(i);
      keys.set_key(std::int64_t{0}, key_hash(std::int64_t{0}));
      list.add(i);
    }
    clock.advance_to(100ms);
    keys.clear_key();
    const auto count = [cleans](const stored_state& stored) {
      std::size_t keys_found = 0, items = 0;
      stored.for_each_part([&](const state_part& p) {
        for (byte_reader in{p.bytes}; !in.at_end(); ++keys_found) {
          std::int64_t key = 0;
          codec<std::int64_t>::decode(key, in);
          const auto n = stored.info.name == "list" ? in.length() : 1;
          for (std::size_t i = 0; i < n; ++i, ++items) {
            CHECK(in.fixed<std::int64_t>() > (cleans ? 50 : -1));
            codec<std::int64_t>::decode(key, in);
          }
        }
      });
      return std::pair{keys_found, items};
    };
    const auto written = states.snapshot();
    const auto frozen = states.freeze();
    clock.advance_to(10s); // what counts is when it was taken
    for (auto* s : {&written, &frozen}) {
      using counts = std::pair<std::size_t, std::size_t>;
      CHECK(count(s->states.at("value")) == (cleans ? counts{4, 4} : counts{10, 10}));
      CHECK(count(s->states.at("list")) == (cleans ? counts{5, 8} : counts{10, 20}));
    }
  }
}
