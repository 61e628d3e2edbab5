// Timers whose keys have a database: as those in memory, and from one kind to the other.
#include <dataflow/time/timer_service.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <set>
#include <string>
#include <tests/support/effort.hpp>
#include <tests/support/fetched_databases.hpp>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>
#include <tuple>

using namespace dataflow;
using namespace dataflow::test;

namespace {

timestamp at(std::int64_t t) { return timestamp{std::chrono::milliseconds{t}}; }

using fired = std::vector<std::pair<std::int64_t, std::string>>;

struct service {
  service(bool on_disk, bool incremental, std::shared_ptr<const operator_snapshot> restored = {},
          key_group_range groups = {0, 127})
      : states{groups, 128, std::move(restored)} {
    if (on_disk) states.set_place({databases.get(), place / "state", 1, incremental, {}});
    keys.open(states, clock);
    timers.open(states, keys, clock);
  }
  void key(const std::string& k) {
    current = k;
    keys.set_key(current, key_hash(k));
  }
  fired advance(std::int64_t t) {
    fired all;
    auto fire = [&](const timer<std::string>& due) {
      CHECK(keys.key() == due.key.key);
      all.emplace_back(due.time.time_since_epoch().count(), due.key.key);
    };
    CHECK(timers.advance(at(t), fire, [] { return false; }));
    return all;
  }
  std::shared_ptr<const operator_snapshot> freeze() {
    keys.clear_key();
    return std::make_shared<operator_snapshot>(states.freeze());
  }

  temporary_directory place;
  manual_clock clock;
  std::shared_ptr<state_database_factory> databases = rocksdb_databases({4 << 20});
  state_registry states;
  keyed_context<std::string> keys;
  timer_service<std::string> timers;
  std::string current;
};

} // namespace

TEST_CASE("timers on the disk fire as those in memory, and go from one to the other with snapshots") {
  for (std::uint64_t seed = 0; seed < rounds(20); ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto memory = std::make_unique<service>(false, false);
    auto disk = std::make_unique<service>(true, false);
    std::int64_t now = 0;
    const auto both = [&](auto&& f) { // the same to both
      f(*memory);
      f(*disk);
    };
    const auto keys = 1 + random() % 300;
    for (int round = 0; round < 12; ++round) {
      for (int step = 0; step < 200; ++step) {
        const auto k = "key-" + std::to_string(random() % keys);
        const auto t = at(now - 20 + static_cast<std::int64_t>(random() % 500));
        const auto what = random() % 8;
        both([&](service& s) {
          s.key(k);
          if (what == 0)
            s.timers.delete_event_time(t);
          else if (what == 1)
            s.timers.delete_processing_time(t);
          else if (what == 2)
            s.timers.register_processing_time(t);
          else
            s.timers.register_event_time(t);
        });
      }
      both([](service& s) { s.keys.clear_key(); });
      CHECK(memory->timers.event_timers() == disk->timers.event_timers());
      CHECK(memory->timers.next_processing_time() == disk->timers.next_processing_time());
      CHECK(memory->timers.next_event_time() == disk->timers.next_event_time());
      now += static_cast<std::int64_t>(random() % 200);
      REQUIRE(memory->advance(now) == disk->advance(now));
      switch (random() % 4) {
      case 0: { // each from the other's snapshot
        const auto a = written(*memory->freeze()), b = written(*disk->freeze());
        memory = std::make_unique<service>(false, false, b);
        disk = std::make_unique<service>(true, false, a);
        break;
      }
      case 1: { // what is frozen is what was there then
        const auto frozen = disk->freeze();
        disk->key("another");
        disk->timers.register_event_time(at(now + 5));
        disk->advance(now + 1'000'000);
        disk = std::make_unique<service>(true, false, written(*frozen));
        break;
      }
      case 2: { // at once
        disk = std::make_unique<service>(true, false, std::make_shared<operator_snapshot>(disk->states.snapshot()));
        break;
      }
      default:;
      }
    }
    REQUIRE(memory->advance(1'000'000) == disk->advance(1'000'000));
  }
}

TEST_CASE("timers in the files of a database: begun with, read into memory or another database, some key groups") {
  service first{true, true};
  for (int i = 0; i < 2000; ++i) {
    first.key("key-" + std::to_string(i % 700));
    first.timers.register_event_time(at(i * 7 % 1000));
    first.timers.register_processing_time(at(i));
  }
  auto expected_left = first.timers.event_timers();
  fetched_databases files{first.freeze()};
  const auto all = first.advance(2000);
  REQUIRE(all.size() == expected_left);
  for (const bool go_on : {true, false})
    for (const bool on_disk : {true, false}) {
      if (go_on && !on_disk) continue;
      CAPTURE(go_on);
      CAPTURE(on_disk);
      service whole{on_disk, true, files.copy({0, 127}, go_on)};
      CHECK(whole.timers.processing_timers() == 2000);
      CHECK(whole.advance(2000) == all);
      fired parts;
      for (const key_group_range groups : {key_group_range{0, 63}, key_group_range{64, 127}}) {
        service half{on_disk, true, files.copy(groups, go_on), groups};
        const auto some = half.advance(2000);
        CHECK(some.size() > 500);
        parts.insert(parts.end(), some.begin(), some.end());
      }
      std::stable_sort(parts.begin(), parts.end(), [](auto& a, auto& b) { return a.first < b.first; });
      CHECK(parts == all);
    }
}
