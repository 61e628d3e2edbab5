/// A function with one keyed state of each kind, with a database behind it or without, and what it should hold.
#pragma once

#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/keyed_states.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/state/stored_rows.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>

namespace dataflow::test {

/// What a function keeps, one state of each kind.
struct all_kinds {
  value_state<std::int64_t> number{state("number")};
  value_state<std::string> text{state("text", ttl{std::chrono::hours{1}})};
  list_state<std::int32_t> list{state("list")};
  list_state<std::string> mortal_list{state("mortal-list", ttl{std::chrono::hours{1}})};
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

inline expected_row row_of(all_kinds& s) {
  expected_row r;
  if (s.number.has_value()) r.number = *s.number;
  if (s.text.has_value()) r.text = *s.text;
  r.list = s.list.get();
  r.mortal_list = s.mortal_list.get();
  s.map.for_each([&](const std::string& k, std::int64_t v) { r.map.emplace(k, v); });
  return r;
}

struct store_on_disk {
  explicit store_on_disk(const manual_clock& clock, std::shared_ptr<const operator_snapshot> restored = {},
                         bool on_disk = true, key_group_range groups = {0, 127})
      : states{groups, 128, std::move(restored)} {
    if (on_disk) states.set_place({databases.get(), place / "state", 1, false, {}}); // as few rows as it allows
    keys.open(states, clock);
    states.set_keyed(keys);
    function.open(states);
  }
  void key(const std::string& k) { keys.set_key(std::string_view{k}, key_hash(k)); }
  std::shared_ptr<const operator_snapshot> snapshot() {
    keys.clear_key();
    return std::make_shared<operator_snapshot>(states.snapshot());
  }
  void set_incremental() {
    auto p = states.place();
    p.incremental = true;
    states.set_place(p);
  }
  std::shared_ptr<const operator_snapshot> freeze() {
    keys.clear_key();
    return std::make_shared<operator_snapshot>(states.freeze());
  }
  expected_row row() { return row_of(function); }

  temporary_directory place;
  std::shared_ptr<state_database_factory> databases = rocksdb_databases({4 << 20});
  state_registry states;
  keyed_context<std::string> keys;
  all_kinds function;
};

inline void change_one(std::mt19937_64& random, all_kinds& s, expected_row& r) {
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

inline std::string stored_key(std::uint64_t n) { return "key-" + std::to_string(n) + std::string(n % 20, '.'); }

inline void check_rows(store_on_disk& store, const std::map<std::string, expected_row>& m) {
  for (auto& [key, expected] : m) {
    store.key(key);
    REQUIRE(store.row() == expected);
  }
}

} // namespace dataflow::test
