// Slices against the general operator: the same results on random data, with late records, jumps of the watermark,
// small batches of results and restarts.
#include <doctest/doctest.h>

#include <tests/support/effort.hpp>

#include "window_histories.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace dataflow::test::histories;

namespace {
const restarter in_place = [](operator_runner& r) { r.restart(); };
}

TEST_CASE("slices give the results of the general window operator") {
  std::uint64_t seed = 0;
  for (auto& s : shapes)
    for (std::size_t round = 0; round < rounds(10); ++round) {
      ++seed;
      INFO("seed " << seed << ", size " << s.size << ", slide " << s.slide << ", offset " << s.offset << ", lateness "
                   << s.lateness);
      const std::size_t batch_size = 1 + seed % 3 * 20;
      const detail::aggregated_contents<digest_of, event> digests{};
      const auto expected = run(general(s, digests), s, seed, {}, 2048, batch_size);
      auto same = [&](const outcome& got) {
        REQUIRE(got.steps.size() == expected.steps.size());
        for (std::size_t i = 0; i < got.steps.size(); ++i) {
          INFO("step " << i);
          REQUIRE(got.steps[i] == expected.steps[i]);
        }
        CHECK(got.dropped == expected.dropped);
      };
      same(run(sliced(s, digests), s, seed, {}, 2048, batch_size));
      same(run(sliced(s, digests), s, seed, {}, 1, batch_size));
    }
}

TEST_CASE("restarts change nothing") {
  std::uint64_t seed = 1000;
  for (auto& s : shapes)
    for (std::size_t round = 0; round < rounds(5); ++round) {
      ++seed;
      INFO("seed " << seed << ", size " << s.size << ", slide " << s.slide << ", lateness " << s.lateness);
      const detail::aggregated_contents<digest_of, event> digests{};
      const auto expected = run(general(s, digests), s, seed, {}, 2048, 20);
      REQUIRE(run(sliced(s, digests), s, seed, in_place, 2048, 20).steps == expected.steps);
      REQUIRE(run(general(s, digests), s, seed, in_place, 2048, 20).steps == expected.steps);
    }
}

TEST_CASE("sums, least and greatest keep the fields of the record that came first, also across slices") {
  std::uint64_t seed = 2000;
  for (auto& s : shapes)
    for (std::size_t round = 0; round < rounds(5); ++round) {
      ++seed;
      INFO("seed " << seed << ", size " << s.size << ", slide " << s.slide << ", lateness " << s.lateness);
      auto check = [&](auto merge) {
        using merge_type = decltype(merge);
        const detail::numbered_contents<event, merge_type> numbered{merge};
        const detail::reduced_contents<event, merge_type> reduced{merge};
        const auto expected = run(general(s, reduced), s, seed, {}, 2048, 20);
        REQUIRE(run(sliced(s, numbered), s, seed, {}, 2048, 20).steps == expected.steps);
        REQUIRE(run(sliced(s, numbered), s, seed, in_place, 2048, 20).steps == expected.steps);
      };
      check(sum_merge<value_field>{&event::value});
      check(extreme_merge<value_field, extreme::least>{&event::value});
      check(extreme_merge<value_field, extreme::greatest>{&event::value});
    }
}

TEST_CASE("the results of a window come out in the order in which its keys came, before and after a restart") {
  for (const std::int64_t slide : {100, 50})
    for (const bool restarts : {false, true}) {
      const shape s{100, slide, 0, 0, false};
      operator_runner r{sliced(s, detail::aggregated_contents<digest_of, event>{})};
      auto& out = r.capture<std::string>();
      std::vector<std::pair<event, std::int64_t>> batch;
      for (std::int64_t i = 0; i < 500; ++i)
        batch.push_back({{(i * 7919) % 1000, 1, i}, 60});
      r.push_timed(batch);
      if (restarts) r.restart();
      r.watermark(99);
      REQUIRE(out.size() == 500);
      for (std::size_t i = 0; i < out.size(); ++i)
        CHECK(out[i].value.find(": " + std::to_string((i * 7919) % 1000) + " ") != std::string::npos);
    }
}

TEST_CASE("records at the ends of time and a watermark that jumps over everything") {
  for (const std::int64_t slide : {100, 30}) {
    const shape s{100, slide, 0, 0, false};
    operator_runner r{sliced(s, detail::aggregated_contents<digest_of, event>{})};
    auto& out = r.capture<std::string>();
    constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
    r.push_timed<event>({{{1, 1, 1}, least + 1}, {{2, 1, 2}, most - 1}, {{3, 1, 3}, 0}});
    r.watermark(most);
    r.end();
    std::map<std::string, int> keys;
    for (auto& d : out)
      ++keys[d.value.substr(d.value.find(": ") + 2, 1)];
    CHECK(keys.size() == 3);
    CHECK(keys["3"] == (slide == 100 ? 1 : 4));
  }
}

TEST_CASE("a record without a timestamp fails with advice") {
  for (const bool timed : {false, true}) {
    operator_runner r{sliced({100, 100, 0, 0, false}, detail::aggregated_contents<digest_of, event>{})};
    try {
      if (timed)
        r.push_timed<event>({{{1, 1, 1}, std::numeric_limits<std::int64_t>::min()}});
      else
        r.push<event>({{1, 1, 1}});
      FAIL("must throw");
    } catch (const error& e) {
      CHECK(e.code() == errc::missing_timestamp);
      CHECK(e.advice().find("assign_timestamps_and_watermarks") != std::string::npos);
    }
  }
}

TEST_CASE("a record whose function throws is skipped, and leaves no key behind") {
  struct refusing : digest_of {
    void add(const event& e, digest& d) const {
      if (e.value < 0) throw std::runtime_error("negative");
      digest_of::add(e, d);
    }
  };
  operator_runner::options options;
  options.policy.action = record_error_policy::kind::skip;
  operator_runner r{sliced({100, 100, 0, 0, false}, detail::aggregated_contents<refusing, event>{}), options};
  auto& out = r.capture<std::string>();
  r.push_timed<event>({{{1, 5, 1}, 1}, {{2, -1, 2}, 2}, {{1, -1, 3}, 3}, {{1, 7, 4}, 4}});
  r.watermark(99);
  REQUIRE(out.size() == 1);
  CHECK(out[0].value == "0..100 at 99: 1 2 12 1");
  CHECK(r.counters["numRecordsSkipped"].value() == 2);
}
