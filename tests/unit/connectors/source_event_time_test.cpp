#include <dataflow/time/watermark_group.hpp>

#include <doctest/doctest.h>

#include <tests/support/timed_source.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using test::timed_source;

namespace {

using number = timed_source::number;
timestamp at(std::int64_t n) { return timestamp{std::chrono::milliseconds{n}}; }
constexpr auto itself = [](number n) { return n; };

auto monotonous() { return watermark_strategy<number>::monotonous_timestamps().with_timestamp(itself); }
auto every_record() {
  return watermark_strategy<number>::punctuated([](number, timestamp t) { return std::optional{t}; })
      .with_timestamp(itself);
}

} // namespace

TEST_CASE("source watermarks: the minimum over the splits, from their assignment to their end") {
  timed_source s{monotonous()};
  s.add("a");
  s.add("b");
  CHECK(s.poll("a", {10, 20}) == "10 20");
  CHECK(s.tick(200).empty()); // b has nothing yet
  CHECK(s.poll("b", {15}) == "15");
  CHECK(s.tick(400) == "|14");
  CHECK(s.poll("b", {30}) == "30");
  CHECK(s.tick(600) == "|19");
  split_marks marks; // one poll over the end of a: its last records, then those of c, which nobody announced
  marks.records_of("a", 0);
  marks.finished("a", 1);
  marks.records_of("c", 1);
  CHECK(s.poll({25, 40, 41}, marks) == "25 40 41");
  CHECK(s.tick(800) == "|29");
  marks.clear();
  marks.finished("b", 0);
  CHECK(s.poll({}, marks).empty());
  CHECK(s.tick(1000) == "|40");
  CHECK(s.finish() == "|end");
  CHECK(s.tick(1200).empty());
}

TEST_CASE("source watermarks: punctuated ones go out at once, when they are the minimum") {
  timed_source s{every_record()};
  s.add("a");
  s.add("b");
  split_marks marks;
  marks.records_of("a", 0);
  marks.records_of("b", 2);
  marks.records_of("a", 4);
  CHECK(s.poll({1, 5, 3, 4, 6}, marks) == "1 5 3 |3 4 |4 6");
  CHECK(s.poll("b", {10}) == "10 |6");
}

TEST_CASE("source watermarks: records of no split have a generator of their own") {
  timed_source s{monotonous()};
  CHECK(s.poll("", {10, 20}) == "10 20");
  CHECK(s.tick(200) == "|19");
}

TEST_CASE("source watermarks: an idle split is left out; when all are idle the source is") {
  timed_source s{monotonous().with_idleness(1s)};
  s.add("a");
  s.add("b");
  for (int t = 200; t <= 1200; t += 200) {
    CHECK(s.poll("a", {t}) == std::to_string(t));
    CHECK(s.tick(t).empty()); // b waits since the tick at 200, and 1 s is not more than 1 s
  }
  CHECK(s.poll("a", {1300}) == "1300");
  CHECK(s.tick(1400) == "|1299");
  CHECK(s.poll("b", {1250}) == "1250"); // back, and behind: the watermark stands until b has caught up
  CHECK(s.tick(1600).empty());
  CHECK(s.poll("b", {1400}) == "1400");
  CHECK(s.tick(1800).empty());
  CHECK(s.poll("a", {2000}) == "2000");
  CHECK(s.tick(2000) == "|1399");
  std::string all;
  for (int t = 2200; t <= 4000; t += 200)
    if (auto said = s.tick(t); !said.empty()) all += std::to_string(t) + ":" + said + " ";
  CHECK(all == "3200:|1999 3400:idle "); // b first, then a
  CHECK(s.poll("a", {5000}) == "5000");
  CHECK(s.tick(4200) == "active |4999");
}

TEST_CASE("source watermarks: time without credit makes nothing idle") {
  timed_source s{monotonous().with_idleness(1s)};
  s.add("a");
  s.poll("a", {1});
  s.tick(200);
  s.tick(400);
  s.backpressured = 5s;
  CHECK(s.tick(5600).empty());
  CHECK(s.tick(6600) == "idle");
}

TEST_CASE("source watermarks: the interval and the strategy without watermarks") {
  timed_source s{watermark_strategy<number>::no_watermarks().with_timestamp(itself)};
  s.add("a");
  CHECK(s.time->next() == std::chrono::milliseconds::max());
  CHECK(s.poll("a", {1, 2}) == "1 2");
  CHECK(s.finish() == "|end");
}

TEST_CASE("alignment: a fast split is paused, a fast source is not polled, both go on when the others have caught up") {
  timed_source s{monotonous().with_alignment("g", 10ms, 500ms)};
  s.add("a");
  s.add("b");
  s.tick(600);
  CHECK(s.reports.empty()); // nothing to report yet
  s.poll("a", {100});
  s.poll("b", {20});
  s.tick(1200);
  CHECK(s.reports == std::vector<std::int64_t>{19});
  s.time->limit(at(29));
  CHECK(s.reader.paused == std::set<std::string>{"a"});
  CHECK_FALSE(s.time->must_wait());
  s.poll("b", {50});
  s.tick(1400);
  CHECK(s.reader.paused == std::set<std::string>{"a", "b"});
  CHECK(s.time->must_wait()); // its own watermark, 49, is above the limit, too
  s.time->limit(at(60));
  CHECK(s.reader.paused == std::set<std::string>{"a"});
  CHECK_FALSE(s.time->must_wait());
  s.time->limit(at(100));
  CHECK(s.reader.paused.empty());
  s.finish();
  CHECK(s.reports.back() == max_timestamp.time_since_epoch().count());
  CHECK_FALSE(s.time->must_wait());
}

TEST_CASE("alignment: a single split waits with its source, and waiting makes nothing idle") {
  timed_source s{monotonous().with_alignment("g", 10ms).with_idleness(1s)};
  s.add("a");
  s.poll("a", {100});
  s.tick(200);
  s.time->limit(at(50));
  CHECK(s.reader.paused.empty());
  CHECK(s.time->must_wait());
  for (int t = 400; t < 5000; t += 200)
    CHECK(s.tick(t).empty());
  s.time->limit(at(200));
  CHECK_FALSE(s.time->must_wait());
  s.tick(5000);
  CHECK(s.tick(5700).empty());
  std::string later;
  for (int t = 6000; t < 7000; t += 200)
    later += s.tick(t);
  CHECK(later == "idle");
  CHECK(s.reports.back() == max_timestamp.time_since_epoch().count()); // an idle source holds nobody back
}

TEST_CASE("alignment: the group waits for its slowest member") {
  watermark_group g;
  CHECK(g.limit(10ms) == max_timestamp);
  g.report({0, 0}, at(100));
  g.report({1, 0}, at(50));
  CHECK(g.limit(10ms) == at(60));
  CHECK(g.slowest()->first == watermark_group::member{1, 0});
  g.report({1, 0}, max_timestamp);
  CHECK(g.limit(10ms) == at(110));
  g.forget({0, 0});
  CHECK(g.limit(10ms) == max_timestamp); // no overflow
}

TEST_CASE("source watermarks go on where they were after a restart, split by split") {
  const auto strategy = monotonous().with_idleness(1s);
  timed_source s{strategy};
  s.add("a");
  s.add("b");
  s.poll("a", {100});
  s.poll("b", {50});
  CHECK(s.tick(200) == "|49");
  s.restart({"b"});
  CHECK(s.tick(400) == "|49"); // without a record: b's generator remembers
  s.add("a");
  CHECK(s.poll("b", {200}) == "200");
  CHECK(s.tick(600) == "|99"); // a's watermark
}
