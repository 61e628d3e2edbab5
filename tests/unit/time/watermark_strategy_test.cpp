#include <dataflow/time/watermark_strategy.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {
struct kept_output final : watermark_output {
  void emit_watermark(timestamp t) override { marks.push_back(t); }
  void mark_idle() override {}
  void mark_active() override {}
  std::vector<timestamp> marks;
};
timestamp at(std::int64_t n) { return timestamp{milliseconds{n}}; }
struct reading {
  timestamp time;
  std::int64_t ms = 0;
  std::chrono::system_clock::time_point precise;
};
template <class F>
std::int64_t stamped(F f, const reading& r) {
  auto loop = watermark_strategy<reading>::no_watermarks().with_timestamp(f).make_timestamps();
  timestamp t = at(1000);
  std::size_t i = 0;
  loop->stamp(&r, &t, i, 1, at(77));
  CHECK(i == 1);
  return t.time_since_epoch().count();
}
} // namespace

TEST_CASE("bounded out-of-orderness: max - bound - 1, also at the limits of 64 bits") {
  kept_output out;
  bounded_out_of_orderness_generator g{2s};
  CHECK(g.watermark() == min_timestamp); // nothing is promised before the first record
  g.on_event(at(10'000));
  CHECK(g.watermark() == at(7'999));
  g.on_event(at(9'000));
  CHECK(g.watermark() == at(7'999));
  g.on_event(max_timestamp);
  CHECK(g.watermark() == max_timestamp - 2001ms);

  bounded_out_of_orderness_generator late{2s};
  late.on_event(min_timestamp);
  CHECK(late.watermark() == min_timestamp);
  late.on_event(min_timestamp + 2001ms);
  CHECK(late.watermark() == min_timestamp);
  late.on_event(min_timestamp + 2002ms);
  CHECK(late.watermark() == min_timestamp + 1ms);

  bounded_out_of_orderness_generator wide{milliseconds::max()};
  CHECK(wide.watermark() == min_timestamp);
  wide.on_event(max_timestamp);
  CHECK(wide.watermark() == at(-1));
}

TEST_CASE("idleness: more than the time-out since the first tick without a record") {
  using verdict = idleness_timer::verdict;
  idleness_timer t{1s};
  t.activity();
  CHECK(t.check(200ms) == verdict::active);
  CHECK(t.check(400ms) == verdict::active); // the time begins here
  CHECK(t.check(1400ms) == verdict::active);
  CHECK(t.check(1401ms) == verdict::idle_now);
  CHECK(t.check(1600ms) == verdict::still_idle);
  t.activity();
  CHECK(t.check(1700ms) == verdict::active);
  CHECK(t.check(1800ms) == verdict::active);
  CHECK(t.check(2801ms) == verdict::idle_now);
  idleness_timer never_a_record{1s};
  CHECK(never_a_record.check(0ms) == verdict::active);
  CHECK(never_a_record.check(1001ms) == verdict::idle_now);
}

TEST_CASE("an idleness timer goes on after a restart on another machine, whose clock says something else") {
  using verdict = idleness_timer::verdict;
  idleness_timer before{1s};
  CHECK(before.check(5000ms) == verdict::active);
  byte_writer bytes;
  before.snapshot(bytes, 5600ms);
  idleness_timer after{1s};
  const auto text = bytes.take();
  byte_reader in{text};
  after.restore(in, 70ms);
  CHECK(after.check(470ms) == verdict::active);
  CHECK(after.check(471ms) == verdict::idle_now);
}

TEST_CASE("timestamps: members and functions, times and milliseconds") {
  reading r{at(5), 6, std::chrono::system_clock::time_point{std::chrono::microseconds{-1}}};
  CHECK(stamped(&reading::time, r) == 5);
  CHECK(stamped(&reading::ms, r) == 6);
  CHECK(stamped(&reading::precise, r) == -1); // rounded down, not towards zero
  CHECK(stamped([](const reading& x) { return x.ms * 2; }, r) == 12);
  CHECK(stamped([](const reading& x, timestamp before) { return before + milliseconds{x.ms}; }, r) == 1006);
  auto ingestion = watermark_strategy<reading>::ingestion_time().make_timestamps();
  timestamp t = at(3);
  std::size_t i = 0;
  ingestion->stamp(&r, &t, i, 1, at(77));
  CHECK(t == at(77));
  CHECK(watermark_strategy<reading>::no_watermarks().make_timestamps() == nullptr);
}

TEST_CASE("a timestamp function that throws says how far it got") {
  auto loop = watermark_strategy<int>::no_watermarks()
                  .with_timestamp([](int v) { return v == 2 ? throw std::runtime_error("two") : std::int64_t{v}; })
                  .make_timestamps();
  const int records[] = {0, 1, 2, 3};
  timestamp times[4];
  std::size_t i = 0;
  CHECK_THROWS(loop->stamp(records, times, i, 4, at(0)));
  CHECK(i == 2);
  CHECK(times[1] == at(1));
}

TEST_CASE("strategies that cannot be meant are refused") {
  using strategy = watermark_strategy<reading>;
  auto refused = [](auto f) {
    try {
      f();
      return false;
    } catch (const error& e) {
      return e.code() == errc::invalid_argument && !e.advice().empty();
    }
  };
  CHECK(refused([] { strategy::bounded_out_of_orderness(-1ms); }));
  CHECK(refused([] { strategy::monotonous_timestamps().with_idleness(0ms); }));
  CHECK(refused([] { strategy::monotonous_timestamps().with_idleness(-5s); }));
  CHECK(refused([] { strategy::monotonous_timestamps().with_alignment("", 1s); }));
  CHECK(refused([] { strategy::monotonous_timestamps().with_alignment("g", -1s); }));
  CHECK(refused([] { strategy::monotonous_timestamps().with_alignment("g", 1s, 0s); }));
  CHECK(strategy::monotonous_timestamps().with_alignment("g", 0s).alignment()->update_interval == 1s);
}

namespace {
struct named_generator {
  static constexpr const char* name = "by day";
  void on_event(const reading&, timestamp, watermark_output&) {}
};
struct nameless_generator {
  void on_event(const reading&, timestamp, watermark_output&) {}
  void on_periodic_emit(watermark_output&) {}
};
} // namespace

TEST_CASE("what a generator stores goes to one of the same name, which no compiler has chosen") {
  using strategy = watermark_strategy<reading>;
  auto name_of = [](const strategy& s) { return s.make_generator()->kind(); };
  CHECK(name_of(strategy::bounded_out_of_orderness(5s)) == "bounded out-of-orderness");
  CHECK(name_of(strategy::monotonous_timestamps()) == "bounded out-of-orderness");
  CHECK(name_of(strategy::punctuated([](const reading&, timestamp t) { return std::optional{t}; })) == "punctuated");
  CHECK(name_of(strategy::no_watermarks()) == "none");
  CHECK(name_of(strategy::ingestion_time()) == "ingestion");
  CHECK(name_of(strategy::custom(named_generator{})) == "by day");
  CHECK(name_of(strategy::custom(nameless_generator{})) == "generator of " + to_string(codec<reading>::describe()));
}

TEST_CASE("an idle time-out that is as long as can be never comes") {
  const auto timer = std::make_unique<idleness_timer>(std::chrono::milliseconds::max());
  CHECK(timer->check(0s) == idleness_timer::verdict::active);
  CHECK(timer->check(1s) == idleness_timer::verdict::active);
  CHECK(timer->check(1'000'000'000s) == idleness_timer::verdict::active);
}
