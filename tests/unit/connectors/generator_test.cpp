#include <dataflow/connectors/collection.hpp>
#include <dataflow/connectors/generator.hpp>
#include <dataflow/record/codecs.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <tests/support/source_harness.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using test::source_harness;

namespace {

std::vector<std::int64_t> sorted(std::vector<std::int64_t> v) {
  std::sort(v.begin(), v.end());
  return v;
}
std::vector<std::int64_t> numbers(std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> v(static_cast<std::size_t>(to - from + 1));
  std::iota(v.begin(), v.end(), from);
  return v;
}

} // namespace

TEST_CASE("a collection comes out in its order, from one reader, whatever the parallelism") {
  test::test_platform world;
  std::vector<std::string> words;
  for (int i = 0; i < 5000; ++i)
    words.push_back("word " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 40), 'x'));
  collection_source<std::string> source{words};
  CHECK(source.bounds() == boundedness::bounded);
  for (auto parallelism : {1u, 3u}) {
    source_harness<std::string> harness{source, parallelism, world, {1000, 20000}};
    harness.run();
    CHECK(harness.records() == words);
    CHECK(harness.largest_batch < 1000); // the byte bound cut it
  }
  collection_source<std::string> nothing{std::vector<std::string>{}};
  source_harness<std::string> empty{nothing, 2, world};
  empty.run();
  CHECK(empty.records().empty());
}

TEST_CASE("a collection goes on after a snapshot where it was") {
  test::test_platform world;
  collection_source<std::int64_t> source{numbers(0, 9999)};
  source_harness<std::int64_t> first{source, 2, world};
  first.poll(0);
  auto snapshot = first.snapshot();
  first.poll(0);
  CHECK(snapshot.records.size() == batch_limits{}.records);
  source_harness<std::int64_t> second{source, 1, world, snapshot};
  second.run();
  CHECK(second.records() == numbers(0, 9999));

  collection_source<std::int64_t> shorter{numbers(0, 9)};
  source_harness<std::int64_t> third{shorter, 1, world, snapshot};
  CHECK_THROWS_AS(third.run(), error);
}

TEST_CASE("a sequence is cut evenly over the readers, both ends included") {
  test::test_platform world;
  sequence_source source{1, 10};
  source_harness<std::int64_t> harness{source, 4, world};
  harness.run();
  CHECK(harness.records_of(0) == numbers(1, 3));
  CHECK(harness.records_of(1) == numbers(4, 6));
  CHECK(harness.records_of(2) == numbers(7, 8));
  CHECK(harness.records_of(3) == numbers(9, 10));

  sequence_source one{-5, -5};
  source_harness<std::int64_t> single{one, 3, world};
  single.run();
  CHECK(single.records() == std::vector<std::int64_t>{-5});
  CHECK_THROWS_AS(sequence_source(2, 1), error);
}

TEST_CASE("a sequence may reach from the smallest to the largest number") {
  constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
  test::test_platform world;
  sequence_source all{least, most};
  source_harness<std::int64_t> harness{all, 1, world};
  harness.poll(0);
  CHECK(harness.records().front() == least);
  CHECK(harness.records().back() == least + static_cast<std::int64_t>(batch_limits{}.records) - 1);
  sequence_source top{most - 3, most};
  source_harness<std::int64_t> end{top, 1, world};
  end.run();
  CHECK(end.records() == std::vector<std::int64_t>{most - 3, most - 2, most - 1, most});
}

TEST_CASE("a sequence loses and doubles nothing over snapshots, restores and readers that die") {
  test::test_platform world;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    sequence_source source{0, 49999};
    source_harness<std::int64_t> first{source, 3, world, {500, 1 << 20}};
    first.run_some(random, random.below(50));
    if (random.below(2) == 0) first.kill(static_cast<std::uint32_t>(random.below(3)));
    first.run_some(random, random.below(50));
    auto snapshot = first.snapshot();
    first.run_some(random, random.below(50));
    source_harness<std::int64_t> second{source, static_cast<std::uint32_t>(1 + random.below(5)), world, snapshot};
    second.run_some(random, 10);
    second.kill(0);
    second.run();
    CHECK(sorted(second.records()) == numbers(0, 49999));
    first.kill(1);
    first.run();
    CHECK(sorted(first.records()) == numbers(0, 49999));
  }
}

TEST_CASE("a generator computes its records from the index") {
  test::test_platform world;
  struct point {
    std::int64_t x, y;
  };
  auto f = [](std::int64_t i) { return point{i, -i}; };
  generator_source source{f, {.count = 3000}};
  CHECK(source.bounds() == boundedness::bounded);
  source_harness<point> harness{source, 2, world};
  harness.run();
  std::int64_t sum = 0, wrong = 0;
  for (auto& p : harness.records()) {
    sum += p.x;
    wrong += p.y != -p.x;
  }
  CHECK(harness.records().size() == 3000);
  CHECK(sum == 2999 * 3000 / 2);
  CHECK(wrong == 0);

  generator_source none{f, {.count = 0}};
  source_harness<point> empty{none, 2, world};
  empty.run();
  CHECK(empty.records().empty());
  CHECK_THROWS_AS((generator_source{f, {.records_per_second = -1}}), error);
}

TEST_CASE("an unbounded generator interleaves its readers' indices and survives fewer readers") {
  test::test_platform world;
  generator_source source{[](std::int64_t i) { return i; }};
  CHECK(source.bounds() == boundedness::unbounded);
  source_harness<std::int64_t> first{source, 4, world, {10, 1 << 20}};
  for (std::uint32_t i = 0; i < 4; ++i)
    first.poll(i);
  CHECK(first.records_of(1) == std::vector<std::int64_t>{1, 5, 9, 13, 17, 21, 25, 29, 33, 37});
  CHECK(sorted(first.records()) == numbers(0, 39));
  source_harness<std::int64_t> second{source, 1, world, first.snapshot(), {10, 1 << 20}};
  for (int i = 0; i < 4; ++i)
    second.poll(0);
  CHECK(sorted(second.records()) == numbers(0, 79));
}

TEST_CASE("strings are generated within the byte bound") {
  test::test_platform world;
  generator_source source{[](std::int64_t i) { return std::string(1000, static_cast<char>('a' + i % 26)); },
                          {.count = 100}};
  source_harness<std::string> harness{source, 1, world, {2048, 10000}};
  harness.run();
  CHECK(harness.records().size() == 100);
  CHECK(harness.largest_batch == 10);
}

TEST_CASE("a record above the configured limit is an error") {
  test::test_platform world;
  generator_source source{[](std::int64_t i) { return std::string(static_cast<std::size_t>(i) * 100, 'x'); },
                          {.count = 100}};
  source_harness<std::string> harness{source, 1, world, {2048, 1 << 20, 5000}};
  try {
    harness.run();
    FAIL("a record that is too large went through");
  } catch (const error& e) {
    CHECK(e.code() == errc::record_too_large);
    CHECK(e.cause().find("5000 are allowed") != std::string::npos);
  }
}

TEST_CASE("a rate limit lets each record out when it is due, and catches up after a stall") {
  test::test_platform world;
  std::vector<steady_time> due;
  auto f = [&](std::int64_t i, steady_time t) {
    due.push_back(t);
    return i;
  };
  generator_source source{f, {.count = std::nullopt, .records_per_second = 2000}};
  source_harness<std::int64_t> harness{source, 2, world}; // 1,000 per second and reader
  world.time.advance(5s);
  harness.poll(0);
  CHECK(harness.records_of(0).size() == 1);
  harness.poll(0);
  CHECK(harness.last().what == poll_result::kind::wait_until);
  CHECK(harness.last().time == 5s + 1ms);
  world.time.advance_to(harness.last().time - 1ns);
  harness.poll(0);
  CHECK(harness.records_of(0).size() == 1);
  world.time.advance(1ns);
  harness.poll(0);
  CHECK(harness.records_of(0).size() == 2);
  world.time.advance(500ms);
  harness.poll(0);
  CHECK(harness.records_of(0).size() == 502);
  for (std::size_t k = 0; k < due.size(); ++k)
    CHECK(due[k] == 5s + 1ms * k);
  harness.poll(1);
  CHECK(harness.records_of(1).size() == 1);
}

TEST_CASE("a paused split is not read until it goes on") {
  test::test_platform world;
  sequence_source source{0, 9999};
  source_harness<std::int64_t> harness{source, 1, world};
  harness.reader(0).pause_split("0", true);
  harness.poll(0);
  CHECK(harness.last().what == poll_result::kind::wait);
  CHECK(harness.records().empty());
  auto wakes = harness.wake_ups();
  harness.reader(0).pause_split("0", false);
  CHECK(harness.wake_ups() == wakes + 1);
  harness.run();
  CHECK(harness.records() == numbers(0, 9999));
}
