// Slices against the general operator: the same results on random data, with late records, jumps of the watermark,
// small batches of results and restarts.
#include <dataflow/windows/sliced_window_operator.hpp>
#include <dataflow/windows/window_operator.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <tests/support/effort.hpp>
#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace dataflow::test;

namespace {

struct event {
  std::int64_t key = 0, value = 0, id = 0;
};
struct digest {
  std::int64_t count = 0, sum = 0, least = 1 << 30;
};
/// Does not depend on the order, and shows a record that is missing or counted twice.
struct digest_of {
  digest create_accumulator() const { return {}; }
  void add(const event& e, digest& d) const {
    ++d.count;
    d.sum += e.value;
    d.least = std::min(d.least, e.id);
  }
  digest get_result(const digest& d) const { return d; }
  digest merge(const digest& a, const digest& b) const {
    return {a.count + b.count, a.sum + b.sum, std::min(a.least, b.least)};
  }
};

struct with_bounds {
  template <class R>
  void operator()(const std::int64_t& key, window_context<time_window>& ctx, const R& r,
                  collector<std::string>& out) const {
    auto ms = [](timestamp t) { return std::to_string(t.time_since_epoch().count()); };
    std::string text = ms(ctx.window().start) + ".." + ms(ctx.window().end) + " at " + ms(ctx.current_watermark()) +
                       ": " + std::to_string(key);
    if constexpr (std::is_same_v<R, event>)
      text += " id " + std::to_string(r.id) + " value " + std::to_string(r.value);
    else
      text += " " + std::to_string(r.count) + " " + std::to_string(r.sum) + " " + std::to_string(r.least);
    out.collect(std::move(text));
  }
};

using value_field = std::int64_t event::*;
using key_field = std::int64_t event::*;
constexpr std::uint64_t late_tag_number = 0;
const output_tag<event>& late() {
  static const output_tag<event> tag{"late"};
  return tag;
}

struct shape {
  std::int64_t size, slide, offset, lateness;
  bool tagged;
};

template <class Contents>
operator_factory sliced(const shape& s, Contents contents) {
  return [=] {
    return std::make_unique<sliced_window_operator<event, std::string, key_field, Contents, with_bounds>>(
        &event::key, detail::window_grid::of(s.size, s.slide, s.offset),
        detail::window_settings{s.lateness, s.tagged ? late().id() : late_tag_number}, contents, with_bounds{});
  };
}
template <class Contents>
operator_factory general(const shape& s, Contents contents) {
  using ms = std::chrono::milliseconds;
  return [=] {
    return std::make_unique<window_operator<event, std::string, key_field, sliding_event_time_windows,
                                            event_time_trigger, no_evictor, Contents, with_bounds>>(
        &event::key, sliding_event_time_windows{ms{s.size}, ms{s.slide}, ms{s.offset}}, event_time_trigger{},
        no_evictor{}, detail::window_settings{s.lateness, s.tagged ? late().id() : late_tag_number}, contents,
        with_bounds{});
  };
}

/// What an operator makes of a random history: the results of each step, in any order within the step.
struct outcome {
  std::vector<std::vector<std::string>> steps;
  std::int64_t dropped = 0;
};
outcome run(const operator_factory& make, const shape& s, std::uint64_t seed, bool restarts, std::size_t limit,
            std::size_t batch_size) {
  std::mt19937_64 random{seed};
  auto up_to = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n + 1)); };
  operator_runner::options options;
  options.limits.records = limit;
  operator_runner r{make, options};
  auto& out = r.capture<std::string>();
  auto& side = r.capture(late());
  outcome all;
  std::int64_t now = -3 * s.size, watermark = std::numeric_limits<std::int64_t>::min(), id = 0;
  std::size_t seen = 0, seen_side = 0;
  auto gather = [&] {
    std::vector<std::string> step;
    for (; seen < out.size(); ++seen)
      step.push_back(out[seen].value + " ts " + std::to_string(out[seen].time.value_or(-1)));
    for (; seen_side < side.size(); ++seen_side)
      step.push_back("late " + std::to_string(side[seen_side].value.id));
    std::sort(step.begin(), step.end());
    all.steps.push_back(std::move(step));
  };
  for (int step = 0; step < 60; ++step) {
    std::vector<std::pair<event, std::int64_t>> batch;
    for (std::size_t i = 0; i < batch_size; ++i) {
      now += up_to(s.slide / 8 + 1);
      // Most records are a little behind, some far, also behind the watermark.
      const auto behind = up_to(9) == 0 ? up_to(3 * s.size + s.lateness) : up_to(s.slide);
      batch.push_back({{up_to(4), up_to(100), ++id}, now - behind});
    }
    r.push_timed(batch);
    gather();
    if (up_to(2) > 0) {
      const auto next = now - up_to(s.size / 2 + 1) + (up_to(15) == 0 ? 2 * s.size : 0);
      if (next > watermark) r.watermark(watermark = next);
      now = std::max(now, watermark - s.slide);
      gather();
    }
    if (const bool now_and_then = up_to(3) == 0; restarts && now_and_then) r.restart();
  }
  r.watermark(std::numeric_limits<std::int64_t>::max());
  r.end();
  gather();
  all.dropped = r.counters["numLateRecordsDropped"].value();
  return all;
}

const std::vector<shape> shapes{
    {100, 100, 0, 0, false}, {100, 100, 30, 50, true}, {100, 10, 0, 0, true},    {100, 10, 3, 0, false},
    {100, 30, 0, 0, true},   {100, 30, 7, 0, false},   {100, 30, 7, 120, true},  {100, 10, 0, 250, false},
    {50, 80, 0, 0, true},    {50, 80, 10, 30, false},  {7, 3, 1, 0, true},       {1000, 7, 2, 0, false},
    {100, 99, 0, 20, true},  {3, 1, 0, 5, false},      {90, 30, 0, 1000, false},
};

} // namespace
DATAFLOW_RECORD(event, key, value, id);

TEST_CASE("slices give the results of the general window operator") {
  std::uint64_t seed = 0;
  for (auto& s : shapes)
    for (std::size_t round = 0; round < rounds(10); ++round) {
      ++seed;
      INFO("seed " << seed << ", size " << s.size << ", slide " << s.slide << ", offset " << s.offset << ", lateness "
                   << s.lateness);
      const std::size_t batch_size = 1 + seed % 3 * 20;
      const detail::aggregated_contents<digest_of, event> digests{};
      const auto expected = run(general(s, digests), s, seed, false, 2048, batch_size);
      auto same = [&](const outcome& got) {
        REQUIRE(got.steps.size() == expected.steps.size());
        for (std::size_t i = 0; i < got.steps.size(); ++i) {
          INFO("step " << i);
          REQUIRE(got.steps[i] == expected.steps[i]);
        }
        CHECK(got.dropped == expected.dropped);
      };
      same(run(sliced(s, digests), s, seed, false, 2048, batch_size));
      same(run(sliced(s, digests), s, seed, false, 1, batch_size));
    }
}

TEST_CASE("restarts change nothing") {
  std::uint64_t seed = 1000;
  for (auto& s : shapes)
    for (std::size_t round = 0; round < rounds(5); ++round) {
      ++seed;
      INFO("seed " << seed << ", size " << s.size << ", slide " << s.slide << ", lateness " << s.lateness);
      const detail::aggregated_contents<digest_of, event> digests{};
      const auto expected = run(general(s, digests), s, seed, false, 2048, 20);
      REQUIRE(run(sliced(s, digests), s, seed, true, 2048, 20).steps == expected.steps);
      REQUIRE(run(general(s, digests), s, seed, true, 2048, 20).steps == expected.steps);
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
        const auto expected = run(general(s, reduced), s, seed, false, 2048, 20);
        REQUIRE(run(sliced(s, numbered), s, seed, false, 2048, 20).steps == expected.steps);
        REQUIRE(run(sliced(s, numbered), s, seed, true, 2048, 20).steps == expected.steps);
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
