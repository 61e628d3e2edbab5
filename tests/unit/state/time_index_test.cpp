// What is due when, in a database, against a set in memory.
#include <dataflow/state/time_index.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <set>
#include <tests/support/effort.hpp>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>
#include <tuple>

using namespace dataflow;

namespace {

timestamp at(std::int64_t t) { return timestamp{std::chrono::milliseconds{t}}; }

struct item {
  std::int64_t time;
  std::uint32_t group;
  std::string rest;
  bool operator==(const item&) const = default;
};
struct order {
  time_index::ties ties;
  bool operator()(const item& a, const item& b) const {
    if (ties == time_index::ties::by_group)
      return std::tie(a.time, a.group, a.rest) < std::tie(b.time, b.group, b.rest);
    return std::tie(a.time, a.rest, a.group) < std::tie(b.time, b.rest, b.group);
  }
};

struct world {
  test::temporary_directory place;
  test::manual_clock clock;
  std::shared_ptr<state_database_factory> factory = rocksdb_databases({8 << 20});
  std::unique_ptr<state_database> db = factory->open(place / "db", clock);
};

item first_of(const time_index& index) {
  const auto f = index.first();
  CHECK(f.time == index.first_time());
  return {f.time.time_since_epoch().count(), f.key_group, std::string{f.rest}};
}

} // namespace

TEST_CASE("an index by time gives what is due first, whatever was added and removed, and in a database opened anew") {
  for (const auto ties : {time_index::ties::by_group, time_index::ties::by_rest})
    for (std::uint64_t seed = 0; seed < test::rounds(10); ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random{seed};
      world w;
      const key_group_range groups{3, 3 + static_cast<std::uint32_t>(random() % 12)};
      const std::size_t cache = random() % 3 == 0 ? 0 : random() % 20'000;
      const auto times = 1 + static_cast<std::int64_t>(random() % 500);
      auto index = std::make_unique<time_index>(*w.db, "due", groups, ties, cache);
      std::set<item, order> model{order{ties}};
      for (int step = 0; step < 4000; ++step) {
        const item i{static_cast<std::int64_t>(random()) % times,
                     groups.first + static_cast<std::uint32_t>(random() % groups.size()),
                     std::to_string(random() % 20)};
        switch (const auto what = random() % 16; what) {
        default:
          index->add(i.group, at(i.time), i.rest);
          model.insert(i);
          break;
        case 0:
        case 1:
          index->remove(i.group, at(i.time), i.rest);
          model.erase(i);
          break;
        case 2:
        case 3:
        case 4:
        case 5:
          for (auto n = random() % 12; n > 0 && !model.empty(); --n) {
            REQUIRE(first_of(*index) == *model.begin());
            if (what == 5 && n % 2 == 0) {
              const auto last = std::prev(model.end());
              index->remove(last->group, at(last->time), last->rest);
              model.erase(last);
              if (model.empty()) break;
            }
            REQUIRE(first_of(*index) == *model.begin());
            index->pop_first();
            model.erase(model.begin());
          }
          break;
        case 6:
          if (random() % 20 != 0) break;
          w.db->write();
          index = std::make_unique<time_index>(*w.db, "due", groups, ties, cache);
          break;
        }
        REQUIRE(index->empty() == model.empty());
        if (!model.empty()) REQUIRE(first_of(*index) == *model.begin());
      }
      CHECK(index->count() == model.size());
      for (; !model.empty(); model.erase(model.begin())) {
        REQUIRE(first_of(*index) == *model.begin());
        index->pop_first();
      }
      CHECK(index->empty());
      CHECK(index->cached_bytes() == 0);
    }
}

TEST_CASE("an index by time keeps no more in memory than it may, and orders all 64 bits of a time") {
  world w;
  time_index index{*w.db, "due", {0, 7}, time_index::ties::by_group, 64 << 10};
  std::mt19937_64 random{5};
  for (int i = 0; i < 50'000; ++i) {
    index.add(static_cast<std::uint32_t>(random() % 8), at(static_cast<std::int64_t>(random())), std::string(20, 'r'));
    REQUIRE(index.cached_bytes() <= 64 << 10);
  }
  constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
  index.add(1, at(least), "a");
  index.add(1, at(most), "b");
  CHECK(first_of(index) == item{least, 1, "a"});
  auto last = least;
  std::size_t n = 0;
  for (; !index.empty(); ++n) {
    const auto t = index.first_time().time_since_epoch().count();
    REQUIRE(last <= t);
    last = t;
    index.pop_first();
    REQUIRE(index.cached_bytes() <= 64 << 10);
  }
  CHECK(n == 50'002);
  CHECK(last == most);
}

TEST_CASE("keys in the table of an index by time do not change: files of checkpoints contain them") {
  world w;
  time_index index{*w.db, "due", {0, 0x3ff}, time_index::ties::by_group, 64 << 10};
  index.add(0x0102, at(-2), "r");
  index.add(0x0102, at(258), "");
  w.db->write();
  std::vector<std::string> keys;
  w.db->scan(index.table(), {0, 0x3ff}, [&](std::string_view key, std::string_view value) {
    CHECK(value.empty());
    keys.emplace_back(key);
    return true;
  });
  REQUIRE(keys.size() == 2);
  CHECK(keys[0] == std::string("\x01\x02\x7f\xff\xff\xff\xff\xff\xff\xfer", 11));
  CHECK(keys[1] == std::string("\x01\x02\x80\0\0\0\0\0\x01\x02", 10));
  const auto read = time_index::read(keys[0]);
  CHECK(read.key_group == 0x0102);
  CHECK(read.time == at(-2));
  CHECK(read.rest == "r");
}
