// An interval join in memory while snapshots of its buffers are written: by another thread, and between records.
#include <dataflow/operators/interval_join.hpp>
#include <dataflow/record/codecs.hpp>

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <tests/support/effort.hpp>
#include <tests/support/operator_runner.hpp>
#include <thread>

using namespace dataflow;
using namespace dataflow::test;

namespace {

struct held_piece {
  std::int64_t key = 0;
  std::string id;
};
struct ids_of_both {
  void operator()(const held_piece& l, const held_piece& r, collector<std::string>& out) const {
    out.collect(l.id + "+" + r.id);
  }
};
using held_key = std::int64_t held_piece::*;
using held_join = interval_join_operator<held_piece, held_piece, std::string, ids_of_both, held_key, held_key>;

operator_factory join_within(std::int64_t lower, std::int64_t upper) {
  return [=] {
    interval_join_config<held_piece, held_piece> config{
        {std::chrono::milliseconds{lower}, std::chrono::milliseconds{upper}}};
    return std::make_unique<held_join>(&held_piece::key, &held_piece::key, config, std::tuple<>{});
  };
}

using join_parts = std::map<std::uint32_t, std::string>;
/// `between` is called where the writer can be interrupted.
join_parts parts_of_join(
    const operator_snapshot& s, bool give_up, const std::function<void()>& between = [] {}) {
  join_parts all;
  const auto& stored = s.states.at("join buffers");
  const auto take = [&](const state_part& p) {
    if (!all.empty()) CHECK(all.rbegin()->first < p.key_group);
    all[p.key_group] += p.bytes;
    between();
  };
  give_up ? stored.give_up_parts(take) : stored.for_each_part(take);
  return all;
}

} // namespace
DATAFLOW_RECORD(held_piece, key, id);

TEST_CASE("snapshots of an interval join are what was there, whatever the task does while they are written") {
  for (std::uint64_t seed = 1; seed <= rounds(30); ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto make = join_within(-static_cast<std::int64_t>(random() % 40), static_cast<std::int64_t>(random() % 40));
    auto subject = std::make_unique<operator_runner>(make, operator_runner::options{.inputs = 2});
    operator_runner plain{make, {.inputs = 2}}; // of which nobody takes snapshots
    auto& out = subject->capture<std::string>();
    auto& expected_out = plain.capture<std::string>();
    std::int64_t now = 0;
    const auto step = [&] {
      for (auto batches = random() % 4; batches > 0; --batches) {
        std::vector<std::pair<held_piece, std::int64_t>> batch;
        for (auto n = 1 + random() % 20; n > 0; --n) {
          now += static_cast<std::int64_t>(random() % 3);
          batch.push_back(
              {{static_cast<std::int64_t>(random() % 50), "a record with a long name " + std::to_string(now)},
               now + static_cast<std::int64_t>(random() % 25) - 5});
        }
        const unsigned side = random() % 2;
        const bool advances = random() % 3 == 0;
        for (auto* r : {subject.get(), &plain}) {
          r->push_timed(batch, side);
          for (unsigned input : {0u, 1u})
            if (advances) r->push(element::watermark(timestamp{std::chrono::milliseconds{now - 10}}), input);
        }
      }
    };
    struct taken {
      join_parts expected, written;
      operator_snapshot frozen;
      std::thread writer;
      ~taken() {
        if (writer.joinable()) writer.join();
      }
    };
    std::vector<std::unique_ptr<taken>> all;
    for (int round = 0; round < 20; ++round) {
      step();
      auto& t = *all.emplace_back(std::make_unique<taken>());
      t.expected = parts_of_join(subject->snapshot(), false);
      t.frozen = subject->freeze();
      REQUIRE(t.frozen.states.at("join buffers").frozen);
      const bool twice = random() % 2 == 0, dropped = random() % 4 == 0;
      if (random() % 2 == 0) {
        t.written = parts_of_join(t.frozen, !twice, [&, n = random() % 8]() mutable {
          if (n-- == 0) step();
        });
        if (!dropped) t.frozen = {}; // else it is in progress for longer
      } else {
        t.writer = std::thread{[&t, twice, dropped] {
          if (twice) t.written = parts_of_join(t.frozen, false);
          if (twice && t.written != t.expected) return;
          t.written = dropped ? t.expected : parts_of_join(t.frozen, true);
          t.frozen = {};
        }};
        step();
        if (random() % 2 == 0) t.writer.join();
      }
    }
    if (seed % 3 == 0) subject.reset(); // snapshots outlive the operator
    for (auto& t : all) {
      if (t->writer.joinable()) t->writer.join();
      REQUIRE(t->written == t->expected);
    }
    if (!subject) continue;
    REQUIRE(out.size() == expected_out.size());
    for (std::size_t i = 0; i < out.size(); ++i)
      REQUIRE(out[i].value == expected_out[i].value);
  }
}

TEST_CASE("an interval join waits while a snapshot in progress holds too much of its buffers") {
  operator_runner::options o{.inputs = 2};
  o.place.snapshot_bytes = 64 * 1024;
  operator_runner r{join_within(-10, 10), o};
  r.capture<std::string>();
  const auto push = [&](std::int64_t from, std::int64_t end, std::int64_t at) {
    std::vector<std::pair<held_piece, std::int64_t>> batch;
    for (auto i = from; i < end; ++i)
      batch.push_back({{i, std::string(100, 'x')}, at});
    r.push_timed(batch, 0);
  };
  push(0, 10'000, 5);
  for (const bool is_written : {true, false})
    for (const bool expires : {false, true}) {
      const auto expected = parts_of_join(r.snapshot(), false);
      auto snapshot = r.freeze();
      if (expires) {
        for (unsigned input : {0u, 1u})
          r.push(element::watermark(timestamp{std::chrono::milliseconds{is_written ? 100 : 200}}), input);
      } else {
        push(0, 10'000, is_written ? 6 : 106);
      }
      CHECK(r.state == chain_state::blocked);
      r.run_again();
      CHECK(r.state == chain_state::blocked);
      if (is_written) CHECK(parts_of_join(snapshot, true) == expected);
      snapshot = {};
      r.run_again();
      CHECK(r.state == chain_state::drained);
      if (expires) push(0, 10'000, is_written ? 105 : 205);
    }
}
