#include <dataflow/record/hash.hpp>
#include <dataflow/record/java_hash.hpp>
#include <dataflow/record/key_groups.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <functional>

#include "records.hpp"
#include "tests/support/effort.hpp"

using namespace dataflow;

namespace {
struct unnamed {
  int x;
};

/// Largest bucket and number of empty ones when the hashes go to 2^bits buckets by the bits from `shift` on, against
/// what random hashes give (65,536 keys in 4,096 buckets: mean 16, deviation 4).
void check_spread(const std::vector<std::uint64_t>& hashes, int shift) {
  constexpr int bits = 12;
  REQUIRE(hashes.size() == 16u << bits);
  std::vector<int> buckets(1u << bits);
  for (auto h : hashes)
    ++buckets[(h >> shift) & (buckets.size() - 1)];
  int most = 0, empty = 0;
  for (auto n : buckets) {
    most = std::max(most, n);
    empty += n == 0;
  }
  CHECK(most < 48);
  CHECK(empty < 8);
}
void check_all_spreads(const std::function<std::uint64_t(std::uint64_t)>& key_hash_of) {
  std::vector<std::uint64_t> hashes;
  std::vector<int> groups(128);
  for (std::uint64_t i = 0; i < 65536; ++i) {
    hashes.push_back(key_hash_of(i));
    ++groups[key_group_of(hashes.back(), 128)];
  }
  for (int shift : {0, 4, 8, 16, 20, 32, 40, 52}) {
    CAPTURE(shift);
    check_spread(hashes, shift);
  }
  for (auto n : groups) // mean 512, deviation 22.5
    CHECK((n > 512 - 180 && n < 512 + 180));
  auto distinct = hashes;
  std::sort(distinct.begin(), distinct.end());
  CHECK(std::adjacent_find(distinct.begin(), distinct.end()) == distinct.end());
}
} // namespace

TEST_CASE("both halves of the hash are good for sequential, strided and random integers") {
  SUBCASE("multiples of powers of two") {
    for (int k = 0; k <= 48; k += test::sanitized ? 8 : 1) {
      CAPTURE(k);
      check_all_spreads([k](std::uint64_t i) { return key_hash(i << k); });
    }
  }
  SUBCASE("negative") {
    check_all_spreads([](std::uint64_t i) { return key_hash(-static_cast<std::int64_t>(i)); });
  }
  SUBCASE("random") {
    random_source random{1};
    check_all_spreads([&](std::uint64_t) { return key_hash(random()); });
  }
  SUBCASE("whole numbers as doubles") {
    check_all_spreads([](std::uint64_t i) { return key_hash(static_cast<double>(i)); });
  }
  SUBCASE("strings") {
    check_all_spreads([](std::uint64_t i) { return key_hash("user-" + std::to_string(i)); });
  }
  SUBCASE("pairs") {
    check_all_spreads([](std::uint64_t i) { return key_hash(std::pair{i & 255, i >> 8}); });
  }
  SUBCASE("triples and records") {
    check_all_spreads([](std::uint64_t i) { return key_hash(std::tuple{i & 15, (i >> 4) & 15, i >> 8}); });
    check_all_spreads([](std::uint64_t i) {
      return key_hash(dense_point{static_cast<std::int64_t>(i & 255), static_cast<std::int32_t>(i >> 8), 0});
    });
  }
}

TEST_CASE("a million pairs of small numbers have different hashes") {
  std::vector<std::uint64_t> hashes;
  for (int a = 0; a < 1000; ++a)
    for (int b = 0; b < 1000; ++b)
      hashes.push_back(key_hash(std::pair{a, b}));
  std::sort(hashes.begin(), hashes.end());
  CHECK(std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end());
}

TEST_CASE("hash and equality agree with Java's idea of keys") {
  CHECK(key_hash(7) == key_hash(std::int64_t{7}));
  CHECK(key_hash(std::int8_t{-7}) == key_hash(std::int64_t{-7}));
  CHECK(key_hash(shop::color::green) == key_hash(1));
  CHECK(key_hash(std::string{"abc"}) == key_hash(std::string_view{"abc"}));
  CHECK(key_hash(std::chrono::milliseconds{5}) == key_hash(5));

  const auto nan = std::bit_cast<double>(0x7FF8000000000000ull),
             other_nan = std::bit_cast<double>(0xFFF8000000000123ull);
  CHECK(key_hash(nan) == key_hash(other_nan));
  CHECK(key_equal<double>{}(nan, other_nan));
  CHECK(key_hash(0.0) != key_hash(-0.0));
  CHECK_FALSE(key_equal<double>{}(0.0, -0.0));
  using pair = std::pair<double, std::string>;
  CHECK(key_hash(pair{nan, "a"}) == key_hash(pair{other_nan, "a"}));
  CHECK(key_equal<pair>{}({nan, "a"}, {other_nan, "a"}));
  CHECK_FALSE(key_equal<pair>{}({nan, "a"}, {nan, "b"}));

  CHECK(key_hash(std::pair{1, 2}) != key_hash(std::pair{2, 1}));
  CHECK(key_hash(std::pair{std::string{"ab"}, std::string{"c"}}) !=
        key_hash(std::pair{std::string{"a"}, std::string{"bc"}}));
  CHECK(key_hash(std::vector<int>{0}) != key_hash(std::vector<int>{0, 0}));
  CHECK(key_hash(std::optional<int>{}) != key_hash(std::optional<int>{0}));
  using either = std::variant<int, std::int64_t>;
  CHECK(key_hash(either{std::in_place_index<0>, 1}) != key_hash(either{std::in_place_index<1>, 1}));
  CHECK_FALSE(key_equal<either>{}(either{std::in_place_index<0>, 1}, either{std::in_place_index<1>, 1}));
  CHECK(key_equal<either>{}(either{std::in_place_index<1>, 1}, either{std::in_place_index<1>, 1}));
  CHECK(key_equal<dense_point>{}({1, 2, 3}, {1, 2, 3}));
  CHECK_FALSE(key_equal<dense_point>{}({1, 2, 3}, {1, 2, 4}));
  CHECK(key_equal<std::vector<std::string>>{}({"a"}, {"a"}));
  CHECK_FALSE(key_equal<std::vector<std::string>>{}({"a"}, {"b"}));
  CHECK(key_hash(shop::item{"a", 1}) == key_hash(std::pair{std::string{"a"}, 1}));
}

TEST_CASE("what cannot be a key is told apart") {
  CHECK(hashable_key<std::string>);
  CHECK(hashable_key<dense_point>);
  CHECK_FALSE(hashable_key<unnamed>);
  CHECK_FALSE(hashable_key<int*>);
}

TEST_CASE("Java's string hash counts UTF-16 units and takes bytes that are no UTF-8") {
  CHECK(java_hash("polygenelubricants") == std::numeric_limits<std::int32_t>::min());
  CHECK(java_hash("\xf0\x9f\x98\x80") == 1772899);
  CHECK(java_hash("\xff") == 0xFFFD);
  CHECK(java_hash("\xe2\x82") == 0xFFFD * 31 + 0xFFFD); // cut short
  CHECK(java_hash("\xc0\x80") == 0xFFFD * 31 + 0xFFFD); // overlong
}

TEST_CASE("routing in bulk equals the formulas one by one") {
  random_source random{3};
  std::vector<std::uint64_t> hashes(1001);
  for (auto& h : hashes)
    h = random();
  std::vector<std::uint32_t> out(hashes.size());
  for (std::uint32_t max : {1u, 2u, 100u, 127u, 128u, 129u, 4096u, 32767u, 32768u}) {
    key_groups_of(hashes.data(), hashes.size(), max, out.data());
    for (std::size_t i = 0; i < hashes.size(); ++i)
      REQUIRE(out[i] == key_group_of(hashes[i], max));
    for (std::uint32_t p : {1u, 2u, 3u, 7u, 64u, 100u, 128u}) {
      if (p > max) continue;
      key_group_router router{p, max};
      router.route(hashes.data(), hashes.size(), out.data());
      for (std::size_t i = 0; i < hashes.size(); ++i) {
        REQUIRE(out[i] == subtask_of(key_group_of(hashes[i], max), p, max));
        REQUIRE(out[i] == router.channel_of(hashes[i]));
      }
    }
  }
  CHECK_THROWS_AS((key_group_router{0, 128}), error);
  CHECK_THROWS_AS((key_group_router{129, 128}), error);
  CHECK_THROWS_AS((key_group_router{1, 32769}), error);
}
