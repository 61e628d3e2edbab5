// The parts under join buffers: an index whose entries can be erased, and runs in the order of timestamps.
#include <dataflow/state/key_slot_index.hpp>
#include <dataflow/state/timed_run.hpp>

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>
#include <string>

using namespace dataflow;

TEST_CASE("a slot index finds what was inserted and nothing that was erased, also where hashes collide") {
  std::mt19937_64 random{7};
  key_slot_index index;
  std::map<std::uint32_t, std::uint64_t> slots; // slot -> hash
  std::vector<std::uint32_t> free;
  for (std::uint32_t i = 2000; i-- > 0;)
    free.push_back(i);
  for (int round = 0; round < 20000; ++round) {
    if (free.empty() || (slots.size() > 5 && random() % 2 == 0)) {
      auto victim = slots.lower_bound(static_cast<std::uint32_t>(random() % 2000));
      if (victim == slots.end()) victim = slots.begin();
      index.erase(victim->second, victim->first);
      free.push_back(victim->first);
      slots.erase(victim);
    } else {
      const auto slot = free.back();
      free.pop_back();
      const auto hash = random() % (round % 3 == 0 ? 8 : 200) * 61; // long runs of cells
      index.insert(hash, slot);
      slots[slot] = hash;
    }
    if (round % 500 != 0) continue;
    REQUIRE(index.size() == slots.size());
    for (auto& [slot, hash] : slots) {
      REQUIRE(index.find(hash, [&](std::uint32_t s) { return s == slot; }) == slot);
      REQUIRE(index.candidate(hash) != key_slot_index::none);
    }
    REQUIRE(index.find(12345, [](std::uint32_t) { return true; }) == key_slot_index::none);
    for (auto slot : free)
      for (std::uint64_t h = 0; h < 8; ++h)
        REQUIRE(index.find(h * 61, [&](std::uint32_t s) { return s == slot; }) == key_slot_index::none);
  }
}

TEST_CASE("a timed run keeps its records in order and gives its memory back") {
  using value = std::shared_ptr<std::string>; // counts its owners
  std::mt19937 random{3};
  const auto shared = std::make_shared<std::string>("x");
  {
    run_store<value> store;
    timed_run<value> run;
    std::multimap<std::int64_t, int> expected;
    std::int64_t dropped = -1;
    for (int i = 0; i < 20000; ++i) {
      if (random() % 8 == 0 && !expected.empty()) {
        dropped =
            std::next(expected.begin(), random() % static_cast<int>(std::min<std::size_t>(5, expected.size())))->first;
        expected.erase(expected.begin(), expected.upper_bound(dropped));
        run.drop_until(timestamp{std::chrono::milliseconds{dropped}}, store);
      } else {
        const auto at = dropped + 1 + static_cast<std::int64_t>(random() % (i % 1000 == 0 ? 500 : 20));
        expected.emplace(at, i);
        run.insert(timestamp{std::chrono::milliseconds{at}}, shared, store);
      }
      REQUIRE(run.size() == expected.size());
      REQUIRE(shared.use_count() == static_cast<long>(expected.size()) + 1);
      const auto middle = timestamp{std::chrono::milliseconds{dropped + 10}};
      REQUIRE(run.end() - run.from(middle) == std::distance(expected.lower_bound(dropped + 10), expected.end()));
      REQUIRE(run.end() - run.after(middle) == std::distance(expected.upper_bound(dropped + 10), expected.end()));
      auto e = expected.begin();
      if (i % 100 == 0)
        for (auto& r : run)
          REQUIRE(r.at.time_since_epoch().count() == (e++)->first);
    }
    run.release(store);
    CHECK(run.empty());
  }
  CHECK(shared.use_count() == 1);
}
