#include <dataflow/record/codecs.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/state/flat_table.hpp>
#include <dataflow/state/look_ahead.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "tests/support/effort.hpp"

using namespace dataflow;

namespace {

struct account {
  std::int64_t id = 0, sum = 0;
};

/// Hashes that collide: eight home slots, the last one of a table among them, and eight tags.
struct poor_hasher {
  std::uint64_t operator()(std::int64_t key) const {
    return (static_cast<std::uint64_t>(key) & 7) * 0x24924924 | (static_cast<std::uint64_t>(key) & 56) << 54;
  }
};

template <template <class...> class Table, class Hasher>
struct subject {
  using separate = Table<std::int64_t, std::int64_t, key_equal<std::int64_t>, Hasher>;
  using in_value = Table<std::int64_t, account, key_equal<std::int64_t>, Hasher, std::int64_t account::*>;
  using hasher = Hasher;
};
using dense = subject<keyed_table, key_hasher>;
using dense_colliding = subject<keyed_table, poor_hasher>;
using flat = subject<flat_table, key_hasher>;
using flat_colliding = subject<flat_table, poor_hasher>;

constexpr std::size_t most_records = 300; // per batch: more than are looked up ahead

/// Sums per key through `table`, a batch at a time, against a map.
template <class Table, class Hasher, class Add>
void sum_up(Table& table, std::size_t records, std::uint64_t keys, Add add) {
  random_source random{42};
  std::map<std::int64_t, std::int64_t> expected;
  std::int64_t batch[most_records];
  std::uint64_t hashes[most_records];
  for (std::size_t done = 0; done < records;) {
    const auto begin = random.below(10), n = begin + 1 + random.below(most_records - 10);
    for (std::size_t i = 0; i < n; ++i) {
      batch[i] = static_cast<std::int64_t>(random.below(keys)) - 5;
      hashes[i] = Hasher{}(batch[i]);
    }
    look_ahead<Table> ahead{table, hashes, begin, n};
    for (auto at = begin; at < n;) {
      const auto next = ahead.advance(at, [](std::size_t) {});
      REQUIRE(next == std::min<std::size_t>(n, at + ahead.stride));
      for (; at < next; ++at) {
        const auto known = expected.contains(batch[at]);
        const auto fresh = add(batch[at], hashes[at], ahead[at], static_cast<std::int64_t>(done + at));
        REQUIRE(fresh == !known);
        expected[batch[at]] += static_cast<std::int64_t>(done + at);
      }
    }
    done += n;
  }
  CHECK(table.size() == expected.size());
  for (auto [key, sum] : expected) {
    auto* found = table.find(key, Hasher{}(key));
    REQUIRE(found);
    if constexpr (std::is_same_v<std::remove_pointer_t<decltype(found)>, account>) {
      CHECK(found->id == key);
      CHECK(found->sum == sum);
    } else {
      CHECK(*found == sum);
    }
  }
  CHECK(table.find(1'000'000'000, Hasher{}(1'000'000'000)) == nullptr);
  std::size_t walked = 0;
  table.for_each([&](auto&) { ++walked; });
  CHECK(walked == expected.size());
}

} // namespace

TEST_CASE_TEMPLATE("a table of keys and values keeps what a map keeps", Subject, dense, flat) {
  typename Subject::separate table;
  using hasher = typename Subject::hasher;
  sum_up<typename Subject::separate, hasher>(table, test::rounds(200'000), 20'000,
                                             [&](std::int64_t key, std::uint64_t hash, std::uint32_t c, auto add) {
                                               auto [value, fresh] = table.find_or_insert(key, hash, c);
                                               *value += add;
                                               return fresh;
                                             });
  table.clear();
  CHECK(table.size() == 0);
  CHECK(table.find(1, hasher{}(1)) == nullptr);
  CHECK(table.find_or_insert(1, hasher{}(1)).second);
  CHECK(*table.find(1, hasher{}(1)) == 0);
}

TEST_CASE_TEMPLATE("a table tells keys apart that collide in slot and tag", Subject, dense_colliding, flat_colliding) {
  typename Subject::in_value table{&account::id};
  sum_up<typename Subject::in_value, typename Subject::hasher>(
      table, test::rounds(20'000), 500, [&](std::int64_t key, std::uint64_t hash, std::uint32_t c, auto add) {
        auto [value, fresh] = table.find_or_insert_value(key, hash, c, [&] { return account{key, 0}; });
        value->sum += add;
        return fresh;
      });
}

TEST_CASE("what was looked up ahead survives a flat table that grows") {
  // Every batch meets all keys so far and as many new ones as fit, old and new in turn: a table that grew behind the
  // back of what was looked up would look in slots that are other ones now. Key 0 comes again and again: it would be
  // found in the zeros of fresh memory.
  using table = flat::separate;
  table t;
  std::int64_t next = 0;
  for (int round = 0; round < 200; ++round) {
    std::int64_t keys[most_records];
    std::uint64_t hashes[most_records];
    const auto known = next;
    for (std::size_t i = 0; i < most_records; ++i) {
      if (known > 0 && i % 8 == 0)
        keys[i] = 0;
      else
        keys[i] = i % 2 == 0 && known > 0 ? static_cast<std::int64_t>(i * 7919) % known : next++;
      hashes[i] = key_hash(keys[i]);
    }
    look_ahead<table> ahead{t, hashes, 0, most_records};
    for (std::size_t i = 0; i < most_records;)
      for (const auto end = ahead.advance(i, [](std::size_t) {}); i < end; ++i) {
        auto [value, fresh] = t.find_or_insert_value(keys[i], hashes[i], ahead[i], [&] { return keys[i] * 3 + 1; });
        REQUIRE(fresh == (keys[i] >= known));
        REQUIRE(*value == keys[i] * 3 + 1);
      }
    REQUIRE(t.size() == static_cast<std::size_t>(next));
  }
}

TEST_CASE_TEMPLATE("looking ahead finds nearly every key at once", Table, dense::separate, flat::separate) {
  Table t;
  std::int64_t keys[most_records];
  std::uint64_t hashes[most_records];
  for (std::size_t i = 0; i < most_records; ++i) {
    keys[i] = static_cast<std::int64_t>(i);
    hashes[i] = key_hash(keys[i]);
    t.find_or_insert(keys[i], hashes[i]);
  }
  look_ahead<Table> ahead{t, hashes, 0, most_records};
  std::size_t found = 0;
  for (std::size_t i = 0; i < most_records;)
    for (const auto end = ahead.advance(i, [](std::size_t) {}); i < end; ++i)
      found += ahead[i] != Table::none;
  CHECK(found > most_records * 8 / 10);
}

TEST_CASE("which table an operator gets depends on the entry") {
  using small = lookup_table<std::int64_t, std::int64_t, key_equal<std::int64_t>, key_hasher>;
  using text = lookup_table<std::string, std::int64_t, key_equal<std::string>, key_hasher>;
  struct large {
    std::int64_t values[9];
  };
  using wide = lookup_table<std::int64_t, large, key_equal<std::int64_t>, key_hasher>;
  static_assert(std::is_same_v<small, flat_table<std::int64_t, std::int64_t, key_equal<std::int64_t>, key_hasher>>);
  static_assert(std::is_same_v<text, keyed_table<std::string, std::int64_t, key_equal<std::string>, key_hasher>>);
  static_assert(std::is_same_v<wide, keyed_table<std::int64_t, large, key_equal<std::int64_t>, key_hasher>>);
}
