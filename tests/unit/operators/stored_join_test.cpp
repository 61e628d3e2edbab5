// Interval joins whose buffers are in a database: the same pairs as in memory, within the memory they may take.
#include <dataflow/operators/interval_join.hpp>

#include <doctest/doctest.h>

#include <random>
#include <tests/support/effort.hpp>
#include <tests/support/moving_restarts.hpp>

using namespace dataflow;
using namespace dataflow::test;

namespace {

struct piece {
  std::int64_t key = 0;
  std::string id;
};
struct put_side_by_side {
  void operator()(const piece& l, const piece& r, collector<std::string>& out) const { out.collect(l.id + "+" + r.id); }
};
using piece_key = std::int64_t piece::*;
using join_operator = interval_join_operator<piece, piece, std::string, put_side_by_side, piece_key, piece_key>;

operator_factory join(std::int64_t lower, std::int64_t upper, join_operator** made = nullptr) {
  return [=] {
    interval_join_config<piece, piece> config{{std::chrono::milliseconds{lower}, std::chrono::milliseconds{upper}}};
    auto op = std::make_unique<join_operator>(&piece::key, &piece::key, config, std::tuple<>{});
    if (made) *made = op.get();
    return op;
  };
}

} // namespace
DATAFLOW_RECORD(piece, key, id);

TEST_CASE("an interval join in a database gives the pairs of one in memory, in their order, wherever it goes on") {
  places where;
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto lower = -static_cast<std::int64_t>(random() % 40), upper = static_cast<std::int64_t>(random() % 40);
    operator_runner memory{join(lower, upper), {.inputs = 2}};
    operator_runner disk{join(lower, upper), {.inputs = 2, .place = where.next()}};
    auto& expected = memory.capture<std::string>();
    auto& got = disk.capture<std::string>();
    const auto restart = everywhere(where, seed);
    std::int64_t now = 0;
    for (int i = 0; i < 300; ++i) {
      std::vector<std::pair<piece, std::int64_t>> batch;
      for (auto n = random() % 5; n > 0; --n) {
        now += static_cast<std::int64_t>(random() % 3);
        batch.push_back({{static_cast<std::int64_t>(random() % 7), std::to_string(i) + "." + std::to_string(n)},
                         now + static_cast<std::int64_t>(random() % 25) - 5});
      }
      const unsigned side = random() % 2;
      for (auto* r : {&memory, &disk})
        if (!batch.empty()) r->push_timed(batch, side);
      if (i % 7 == 0)
        for (auto* r : {&memory, &disk})
          r->watermark(now - 1);
      if (seed % 2 == 0 && random() % 10 == 0) restart(disk);
    }
    REQUIRE(values_of(got) == values_of(expected));
    CHECK(got.size() > 100);
    CHECK(memory.counters["numLateRecordsDropped"].value() == disk.counters["numLateRecordsDropped"].value());
  }
}

TEST_CASE(
    "in a database, too, a record as old as the watermark that waits for nothing later stays until that advances") {
  places where;
  for (const bool restarts : {false, true}) {
    operator_runner r{join(-1000, 0), {.inputs = 2, .place = where.next()}};
    auto& out = r.capture<std::string>();
    r.push_timed<piece>({{{1, "early"}, 9000}}, 0);
    r.watermark(9000); // forgets it
    r.push_timed<piece>({{{1, "a"}, 9000}}, 0);
    if (restarts) r.restart_in(where.next());
    r.push_timed<piece>({{{1, "x"}, 9000}}, 1);
    r.push_timed<piece>({{{1, "b"}, 9001}}, 0);
    r.watermark(9001);
    if (restarts) r.restart_in(where.next());
    r.push_timed<piece>({{{1, "y"}, 9001}}, 1);
    CHECK(values_of(out) == std::vector<std::string>{"a+x", "b+x"});
  }
}

TEST_CASE("the buffers of a join in a database keep within their memory, and nothing stays of keys that are not seen "
          "again") {
  constexpr std::size_t budget = 512 << 10;
  places where{budget};
  join_operator* made = nullptr;
  operator_runner r{join(-100, 100, &made), {.inputs = 2, .place = where.next()}};
  auto& out = r.capture<std::string>();
  std::size_t most = 0;
  for (std::int64_t i = 0; i < 40; ++i) {
    std::vector<std::pair<piece, std::int64_t>> batch;
    for (std::int64_t k = 0; k < 500; ++k)
      batch.push_back({{(i % 20) * 500 + k, std::string(150, 'x')}, i});
    r.push_timed(batch, i < 20 ? 0 : 1);
    most = std::max(most, made->counted_bytes());
    if (i == 30) r.restart_in(where.next());
  }
  CHECK(out.size() == 10'000);
  CHECK(most <= budget * 5 / 4);
  CHECK(most > budget / 2);
  std::size_t stored = 0;
  for (auto& [name, state] : r.snapshot().states)
    for (auto& part : state.parts)
      stored += part.bytes.size();
  CHECK(stored > 3 << 20);
  CHECK(made->keys() == 10'000);
  r.watermark(130);
  CHECK(made->keys() > 1000); // some still wait
  r.watermark(250);
  CHECK(made->keys() == 0);
  CHECK(r.snapshot().states.at("join buffers").parts.empty());
}

TEST_CASE("a join whose bounds were changed goes on from the files of a database, and forgets what has expired") {
  for (const auto& [before, after] : {std::pair{100, 20}, {20, 100}}) {
    CAPTURE(before);
    places where;
    std::int64_t bound = before;
    join_operator* made = nullptr;
    operator_runner r{[&] { return join(-bound, bound, &made)(); }, {.inputs = 2, .place = where.next(true)}};
    auto& out = r.capture<std::string>();
    r.push_timed<piece>({{{1, "a"}, 1000}}, 0);
    bound = after;
    r.restart_from_files(true, where.next(true));
    r.watermark(1010);
    r.push_timed<piece>({{{1, "x"}, 1015}}, 1);
    r.watermark(1050);
    CHECK(values_of(out) == std::vector<std::string>{"a+x"});
    CHECK(made->keys() == 1);
    r.watermark(2000);
    CHECK(made->keys() == 0);
  }
}
