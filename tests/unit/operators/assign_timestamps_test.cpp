#include <dataflow/operators/assign_timestamps.hpp>
#include <dataflow/record/codecs.hpp>

#include <doctest/doctest.h>

#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using test::operator_runner;

namespace {

using number = std::int64_t;
timestamp at(std::int64_t n) { return timestamp{std::chrono::milliseconds{n}}; }

operator_factory assigner(const watermark_strategy<number>& strategy) {
  return [strategy] { return std::make_unique<timestamps_and_watermarks_operator<number>>(strategy); };
}
constexpr auto itself = [](number n) { return n; };

/// Records and watermarks in the order in which they came out: "1 2 |2 3".
std::string line_of(operator_runner& r, const std::vector<test::delivered<number>>& out) {
  std::string text;
  std::size_t next = 0;
  auto records = [&](std::size_t until) {
    for (; next < until; ++next)
      text += (text.empty() ? "" : " ") + std::to_string(out[next].value) +
              (out[next].time == out[next].value ? "" : "@" + std::to_string(out[next].time.value_or(-1)));
  };
  for (auto& c : r.controls) {
    records(c.records_before);
    if (c.kind == element_kind::watermark) text += " |" + std::to_string(c.value);
    if (c.kind == element_kind::idle) text += " idle";
    if (c.kind == element_kind::active) text += " active";
  }
  records(out.size());
  return text;
}

} // namespace

TEST_CASE("punctuated watermarks go out right behind their record, and cut the batch only there") {
  const auto strategy = watermark_strategy<number>::punctuated([](number n, timestamp t) {
                          return n % 10 == 0 ? std::optional{t} : std::nullopt;
                        }).with_timestamp(itself);
  for (const bool shared : {false, true}) {
    operator_runner r{assigner(strategy)};
    auto& out = r.capture<number>();
    auto b = r.batch_of<number>({1, 10, 11, 12, 20, 10, 21, 30});
    auto other = shared ? b : batch_ptr{};
    r.push(std::move(b));
    CHECK(line_of(r, out) == "1 10 |10 11 12 20 |20 10 21 30 |30");
    if (shared) CHECK_FALSE(other->has_timestamps()); // it belongs to somebody else, too
  }
}

TEST_CASE("what a generator says on the last record does not take the record away from it") {
  struct generator {
    void on_event(const std::string& s, timestamp, watermark_output& out) {
      out.emit_watermark(at(static_cast<std::int64_t>(s.size())));
      seen += s;
      out.emit_watermark(at(static_cast<std::int64_t>(seen.size())));
    }
    std::string seen;
  };
  operator_runner r{[] {
    return std::make_unique<timestamps_and_watermarks_operator<std::string>>(
        watermark_strategy<std::string>::custom(generator{}));
  }};
  auto& out = r.capture<std::string>();
  r.push<std::string>({std::string(100, 'a'), std::string(50, 'b')});
  REQUIRE(out.size() == 2);
  CHECK(out[1].value == std::string(50, 'b'));
  REQUIRE(r.controls.size() == 2);
  CHECK(r.controls[0].value == 100);
  CHECK(r.controls[1].value == 150);
  CHECK(r.controls[1].records_before == 2);
}

TEST_CASE("large batches: one watermark per tick, and every record has its timestamp") {
  operator_runner r{assigner(watermark_strategy<number>::bounded_out_of_orderness(5ms).with_timestamp(itself))};
  auto& out = r.capture<number>();
  std::vector<number> records;
  for (number n = 0; n < 5000; ++n)
    records.push_back(n ^ 3); // out of order, but not by more than the bound
  r.push(records);
  CHECK(r.controls.empty());
  r.set_time(200);
  r.set_time(400);
  REQUIRE(r.controls.size() == 1);
  CHECK(r.controls[0].value == 4999 - 5 - 1);
  REQUIRE(out.size() == 5000);
  for (auto& d : out)
    CHECK(d.time == d.value);
}

TEST_CASE("the interval 0 emits nothing periodically; the end is the end all the same") {
  operator_runner::options o;
  o.watermark_interval = 0ms;
  operator_runner r{assigner(watermark_strategy<number>::monotonous_timestamps().with_timestamp(itself)), o};
  auto& out = r.capture<number>();
  r.push<number>({1, 2});
  r.set_time(10'000);
  CHECK(line_of(r, out) == "1 2");
  r.watermark(500); // not ours
  r.watermark(max_timestamp.time_since_epoch().count());
  r.end();
  CHECK(line_of(r, out) == "1 2 |9223372036854775807");
}

TEST_CASE("a source that ends without its last watermark: finish says what is known") {
  operator_runner r{assigner(watermark_strategy<number>::monotonous_timestamps().with_timestamp(itself))};
  auto& out = r.capture<number>();
  r.push<number>({1, 7});
  r.end();
  CHECK(line_of(r, out) == "1 7 |6");
}

TEST_CASE("idleness of what comes in is swallowed; an own generator may speak of it at once") {
  struct generator {
    void on_event(number n, timestamp t, watermark_output& out) {
      if (n < 0) return out.mark_idle();
      out.emit_watermark(t);
    }
  };
  operator_runner r{assigner(watermark_strategy<number>::custom(generator{}).with_timestamp(itself))};
  auto& out = r.capture<number>();
  r.push(element::control(element_kind::idle));
  r.push(element::control(element_kind::active));
  r.push<number>({5, -1, -2, 5, 6});
  CHECK(line_of(r, out) == "5 |5 -1 idle -2 5 6 active |6"); // the 5 does not advance: still idle, as in Flink
}

TEST_CASE("no watermarks: only timestamps; without a function records keep theirs") {
  operator_runner r{assigner(watermark_strategy<number>::no_watermarks())};
  auto& out = r.capture<number>();
  r.push_timed<number>({{1, 100}, {2, 200}});
  r.set_time(1000);
  CHECK(line_of(r, out) == "1@100 2@200");
  r.push<number>({3});
  CHECK_FALSE(out.back().time); // who needs one says so
}

TEST_CASE("ingestion time: stamped by the clock, and never behind the watermark") {
  operator_runner r{assigner(watermark_strategy<number>::ingestion_time())};
  auto& out = r.capture<number>();
  r.set_time(150);
  r.push<number>({1, 2});
  r.set_time(350);
  r.push<number>({3});
  CHECK(line_of(r, out) == "1@150 2@150 |349 3@350");
}

TEST_CASE("a timestamp function that throws follows the record-error policy") {
  const output_tag<number> bad{"bad"};
  auto strategy = watermark_strategy<number>::monotonous_timestamps().with_timestamp(
      [](number n) { return n < 0 ? throw std::runtime_error("no time") : n; });
  operator_runner::options o;
  o.policy = {record_error_policy::kind::side_output, 0, bad.id()};
  operator_runner r{assigner(strategy), o};
  auto& out = r.capture<number>();
  auto& side = r.capture(bad);
  r.push<number>({-1, 1, -2, -3, 4, 5, -6});
  CHECK(line_of(r, out) == "1 4 5");
  CHECK(test::values_of(side) == std::vector<number>{-1, -2, -3, -6});
  CHECK_FALSE(side[0].time);
  CHECK(r.counters["numRecordsSkipped"].value() == 4);
  r.set_time(200);
  CHECK(r.controls.back().value == 4);
  operator_runner failing{assigner(strategy)};
  CHECK_THROWS_AS(failing.push<number>({1, -1}), error);
}

TEST_CASE("an own generator with snapshot() goes on after a restart; another strategy begins anew") {
  struct counting {
    number seen = 0;
    void on_event(number, timestamp, watermark_output& out) { out.emit_watermark(at(++seen * 100)); }
    void snapshot(byte_writer& out) const { out.fixed(seen); }
    void restore(byte_reader& in) { seen = in.fixed<number>(); }
  };
  bool other = false;
  operator_runner r{[&]() -> std::unique_ptr<stream_operator> {
    auto strategy = other ? watermark_strategy<number>::monotonous_timestamps().with_timestamp(itself)
                          : watermark_strategy<number>::custom(counting{}).with_timestamp(itself);
    return std::make_unique<timestamps_and_watermarks_operator<number>>(strategy);
  }};
  auto& out = r.capture<number>();
  r.push<number>({1, 2});
  r.restart();
  r.push<number>({3});
  CHECK(line_of(r, out) == "1 |100 2 |200 3 |300");
  other = true;
  r.restart();
  r.push<number>({250}); // what was promised holds
  r.set_time(200);
  CHECK(line_of(r, out) == "1 |100 2 |200 3 |300 250");
  r.push<number>({500});
  r.set_time(400);
  CHECK(r.controls.back().value == 499);
}
