/// Snapshots of a table that one thread writes or drops while another changes the table.
///
/// Subject: `states` (a state_registry where the table is the state "kept"), `table`, `add(std::uint64_t key,
/// std::int64_t what)`, `static parts(const stored_state&, bool give_up)` with what is in it, to be compared.
#pragma once

#include <dataflow/state/declared_state.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace dataflow::test {

/// At most so many keys at first, and changes at a time.
template <class Subject>
void change_while_snapshots_are_written(std::uint64_t seeds, std::uint64_t most_keys, std::uint64_t most_changes) {
  using parts = decltype(Subject::parts(std::declval<const stored_state&>(), true));
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    std::mt19937_64 random{seed};
    auto subject = std::make_unique<Subject>();
    const auto keys = 1 + random() % most_keys;
    const auto change = [&](std::uint64_t of) {
      for (auto n = random() % most_changes; n > 0; --n)
        subject->add(random() % of, static_cast<std::int64_t>(random() % 1000));
    };
    change(keys);
    struct taken {
      parts expected, written;
      stored_state stored;
      std::thread writer;
    };
    std::vector<std::unique_ptr<taken>> all;
    for (int round = 0; round < 5; ++round) {
      auto t = std::make_unique<taken>();
      t->expected = Subject::parts(subject->states.snapshot().states.at("kept"), false);
      t->stored = subject->states.freeze().states.at("kept");
      REQUIRE(t->stored.frozen);
      const bool dropped = random() % 4 == 0, twice = random() % 2 == 0;
      t->writer = std::thread{[t = t.get(), dropped, twice] {
        if (twice) t->written = Subject::parts(t->stored, false);
        if (twice && t->written != t->expected) return;
        t->written = dropped ? t->expected : Subject::parts(t->stored, true);
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

} // namespace dataflow::test
