// Windows in memory while snapshots of them are written: by another thread, and piece by piece between records.
#include <dataflow/record/codecs.hpp>

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <memory>
#include <span>
#include <tests/support/effort.hpp>
#include <thread>

#include "window_histories.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace dataflow::test::histories;

namespace {

/// An accumulator that is large and owns memory.
struct tally {
  std::map<std::string, std::int64_t> of;
  std::array<std::int64_t, 12> wide{};
};
} // namespace
DATAFLOW_RECORD(tally, of, wide);

namespace {

struct tally_of {
  tally create_accumulator() const { return {}; }
  void add(const event& e, tally& t) const {
    ++t.of["a name that is not short " + std::to_string(e.value % 5)];
    t.wide[static_cast<std::size_t>(e.value) % t.wide.size()] += e.id;
  }
  digest get_result(const tally& t) const {
    digest d{0, 0, 0};
    for (auto& [name, n] : t.of)
      d.count += n;
    for (auto w : t.wide)
      d.sum += w;
    return d;
  }
  tally merge(tally a, const tally& b) const {
    for (auto& [name, n] : b.of)
      a.of[name] += n;
    for (std::size_t i = 0; i < a.wide.size(); ++i)
      a.wide[i] += b.wide[i];
    return a;
  }
};
const detail::aggregated_contents<tally_of, event> tallies{};

/// Of windows that keep all records.
struct list_with_bounds {
  template <class W>
  void operator()(const std::int64_t& key, window_context<W>& ctx, std::span<const event> all,
                  collector<std::string>& out) const {
    digest d;
    for (auto& e : all) {
      ++d.count;
      d.sum += e.value;
      d.least = std::min(d.least, e.id);
    }
    with_bounds{}(key, ctx, d, out);
  }
};

template <class Assigner, class Trigger, class Evictor, class Contents, class Function>
operator_factory windows(Assigner assigner, Trigger trigger, Evictor evictor, Contents contents, Function function,
                         std::int64_t lateness = 0) {
  return [=] {
    return std::make_unique<
        window_operator<event, std::string, key_field, Assigner, Trigger, Evictor, Contents, Function>>(
        &event::key, assigner, trigger, evictor, detail::window_settings{lateness, late_tag_number}, contents,
        function);
  };
}
template <class Contents, class Function>
operator_factory slices(const shape& s, Contents contents, Function function) {
  return [=] {
    return std::make_unique<sliced_window_operator<event, std::string, key_field, Contents, Function>>(
        &event::key, detail::window_grid::of(s.size, s.slide, s.offset),
        detail::window_settings{s.lateness, s.tagged ? late().id() : late_tag_number}, contents, function);
  };
}

using ms = std::chrono::milliseconds;
using list = detail::list_contents<event>;

using written_state = std::map<std::string, std::map<std::uint32_t, std::string>>;
/// `between` is called where the writer can be interrupted.
written_state written(
    const operator_snapshot& s, bool give_up, const std::function<void()>& between = [] {}) {
  written_state all;
  for (auto& [name, stored] : s.states) {
    auto& parts = all[name];
    const auto take = [&](const state_part& p) {
      if (stored.info.kind == state_kind::keyed && !parts.empty()) CHECK(parts.rbegin()->first < p.key_group);
      parts[p.key_group] += p.bytes;
      between();
    };
    give_up ? stored.give_up_parts(take) : stored.for_each_part(take);
  }
  return all;
}

struct snapshot_in_progress {
  written_state expected, written;
  operator_snapshot frozen;
  std::thread writer;
  ~snapshot_in_progress() {
    if (writer.joinable()) writer.join();
  }
};

/// A random history with snapshots in progress; what came out must be what comes out without them.
void change_while_snapshots_are_written(const char* what, const operator_factory& make, const shape& s,
                                        std::uint64_t seed) {
  INFO(std::string{what});
  CAPTURE(seed);
  CAPTURE(s.size);
  CAPTURE(s.slide);
  CAPTURE(s.lateness);
  std::vector<std::string> results[2];
  for (const bool held : {false, true}) {
    std::mt19937_64 random{seed}, of_snapshots{seed};
    auto up_to = [&](std::int64_t n) {
      return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n + 1));
    };
    auto r = std::make_unique<operator_runner>(make);
    auto& out = r->capture<std::string>();
    std::int64_t now = 0, watermark = -1, id = 0;
    const auto step = [&] {
      std::vector<std::pair<event, std::int64_t>> batch;
      for (auto n = 1 + up_to(60); n > 0; --n) {
        now += up_to(s.slide / 16 + 1);
        const auto behind = up_to(9) == 0 ? up_to(2 * s.size + s.lateness) : up_to(s.slide);
        batch.push_back({{up_to(40), up_to(100), ++id}, now - behind});
      }
      r->push_timed(batch);
      if (up_to(2) == 0)
        if (const auto next = now - up_to(s.size / 2 + 1); next > watermark) r->watermark(watermark = next);
    };
    std::vector<std::unique_ptr<snapshot_in_progress>> all;
    for (int round = 0; round < 25; ++round) {
      step();
      if (!held || of_snapshots() % 3 == 0) {
        step();
        continue;
      }
      auto& p = *all.emplace_back(std::make_unique<snapshot_in_progress>());
      p.expected = written(r->snapshot(), false);
      p.frozen = r->freeze();
      for (auto& [name, stored] : p.frozen.states)
        if (stored.info.kind == state_kind::keyed) REQUIRE(stored.frozen);
      if (of_snapshots() % 2 == 0) { // the task goes on between two parts
        const auto steps = of_snapshots() % 4;
        std::size_t parts = 0;
        p.written = written(p.frozen, of_snapshots() % 4 != 0, [&] {
          if (parts++ == steps) step();
        });
        if (parts <= steps) step();
        p.frozen = {};
      } else {
        const bool twice = of_snapshots() % 2 == 0, dropped = of_snapshots() % 4 == 0;
        p.writer = std::thread{[&p, dropped, twice] {
          if (twice) p.written = written(p.frozen, false);
          if (twice && p.written != p.expected) return;
          p.written = dropped ? p.expected : written(p.frozen, true);
          p.frozen = {};
        }};
        step();
        if (of_snapshots() % 2 == 0) p.writer.join();
      }
    }
    if (held && seed % 2 == 0) r.reset(); // snapshots outlive the operator
    for (auto& p : all) {
      if (p->writer.joinable()) p->writer.join();
      REQUIRE(p->written == p->expected);
    }
    if (!r) return;
    r->watermark(std::numeric_limits<std::int64_t>::max());
    r->end();
    for (auto& d : out)
      results[held].push_back(d.value);
    std::sort(results[held].begin(), results[held].end());
  }
  REQUIRE(results[0].size() > 20);
  REQUIRE(results[0] == results[1]);
}

} // namespace

TEST_CASE("snapshots of windows in slices are what was there, whatever the task does while they are written") {
  for (std::uint64_t seed = 1; seed <= rounds(2); ++seed)
    for (auto& s : shapes) {
      if (sanitized && (s.size + s.slide + s.offset + static_cast<std::int64_t>(seed)) % 3 != 0) continue;
      change_while_snapshots_are_written("tallies", slices(s, tallies, with_bounds{}), s, seed);
      if (s.size <= s.slide)
        change_while_snapshots_are_written("lists", slices(s, list{}, list_with_bounds{}), s, seed);
    }
}

TEST_CASE("snapshots of windows of any kind are what was there, whatever the task does while they are written") {
  const shape s{100, 30, 0, 0, false};
  for (std::uint64_t seed = 1; seed <= rounds(4); ++seed) {
    const auto check = [&](const char* what, const operator_factory& make) {
      change_while_snapshots_are_written(what, make, s, seed);
    };
    const sliding_event_time_windows sliding{ms{100}, ms{30}, ms{0}};
    check("tallies", windows(sliding, event_time_trigger{}, no_evictor{}, tallies, with_bounds{}, 20));
    check("lists", windows(sliding, event_time_trigger{}, no_evictor{}, list{}, list_with_bounds{}, 20));
    const event_time_session_windows sessions{ms{8}};
    check("sessions", windows(sessions, event_time_trigger{}, no_evictor{}, tallies, with_bounds{}));
    check("lists of sessions", windows(sessions, event_time_trigger{}, no_evictor{}, list{}, list_with_bounds{}));
    check("counts", windows(sliding, purging_trigger{count_trigger{3}}, no_evictor{}, tallies, with_bounds{}));
    check("early", windows(sliding, continuous_event_time_trigger{ms{7}}, no_evictor{}, tallies, with_bounds{}));
    check("evicted", windows(sliding, event_time_trigger{}, count_evictor{3}, list{}, list_with_bounds{}));
  }
}

namespace {
/// Counts how often it is encoded.
struct counted_sum {
  std::int64_t sum = 0;
  static inline std::size_t encoded = 0;
};
struct counted_sum_of {
  counted_sum create_accumulator() const { return {}; }
  void add(const event& e, counted_sum& s) const { s.sum += e.value; }
  digest get_result(const counted_sum& s) const { return {s.sum, s.sum, 0}; }
  counted_sum merge(const counted_sum& a, const counted_sum& b) const { return {a.sum + b.sum}; }
};
} // namespace
template <>
struct dataflow::codec<counted_sum> {
  static constexpr std::uint16_t version = 1;
  static void encode(const counted_sum& s, byte_writer& out) {
    ++counted_sum::encoded;
    out.fixed(s.sum);
    out.fixed(std::array<char, 92>{});
  }
  static void decode(counted_sum& s, byte_reader& in) {
    s.sum = in.fixed<std::int64_t>();
    in.raw(92);
  }
  static schema describe() { return {"counted sum", {}}; }
  static std::size_t size_of(const counted_sum&) noexcept { return 100; }
};

namespace {
const detail::aggregated_contents<counted_sum_of, event> counted_sums{};
constexpr std::int64_t large_number = 20'000;

std::vector<std::pair<event, std::int64_t>> events_of_keys(std::int64_t first, std::int64_t end, std::int64_t time) {
  std::vector<std::pair<event, std::int64_t>> all;
  for (auto k = first; k < end; ++k)
    all.push_back({{k, 1, k}, time});
  return all;
}

void encodes_only_what_changes(const char* what, const operator_factory& make) {
  INFO(std::string{what});
  operator_runner r{make};
  r.capture<std::string>();
  r.push_timed(events_of_keys(0, large_number, 5));
  counted_sum::encoded = 0;
  auto snapshot = r.freeze();
  CHECK(counted_sum::encoded == 0); // the task has stopped for none of them
  for (int times = 0; times < 3; ++times)
    r.push_timed(events_of_keys(100, 200, 6));
  r.push_timed(events_of_keys(large_number, large_number + 100, 6)); // new ones
  CHECK(counted_sum::encoded == 100);
  const auto all = written(snapshot, true);
  CHECK(counted_sum::encoded == large_number);
  r.push_timed(events_of_keys(200, 300, 6));
  CHECK(counted_sum::encoded == large_number);
}

/// All windows change, more than a snapshot in progress may hold: the operator waits for who writes it.
void waits_for_the_writer(const char* what, const operator_factory& make) {
  INFO(std::string{what});
  operator_runner::options o;
  o.place.snapshot_bytes = 64 * 1024;
  operator_runner r{make, o};
  r.capture<std::string>();
  r.push_timed(events_of_keys(0, large_number, 5));
  for (const bool is_written : {true, false}) {
    const auto expected = written(r.snapshot(), false);
    auto snapshot = r.freeze();
    counted_sum::encoded = 0;
    for (std::int64_t from = 0; from < large_number; from += 100)
      r.push_timed(events_of_keys(from, from + 100, 6));
    CHECK(r.state == chain_state::blocked);
    r.run_again();
    CHECK(r.state == chain_state::blocked);
    CHECK(counted_sum::encoded < 64 * 1024 / 100 + 100); // and not a batch more
    if (is_written) CHECK(written(snapshot, true) == expected);
    snapshot = {};
    r.run_again();
    CHECK(r.state == chain_state::drained);
  }
}
} // namespace

TEST_CASE("a barrier has the task encode no window, and later only those that it changes before they are written") {
  const shape tumbling{100, 100, 0, 0, false}, late_ones{100, 100, 0, 50, false}, sliding{100, 20, 0, 0, false};
  encodes_only_what_changes("tumbling", slices(tumbling, counted_sums, with_bounds{}));
  encodes_only_what_changes("sliding", slices(sliding, counted_sums, with_bounds{}));
  encodes_only_what_changes("any", windows(tumbling_event_time_windows{ms{100}}, event_time_trigger{}, no_evictor{},
                                           counted_sums, with_bounds{}));
  encodes_only_what_changes("late", slices(late_ones, counted_sums, with_bounds{}));
}

TEST_CASE("window operators wait while a snapshot in progress holds too much of their state") {
  const shape tumbling{100, 100, 0, 0, false};
  waits_for_the_writer("tumbling", slices(tumbling, counted_sums, with_bounds{}));
  waits_for_the_writer("any", windows(tumbling_event_time_windows{ms{100}}, event_time_trigger{}, no_evictor{},
                                      counted_sums, with_bounds{}));
}

TEST_CASE("windows that fire while a snapshot holds them are counted, and the task waits for it") {
  for (const std::int64_t slide : {100, 20}) {
    CAPTURE(slide);
    const shape s{100, slide, 0, 0, false};
    operator_runner::options o;
    o.place.snapshot_bytes = 64 * 1024;
    operator_runner r{slices(s, counted_sums, with_bounds{}), o};
    auto& out = r.capture<std::string>();
    r.push_timed(events_of_keys(0, large_number, 5));
    if (slide == 20) r.watermark(19); // the slice is complete
    const auto before = out.size();
    const auto expected = written(r.snapshot(), false);
    auto snapshot = r.freeze();
    r.watermark(250);
    r.push_timed(events_of_keys(0, 10, 300));
    CHECK(r.state == chain_state::blocked);
    CHECK(written(snapshot, true) == expected);
    r.run_again();
    CHECK(r.state == chain_state::drained);
    CHECK(out.size() - before == large_number * (slide == 20 ? 4 : 1));
  }
}

TEST_CASE("slices that leave sliding windows while a snapshot has them are counted, also when their keys stay") {
  operator_runner::options o;
  o.place.snapshot_bytes = 64 * 1024;
  operator_runner r{slices(shape{100, 20, 0, 0, false}, counted_sums, with_bounds{}), o};
  r.capture<std::string>();
  for (const std::int64_t time : {5, 25})
    r.push_timed(events_of_keys(0, large_number, time));
  r.watermark(39);
  const auto expected = written(r.snapshot(), false);
  auto snapshot = r.freeze();
  r.watermark(119); // the first slice is of no window any more
  CHECK(r.state == chain_state::blocked);
  CHECK(written(snapshot, true) == expected);
  r.run_again();
  CHECK(r.state == chain_state::drained);
}
