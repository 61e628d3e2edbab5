// Who talks to whom.
#include <dataflow/exchange/channel_wiring.hpp>

#include <doctest/doctest.h>

#include <initializer_list>

using namespace dataflow;

TEST_CASE("both ends of an edge agree on who is connected, under contiguous numbers") {
  for (auto pattern : {distribution_pattern::all_to_all, distribution_pattern::pointwise})
    for (std::uint32_t p = 1; p <= 17; ++p)
      for (std::uint32_t c = 1; c <= 17; ++c) {
        const channel_wiring w{pattern, p, c};
        for (std::uint32_t i = 0; i < p; ++i) {
          REQUIRE(w.consumers_of(i).size() > 0);
          for (std::uint32_t j = 0; j < c; ++j)
            REQUIRE(w.consumers_of(i).contains(j) == w.producers_of(j).contains(i));
        }
        for (std::uint32_t j = 0; j < c; ++j)
          REQUIRE(w.producers_of(j).size() > 0);
      }
}

TEST_CASE("pointwise: equal numbers one to one, else groups whose sizes differ by at most one") {
  const auto pointwise = distribution_pattern::pointwise;
  const channel_wiring same{pointwise, 4, 4};
  CHECK(same.consumers_of(2) == subtask_range{2, 3});
  const channel_wiring out{pointwise, 2, 5}; // Flink: 3 and 2
  CHECK(out.consumers_of(0) == subtask_range{0, 3});
  CHECK(out.consumers_of(1) == subtask_range{3, 5});
  CHECK(out.channel_at_producer(1, 4) == 1);
  CHECK(out.channel_at_consumer(1, 4) == 0);
  const channel_wiring in{pointwise, 5, 2}; // Flink: 2 and 3
  CHECK(in.producers_of(0) == subtask_range{0, 2});
  CHECK(in.producers_of(1) == subtask_range{2, 5});
  CHECK(in.channel_at_consumer(4, 1) == 2);
}

TEST_CASE("the largest parallelisms do not overflow") {
  const channel_wiring w{distribution_pattern::pointwise, 32768, 32767};
  CHECK(w.consumers_of(32767) == subtask_range{32766, 32767});
  CHECK(w.producers_of(32766).end == 32768);
}
