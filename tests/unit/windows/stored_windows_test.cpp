// Window operators whose state is in a database: the same results as in memory, within the memory they may take, and
// from one place to the other with snapshots.
#include <doctest/doctest.h>

#include <tests/support/effort.hpp>
#include <tests/support/moving_restarts.hpp>

#include "window_histories.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace dataflow::test::histories;

namespace {

const detail::aggregated_contents<digest_of, event> digests{};

void check_same(const outcome& got, const outcome& expected) {
  REQUIRE(got.steps.size() == expected.steps.size());
  for (std::size_t i = 0; i < got.steps.size(); ++i) {
    INFO("step " << i);
    REQUIRE(got.steps[i] == expected.steps[i]);
  }
}

} // namespace

TEST_CASE("windows in a database give the results of those in memory") {
  places where;
  std::uint64_t seed = 5000;
  for (auto& s : shapes)
    for (std::size_t round = 0; round < rounds(2); ++round) {
      ++seed;
      INFO("seed " << seed << ", size " << s.size << ", slide " << s.slide << ", offset " << s.offset << ", lateness "
                   << s.lateness);
      const auto expected = run(general(s, digests), s, seed, {}, 2048, 20);
      for (auto& make : {general(s, digests), sliced(s, digests)}) {
        const auto got = run(make, s, seed, {}, 1 + seed % 2 * 2047, 20, where.next());
        check_same(got, expected);
        CHECK(got.dropped == expected.dropped);
      }
    }
}

TEST_CASE("windows go from memory to a database and back, by parts and by files, and results stay the same") {
  places where;
  std::uint64_t seed = 6000;
  for (auto& s : shapes) {
    ++seed;
    if (sanitized && seed % 4 != 0) continue;
    INFO("seed " << seed << ", size " << s.size << ", slide " << s.slide << ", offset " << s.offset << ", lateness "
                 << s.lateness);
    const auto expected = run(general(s, digests), s, seed, {}, 2048, 20);
    if (seed % 2 == 0)
      check_same(run(general(s, digests), s, seed, everywhere(where, seed), 2048, 20, where.next()), expected);
    check_same(run(sliced(s, digests), s, seed, everywhere(where, seed), 2048, 20, where.next()), expected);
  }
}

TEST_CASE("sums in slices in a database keep the fields of the record that came first") {
  places where;
  std::uint64_t seed = 7000;
  using merge_type = sum_merge<value_field>;
  const merge_type merge{&event::value};
  const detail::numbered_contents<event, merge_type> numbered{merge};
  const detail::reduced_contents<event, merge_type> reduced{merge};
  for (auto& s : shapes) {
    if (++seed % 4 != 0) continue;
    INFO("seed " << seed << ", size " << s.size << ", slide " << s.slide << ", lateness " << s.lateness);
    const auto expected = run(general(s, reduced), s, seed, {}, 2048, 20);
    check_same(run(sliced(s, numbered), s, seed, everywhere(where, seed), 2048, 20, where.next()), expected);
  }
}

namespace {
/// A pass over due windows that a checkpoint interrupts: after it they fire where it stopped.
void check_interrupted(const operator_factory& make, const std::function<void(operator_runner&)>& restart,
                       state_place place) {
  operator_runner::options o;
  o.limits.records = 1; // a pass stops after each result
  o.place = std::move(place);
  operator_runner r{make, o};
  auto& out = r.capture<std::string>();
  std::vector<std::pair<event, std::int64_t>> batch;
  for (std::int64_t i = 0; i < 40; ++i)
    batch.push_back({{i, 1, i}, i % 60});
  r.push_timed(batch);
  for (const unsigned steps : {7u, 3u}) {
    r.step(element::watermark(timestamp{std::chrono::milliseconds{59}}), steps);
    restart(r);
  }
  r.watermark(59);
  r.watermark(1000);
  std::map<std::string, int> results;
  for (auto& d : out)
    ++results[d.value.substr(0, d.value.find(" at ")) + d.value.substr(d.value.find(": "))];
  for (auto& [text, times] : results) {
    INFO(text);
    CHECK(times == 1);
  }
  // The same without the interruption.
  operator_runner whole{make, {}};
  auto& all = whole.capture<std::string>();
  whole.push_timed(batch);
  whole.watermark(59);
  whole.watermark(1000);
  CHECK(out.size() == all.size());
}
} // namespace

TEST_CASE("a snapshot in the middle of a pass over windows: none is lost, none fires twice, wherever it goes on") {
  places where;
  for (const auto& [size, slide] : {std::pair{60, 60}, {60, 20}, {50, 30}})
    for (const bool from_disk : {true, false})
      for (const bool to_disk : {true, false})
        for (const bool in_slices : {true, false})
          for (const int restarts : {1, 2}) { // the second one before the pass goes on
            CAPTURE(size);
            CAPTURE(slide);
            CAPTURE(from_disk);
            CAPTURE(to_disk);
            CAPTURE(in_slices);
            CAPTURE(restarts);
            const shape s{size, slide, 0, 0, false};
            check_interrupted(
                in_slices ? sliced(s, digests) : general(s, digests),
                [&](operator_runner& r) {
                  for (int i = 0; i < restarts; ++i)
                    r.restart_in(to_disk ? where.next() : state_place{});
                },
                from_disk ? where.next() : state_place{});
          }
}

namespace {
struct text_record {
  std::int64_t key = 0;
  std::string text;
};
struct count_them {
  template <class R>
  void operator()(const std::int64_t& key, window_context<time_window>&, std::span<const R> all,
                  collector<std::int64_t>& out) const {
    out.collect(key * 1000 + static_cast<std::int64_t>(all.size()));
  }
};
struct shortest_of {
  std::string create_accumulator() const { return {}; }
  void add(const text_record& r, std::string& s) const { s = r.text; }
  std::int64_t get_result(const std::string& s) const { return static_cast<std::int64_t>(s.size()); }
  std::string merge(const std::string& a, const std::string& b) const { return std::max(a, b); }
};
using text_key = std::int64_t text_record::*;

/// Far more than the memory that it may take, counted after every batch.
template <class Operator, class Make>
void check_budget(Make make_operator, std::int64_t keys, std::size_t at_least) {
  constexpr std::size_t budget = 512 << 10;
  places where{budget};
  Operator* made = nullptr;
  operator_runner::options o;
  o.place = where.next();
  operator_runner r{[&] {
                      auto op = make_operator();
                      made = op.get();
                      return op;
                    },
                    o};
  auto& out = r.capture<std::int64_t>();
  std::size_t most = 0;
  std::mt19937_64 random{3};
  for (int round = 0; round < 60; ++round) {
    std::vector<std::pair<text_record, std::int64_t>> batch;
    for (int i = 0; i < 500; ++i)
      batch.push_back({{static_cast<std::int64_t>(random()) % keys, std::string(100, 'x')}, 50});
    r.push_timed(batch);
    most = std::max(most, made->counted_bytes());
    if (round == 30) {
      r.restart_in(where.next());
      CHECK(made->counted_bytes() <= budget * 5 / 4);
    }
  }
  CHECK(most <= budget * 5 / 4);
  CHECK(most > budget / 2);
  std::size_t stored = 0;
  for (auto& [name, state] : r.snapshot().states)
    for (auto& part : state.parts)
      stored += part.bytes.size();
  CHECK(stored > at_least);
  r.watermark(99);
  CHECK(made->counted_bytes() <= budget * 5 / 4);
  CHECK(out.size() > 1000);
  r.watermark(10'000);
  for (auto& [name, state] : r.snapshot().states)
    if (state.info.kind == state_kind::keyed) CHECK(state.parts.empty()); // nothing is left
}
} // namespace
DATAFLOW_RECORD(text_record, key, text);

TEST_CASE("windows that are larger than the memory they may take keep within it") {
  using lists = detail::list_contents<text_record>;
  using general_lists = window_operator<text_record, std::int64_t, text_key, sliding_event_time_windows,
                                        event_time_trigger, no_evictor, lists, count_them>;
  SUBCASE("lists") {
    check_budget<general_lists>(
        [] {
          using ms = std::chrono::milliseconds;
          return std::make_unique<general_lists>(&text_record::key, sliding_event_time_windows{ms{100}, ms{100}, ms{0}},
                                                 event_time_trigger{}, no_evictor{}, detail::window_settings{}, lists{},
                                                 count_them{});
        },
        2000, 3 << 20);
  }
  SUBCASE("slices") {
    using shortest = detail::aggregated_contents<shortest_of, text_record>;
    using in_slices =
        sliced_window_operator<text_record, std::int64_t, text_key, shortest, detail::pass_through_function>;
    check_budget<in_slices>(
        [] {
          return std::make_unique<in_slices>(&text_record::key, detail::window_grid::of(100, 20, 0),
                                             detail::window_settings{}, shortest{}, detail::pass_through_function{});
        },
        40'000, 2 << 20);
  }
}
