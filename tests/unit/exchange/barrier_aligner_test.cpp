// Which barriers make a barrier of the whole subtask, and who waits meanwhile.
#include <dataflow/exchange/barrier_aligner.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/support/error_of.hpp"

using namespace dataflow;

namespace {

std::string text_of(const barrier_aligner::outcome& o) {
  std::string text;
  for (auto id : o.given_up)
    text += "gives up " + std::to_string(id) + " ";
  if (o.aligned) text += "passes " + std::to_string(*o.aligned) + " ";
  if (o.released) text += "releases ";
  if (!text.empty()) text.pop_back();
  return text;
}
std::string blocked_of(const barrier_aligner& a, std::uint32_t channels) {
  std::string text;
  for (std::uint32_t c = 0; c < channels; ++c)
    text += a.blocked(c) ? 'x' : '.';
  return text;
}
/// Whether channels wait.
constexpr bool waits = true, no_waiting = false;

} // namespace

TEST_CASE("aligned: channels wait from their barrier until the last one has come") {
  barrier_aligner a{{true, true, true}};
  CHECK(text_of(a.barrier(1, 1, waits)) == "");
  CHECK(blocked_of(a, 3) == ".x.");
  CHECK(a.aligning());
  CHECK(text_of(a.barrier(0, 1, waits)) == "");
  CHECK(blocked_of(a, 3) == "xx.");
  CHECK(text_of(a.barrier(2, 1, waits)) == "passes 1 releases");
  CHECK(blocked_of(a, 3) == "...");
  CHECK_FALSE(a.aligning());
  CHECK(text_of(a.barrier(2, 2, waits)) == "");
  CHECK(blocked_of(a, 3) == "..x");
}

TEST_CASE("at least once: nobody waits, and several checkpoints are under way") {
  barrier_aligner a{{true, true}};
  CHECK(text_of(a.barrier(0, 1, no_waiting)) == "");
  CHECK(text_of(a.barrier(0, 2, no_waiting)) == "");
  CHECK(blocked_of(a, 2) == "..");
  CHECK(text_of(a.barrier(1, 1, no_waiting)) == "passes 1");
  CHECK(text_of(a.barrier(1, 2, no_waiting)) == "passes 2");
  CHECK(text_of(a.barrier(1, 3, no_waiting)) == "");
  CHECK(text_of(a.barrier(1, 4, no_waiting)) == "");
  CHECK(text_of(a.barrier(0, 4, no_waiting)) == "gives up 3 passes 4"); // channel 0 has skipped 3
}

TEST_CASE("a savepoint waits also where checkpoints do not") {
  barrier_aligner a{{true, true}};
  CHECK(text_of(a.barrier(0, 1, no_waiting)) == "");
  CHECK(text_of(a.barrier(0, 2, waits)) == "");
  CHECK(blocked_of(a, 2) == "x.");
  CHECK(text_of(a.barrier(1, 1, no_waiting)) == "passes 1");
  CHECK(blocked_of(a, 2) == "x.");
  CHECK(text_of(a.barrier(1, 2, waits)) == "passes 2 releases");
}

TEST_CASE("one channel: the barrier passes at once") {
  barrier_aligner a{{true}};
  CHECK(text_of(a.barrier(0, 7, waits)) == "passes 7 releases");
  CHECK_FALSE(a.blocked(0));
}

TEST_CASE("an ended channel counts as one whose barrier has come") {
  barrier_aligner a{{true, true, true}};
  CHECK(text_of(a.end(0)) == "");
  CHECK(text_of(a.barrier(1, 1, waits)) == "");
  CHECK(text_of(a.end(2)) == "passes 1 releases");
  CHECK(text_of(a.barrier(1, 2, waits)) == "passes 2 releases");
  CHECK(text_of(a.end(1)) == "");
}

TEST_CASE("an end of a channel whose barrier has come changes nothing for the others") {
  barrier_aligner a{{true, true, true}};
  CHECK(text_of(a.barrier(0, 1, no_waiting)) == "");
  CHECK(text_of(a.end(0)) == "");
  CHECK(text_of(a.barrier(1, 1, no_waiting)) == "");
  CHECK(text_of(a.barrier(2, 1, no_waiting)) == "passes 1");
}

TEST_CASE("a later barrier gives an earlier checkpoint up and lets its channels go") {
  barrier_aligner a{{true, true, true}};
  CHECK(text_of(a.barrier(0, 1, waits)) == "");
  CHECK(text_of(a.barrier(1, 2, waits)) == "gives up 1 releases");
  CHECK(blocked_of(a, 3) == ".x.");
  CHECK(text_of(a.barrier(2, 1, waits)) == ""); // it is over
  CHECK(blocked_of(a, 3) == ".x.");
  CHECK(text_of(a.barrier(2, 2, waits)) == "");
  CHECK(text_of(a.barrier(0, 2, waits)) == "passes 2 releases");
}

TEST_CASE("barriers of an aborted checkpoint are ignored, before and after the abort") {
  barrier_aligner a{{true, true}};
  CHECK(text_of(a.barrier(0, 1, waits)) == "");
  CHECK(text_of(a.abort(1)) == "releases");
  CHECK(blocked_of(a, 2) == "..");
  CHECK(text_of(a.barrier(1, 1, waits)) == "");
  CHECK(blocked_of(a, 2) == "..");
  CHECK(text_of(a.abort(3)) == ""); // the notice is faster than the barriers
  CHECK(text_of(a.barrier(0, 2, waits)) == "");
  CHECK(text_of(a.barrier(1, 2, waits)) == "passes 2 releases"); // an earlier one is not touched by it
  CHECK(text_of(a.barrier(0, 3, waits)) == "");
  CHECK(text_of(a.barrier(1, 3, waits)) == "");
  CHECK(blocked_of(a, 2) == "..");
  CHECK(text_of(a.barrier(0, 4, waits)) == "");
  CHECK(text_of(a.barrier(1, 4, waits)) == "passes 4 releases");
  CHECK(text_of(a.abort(4)) == ""); // too late
}

TEST_CASE("a checkpoint that begins behind finished producers waits for the ends of the channels") {
  barrier_aligner a{{true, true}};
  CHECK(text_of(a.end(0)) == "");
  CHECK(text_of(a.expect(3)) == "");
  CHECK(blocked_of(a, 2) == "..");
  CHECK(text_of(a.end(1)) == "passes 3");
  CHECK(text_of(a.expect(4)) == "passes 4");
  CHECK(text_of(a.expect(4)) == ""); // it has passed
}

TEST_CASE("a channel that closes an iteration takes no part") {
  barrier_aligner a{{true, false}};
  CHECK_FALSE(a.takes_part(1));
  CHECK(text_of(a.barrier(0, 1, waits)) == "passes 1 releases");
}

TEST_CASE("a checkpoint that a channel has skipped before anybody here knew of it blocks nobody") {
  barrier_aligner a{{true, true}};
  CHECK(text_of(a.barrier(0, 5, waits)) == "");
  CHECK(text_of(a.barrier(1, 4, waits)) == "gives up 4");
  CHECK(blocked_of(a, 2) == "x.");
  CHECK(text_of(a.barrier(1, 5, waits)) == "passes 5 releases");
}

TEST_CASE("a barrier that is repeated or comes late on one channel is an error") {
  for (bool waiting : {waits, no_waiting}) {
    barrier_aligner a{{true, true}};
    a.barrier(0, 2, waiting);
    CHECK(test::error_of([&] { a.barrier(0, 2, waiting); }).code() == errc::channel_gap);
    CHECK(test::error_of([&] { a.barrier(0, 1, waiting); }).code() == errc::channel_gap);
  }
}

// Channels deliver barriers and ends in any order, respecting that blocked ones are not read; some senders skip some
// checkpoints. What passes grows, and passes exactly when all channels have delivered it or ended.
TEST_CASE("any order of barriers and ends") {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    random_source random{seed};
    const auto channels = 1 + static_cast<std::uint32_t>(random.below(4));
    const auto waiting = random.below(3); // none, all, or those with an even id
    barrier_aligner a{std::vector<bool>(channels, true)};
    std::vector<std::vector<std::int64_t>> script(channels); // 0: the end
    std::vector<bool> skipped(8, false);
    for (auto& s : script) {
      const auto last = 1 + static_cast<std::int64_t>(random.below(6));
      for (std::int64_t id = 1; id <= last; ++id)
        if (id < last && random.below(8) == 0)
          skipped[static_cast<std::size_t>(id)] = true;
        else
          s.push_back(id);
      s.push_back(0);
    }
    std::vector<std::size_t> next(channels, 0);
    std::vector<std::int64_t> passed;
    for (;;) {
      std::vector<std::uint32_t> ready;
      for (std::uint32_t c = 0; c < channels; ++c)
        if (next[c] < script[c].size() && !a.blocked(c)) ready.push_back(c);
      if (ready.empty()) break;
      const auto c = ready[random.below(ready.size())];
      const auto id = script[c][next[c]++];
      const auto result = id == 0 ? a.end(c) : a.barrier(c, id, waiting == 1 || (waiting == 2 && id % 2 == 0));
      if (result.aligned) passed.push_back(*result.aligned);
    }
    CAPTURE(seed);
    for (std::uint32_t c = 0; c < channels; ++c)
      REQUIRE(next[c] == script[c].size()); // nobody is blocked for ever
    REQUIRE(std::is_sorted(passed.begin(), passed.end()));
    REQUIRE(std::adjacent_find(passed.begin(), passed.end()) == passed.end());
    for (auto id : passed)
      REQUIRE_FALSE(skipped[static_cast<std::size_t>(id)]);
    // The first one that nobody skipped passes in any case: nothing can have overtaken it.
    if (!skipped[1]) REQUIRE((!passed.empty() && passed.front() == 1));
    CHECK_FALSE(a.aligning());
  }
}
