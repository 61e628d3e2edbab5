// Snapshots of the tables behind rolling reductions, read by one thread while another changes the table.
#include <dataflow/record/codecs.hpp>
#include <dataflow/state/flat_table.hpp>
#include <dataflow/state/keyed_table_state.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <map>
#include <tests/support/effort.hpp>
#include <tests/support/frozen_table.hpp>
#include <utility>

using namespace dataflow;

namespace {

struct held_account {
  std::int64_t id = 0, sum = 0, of_what = 0;
};
} // namespace
DATAFLOW_RECORD(held_account, id, sum, of_what);

namespace {
using held_table =
    flat_table<std::int64_t, held_account, key_equal<std::int64_t>, key_hasher, std::int64_t held_account::*>;
using held_table_state = keyed_table_state<std::int64_t, held_account, key_equal<std::int64_t>, key_hasher,
                                           std::int64_t held_account::*, held_table>;

using held_parts = std::map<std::uint32_t, std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>>>;
/// By key group and key: where entries lie depends on the size of the table.
held_parts parts_of_table(const stored_state& stored, bool give_up) {
  held_parts all;
  const auto take = [&](const state_part& p) {
    if (!all.empty()) CHECK(all.rbegin()->first < p.key_group);
    for (byte_reader in{p.bytes}; !in.at_end();) {
      held_account a;
      codec<held_account>::decode(a, in);
      all[p.key_group][a.id] = {a.sum, a.of_what};
    }
  };
  if (give_up)
    stored.give_up_parts(take);
  else
    stored.for_each_part(take);
  return all;
}

struct table_under_test {
  table_under_test() { state.open(states); }
  static held_parts parts(const stored_state& stored, bool give_up) { return parts_of_table(stored, give_up); }
  void add(std::uint64_t n, std::int64_t what) {
    const auto id = static_cast<std::int64_t>(n);
    const auto hash = key_hash(id);
    table.make_room(1);
    const auto likely = table.candidate(hash);
    if (table.is_held()) table.save(id, hash, likely);
    auto [a, fresh] = table.find_or_insert_value(id, hash, likely, [&] { return held_account{id, 0, 0}; });
    a->sum += what;
    a->of_what = fresh ? 1 : a->of_what + 1;
  }
  state_registry states{{0, 127}, 128};
  held_table table{&held_account::id};
  held_table_state state{"kept", table, &held_account::id};
};

} // namespace

TEST_CASE("a table's snapshot is what was there, whatever the task does while another thread writes it or drops it") {
  test::change_while_snapshots_are_written<table_under_test>(test::rounds(40), 20'000, 20'000);
}

TEST_CASE("a table's snapshot can be read any number of times, until the last time") {
  table_under_test subject;
  for (std::uint64_t i = 0; i < 1000; ++i)
    subject.add(i, static_cast<std::int64_t>(i));
  const auto frozen = subject.states.freeze();
  const auto& stored = frozen.states.at("kept");
  CHECK(parts_of_table(stored, false) == parts_of_table(stored, false));
  subject.add(5, 5);
  CHECK(subject.table.is_held());
  CHECK(parts_of_table(stored, true).size() > 100);
  CHECK_FALSE(subject.table.is_held());
  CHECK_THROWS_AS(parts_of_table(stored, false), error);
}
