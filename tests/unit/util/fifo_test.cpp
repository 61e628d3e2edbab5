#include <dataflow/util/fifo.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <memory>

using namespace dataflow;

TEST_CASE("a fifo gives out what came in, in order") {
  fifo<int> queue;
  std::deque<int> expected;
  random_source random{3};
  for (int i = 0; i < 20'000; ++i) {
    const bool grows = i / 1000 % 2 == 0; // long phases of both, so that it is long and empty in turn
    if (random.below(10) < (grows ? 7u : 3u)) {
      queue.push_back(i);
      expected.push_back(i);
    } else if (!expected.empty()) {
      REQUIRE(queue.front() == expected.front());
      queue.pop_front();
      expected.pop_front();
    }
    REQUIRE(queue.size() == expected.size());
    REQUIRE(queue.empty() == expected.empty());
  }
}

TEST_CASE("a fifo lets go of a value when it is taken") {
  auto value = std::make_shared<int>(1);
  fifo<std::shared_ptr<int>> queue;
  queue.push_back(value);
  queue.push_back(value);
  queue.pop_front();
  CHECK(value.use_count() == 2);
  queue.pop_front();
  CHECK(value.use_count() == 1);
}
