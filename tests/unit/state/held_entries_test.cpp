// Snapshots of tables whose entries own memory or are large, read by one thread while another changes the table.
#include <dataflow/record/codecs.hpp>
#include <dataflow/state/flat_table.hpp>
#include <dataflow/state/keyed_table_state.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <string>
#include <tests/support/effort.hpp>
#include <tests/support/frozen_table.hpp>
#include <thread>

using namespace dataflow;

namespace {

struct long_account {
  std::string name;
  std::int64_t sum = 0;
  std::vector<std::int64_t> all;
};
struct wide_account {
  std::string name;
  std::int64_t sum = 0;
  std::array<std::int64_t, 12> all{};
};
} // namespace
DATAFLOW_RECORD(long_account, name, sum, all);
DATAFLOW_RECORD(wide_account, name, sum, all);

namespace {

void change(long_account& a, std::int64_t what) {
  a.sum += what;
  a.all.push_back(what);
  if (what % 7 == 0) a.all.clear();
}
void change(wide_account& a, std::int64_t what) {
  a.sum += what;
  a.all[static_cast<std::size_t>(what) % a.all.size()] += what;
}

using entry_parts = std::map<std::uint32_t, std::string>;
entry_parts parts_of_entries(const stored_state& stored, bool give_up) {
  entry_parts all;
  const auto take = [&](const state_part& p) {
    if (!all.empty()) CHECK(all.rbegin()->first < p.key_group);
    all[p.key_group] += p.bytes;
  };
  if (give_up)
    stored.give_up_parts(take);
  else
    stored.for_each_part(take);
  return all;
}

std::string account_name(std::uint64_t n) { return "account with a name that is not short " + std::to_string(n); }

/// KeyOf: separate_keys, or where the key is in the value.
template <class V, class KeyOf>
struct entries_under_test {
  using table_type = lookup_table<std::string, V, key_equal<std::string>, key_hasher, KeyOf>;
  static_assert(!flat_entry<typename table_type::entry>);

  entries_under_test() { state.open(states); }
  static entry_parts parts(const stored_state& stored, bool give_up) { return parts_of_entries(stored, give_up); }
  void add(std::uint64_t n, std::int64_t what) {
    const auto id = account_name(n);
    const auto hash = key_hash(id);
    const auto likely = table.candidate(hash);
    if (table.is_held()) table.save(id, hash, likely);
    auto [a, fresh] = table.find_or_insert_value(id, hash, likely, [&] { return V{id, 0, {}}; });
    change(*a, what);
  }
  state_registry states{{0, 127}, 128};
  static KeyOf key_of() {
    if constexpr (std::is_same_v<KeyOf, detail::separate_keys>)
      return {};
    else
      return &V::name;
  }
  table_type table{key_of()};
  keyed_table_state<std::string, V, key_equal<std::string>, key_hasher, KeyOf, table_type> state{"kept", table,
                                                                                                 key_of()};
};

} // namespace

TEST_CASE("snapshots of rolling entries with memory of their own are what was there, whatever the task does") {
  test::change_while_snapshots_are_written<entries_under_test<long_account, detail::separate_keys>>(test::rounds(8),
                                                                                                    2'000, 4'000);
  test::change_while_snapshots_are_written<entries_under_test<long_account, std::string long_account::*>>(
      test::rounds(8), 2'000, 4'000);
}

TEST_CASE("snapshots of rolling entries above 64 bytes are what was there, whatever the task does") {
  test::change_while_snapshots_are_written<entries_under_test<wide_account, detail::separate_keys>>(test::rounds(8),
                                                                                                    2'000, 4'000);
  test::change_while_snapshots_are_written<entries_under_test<wide_account, std::string wide_account::*>>(
      test::rounds(8), 2'000, 4'000);
}

namespace {
/// Counts who encodes it.
struct watched {
  std::int64_t value = 0;
  static inline std::map<std::thread::id, std::size_t> encoded;
};
} // namespace
template <>
struct dataflow::codec<watched> {
  static constexpr std::uint16_t version = 1;
  static void encode(const watched& w, byte_writer& out) {
    ++watched::encoded[std::this_thread::get_id()];
    out.fixed(w.value);
    out.fixed(std::array<char, 92>{});
  }
  static void decode(watched& w, byte_reader& in) {
    w.value = in.fixed<std::int64_t>();
    in.raw(92);
  }
  static schema describe() { return {"watched", {}}; }
  static std::size_t size_of(const watched&) noexcept { return 100; }
};

TEST_CASE("a snapshot of entries has the task encode only what it changes before it is written, and holds no more") {
  using table_type = keyed_table<std::string, watched, key_equal<std::string>, key_hasher>;
  state_registry states{{0, 127}, 128};
  table_type table;
  keyed_table_state<std::string, watched, key_equal<std::string>, key_hasher, detail::separate_keys> state{"kept",
                                                                                                           table};
  state.open(states);
  const auto add = [&](std::uint64_t n) {
    const auto id = account_name(n);
    const auto hash = key_hash(id);
    if (table.is_held()) table.save(id, hash, table_type::none);
    ++table.find_or_insert(id, hash).first->value;
  };
  constexpr std::size_t keys = 10'000;
  for (std::size_t i = 0; i < keys; ++i)
    add(i);
  watched::encoded.clear();
  auto frozen = states.freeze();
  CHECK(watched::encoded.empty());
  for (std::size_t n = 0; n < 3; ++n) // once for each
    for (std::size_t i = 0; i < 100; ++i)
      add(i * 7);
  for (std::size_t i = 0; i < 100; ++i)
    add(keys + i); // new ones are none of its
  CHECK(watched::encoded[std::this_thread::get_id()] == 100);
  bool woken = false;
  const auto wake = [&] { woken = true; };
  CHECK_FALSE(table.holds_more_than(100 * 200 + 128 * 512, wake)); // what is written of an entry, and room for more
  CHECK(table.holds_more_than(100 * 140, wake));
  watched::encoded.clear();
  CHECK(parts_of_entries(frozen.states.at("kept"), true).size() == 128);
  CHECK(woken);
  CHECK(watched::encoded[std::this_thread::get_id()] == keys - 100);
  CHECK_FALSE(table.is_held());
  CHECK_THROWS_AS(parts_of_entries(frozen.states.at("kept"), false), error);
}

TEST_CASE("a snapshot of entries that is dropped before it was written wakes who waits for it") {
  entries_under_test<long_account, detail::separate_keys> subject;
  for (std::uint64_t i = 0; i < 100; ++i)
    subject.add(i, 1);
  auto frozen = subject.states.freeze();
  for (std::uint64_t i = 0; i < 100; ++i)
    subject.add(i, 1);
  bool woken = false;
  CHECK(subject.table.holds_more_than(10'000, [&] { woken = true; }));
  frozen = {};
  CHECK(woken);
  CHECK_FALSE(subject.table.is_held());
}
