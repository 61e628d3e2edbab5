// Snapshots of the tables behind rolling reductions, read by one thread while another changes the table.
#include <dataflow/record/codecs.hpp>
#include <dataflow/state/flat_table.hpp>
#include <dataflow/state/keyed_table_state.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <tests/support/effort.hpp>
#include <thread>

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

struct table_under_test {
  table_under_test() { state.open(states); }
  void add(std::int64_t id, std::int64_t what) {
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

} // namespace

TEST_CASE("a table's snapshot is what was there, whatever the task does while another thread writes it or drops it") {
  for (std::uint64_t seed = 0; seed < test::rounds(40); ++seed) {
    std::mt19937_64 random{seed};
    auto subject = std::make_unique<table_under_test>();
    const auto keys = 1 + random() % 20'000;
    const auto change = [&](std::uint64_t most) {
      for (auto n = random() % 20'000; n > 0; --n)
        subject->add(static_cast<std::int64_t>(random() % most), static_cast<std::int64_t>(random() % 1000));
    };
    change(keys);
    struct taken {
      held_parts expected, written;
      stored_state stored;
      std::thread writer;
    };
    std::vector<std::unique_ptr<taken>> all;
    for (int round = 0; round < 5; ++round) {
      auto t = std::make_unique<taken>();
      t->expected = parts_of_table(subject->states.snapshot().states.at("kept"), false);
      t->stored = subject->states.freeze().states.at("kept");
      REQUIRE(t->stored.frozen);
      const bool dropped = random() % 4 == 0, twice = random() % 2 == 0;
      t->writer = std::thread{[t = t.get(), dropped, twice] {
        if (twice) t->written = parts_of_table(t->stored, false);
        if (twice && t->written != t->expected) return;
        t->written = dropped ? t->expected : parts_of_table(t->stored, true);
        t->stored = {};
      }};
      all.push_back(std::move(t));
      change(round == 2 ? keys * 4 : keys); // grows
      if (round == 3) subject->table.clear();
      change(keys);
      if (random() % 2 == 0) // else the next one is taken while this one is in progress
        for (auto& other : all)
          if (other->writer.joinable()) other->writer.join();
    }
    if (random() % 2 == 0) subject.reset(); // snapshots outlive the table
    for (auto& t : all) {
      if (t->writer.joinable()) t->writer.join();
      REQUIRE(t->written == t->expected);
    }
    if (subject) CHECK_FALSE(subject->table.is_held());
  }
}

TEST_CASE("a table's snapshot can be read any number of times, until the last time") {
  table_under_test subject;
  for (std::int64_t i = 0; i < 1000; ++i)
    subject.add(i, i);
  const auto frozen = subject.states.freeze();
  const auto& stored = frozen.states.at("kept");
  CHECK(parts_of_table(stored, false) == parts_of_table(stored, false));
  subject.add(5, 5);
  CHECK(subject.table.is_held());
  CHECK(parts_of_table(stored, true).size() > 100);
  CHECK_FALSE(subject.table.is_held());
  CHECK_THROWS_AS(parts_of_table(stored, false), error);
}
