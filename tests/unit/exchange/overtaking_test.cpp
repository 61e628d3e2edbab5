// Barriers that overtake: what they leave behind at either end of an edge, and when.
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/exchange/input_gate.hpp>
#include <dataflow/exchange/output_gate.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/support/effort.hpp"

using namespace dataflow;

namespace overtaking_test {

element numbered(std::int64_t n) {
  batch_ptr b = batch_pool::make(record_type_of<std::int64_t>())->get();
  b.as<std::int64_t>().records.push_back(n);
  return element::of(std::move(b));
}
element overtaking(std::int64_t checkpoint) {
  return element::barrier(checkpoint, true, std::make_shared<checkpoint_options>());
}
std::string text_of(const batch_ptr& b) {
  std::string text;
  for (auto n : b.as<std::int64_t>().records)
    text += std::to_string(n) + " ";
  return text;
}
/// "0: 5 6 , 2: 7 ": channels with something.
std::string text_of(const std::vector<overtaken_batches>& all) {
  std::string text;
  for (auto& o : all) {
    if (o.batches.empty()) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(o.channel) + ": ";
    for (auto& b : o.batches)
      text += text_of(b);
  }
  return text;
}

std::vector<input_channel> overtaken_channels(std::size_t n, std::size_t aligned = 0) {
  std::vector<input_channel> channels(n);
  for (std::size_t c = aligned; c < n; ++c)
    channels[c].overtakes = true;
  return channels;
}

struct fed_channels {
  input_gate gate;
  std::map<std::uint32_t, std::uint64_t> sent;
  void feed(std::uint32_t channel, element e) { gate.receive(channel, sent[channel]++, 0, std::move(e)); }
  /// What the operator gets: "5 |1 end".
  std::string taken() {
    std::string text;
    while (auto a = gate.next())
      text += a->what.is_batch()                      ? text_of(a->what.data)
              : a->what.kind == element_kind::barrier ? "|" + std::to_string(a->what.value) + " "
              : a->what.kind == element_kind::end     ? "end "
                                                      : "";
    return text;
  }
};

struct sent_to_channels final : element_sender {
  void send(std::uint32_t, std::uint32_t channel, std::uint64_t sequence, std::uint64_t, element e) override {
    CHECK(sequence == next[channel]++);
    text[channel] +=
        e.is_batch() ? text_of(e.data) : (e.kind == element_kind::barrier ? "|" : "w") + std::to_string(e.value) + " ";
  }
  std::map<std::uint32_t, std::uint64_t> next;
  std::map<std::uint32_t, std::string> text;
};

output_gate_config gate_with_credit(std::uint32_t channels, std::int64_t batches) {
  output_gate_config c;
  c.kind = partitioning_kind::rebalance;
  c.channels = channels;
  c.overtakes = true;
  c.limits.records = 1;
  c.initial_credit = {batches, 1 << 20};
  return c;
}

} // namespace overtaking_test

using namespace overtaking_test;

TEST_CASE("a barrier overtakes what is queued: it is recorded, and so is what comes before the other barriers") {
  fed_channels g{input_gate{overtaken_channels(3)}, {}};
  CHECK(g.gate.waiting_barrier() == nullptr);
  g.feed(0, numbered(1));
  g.feed(1, numbered(2));
  g.feed(0, overtaking(7));
  g.feed(0, numbered(3)); // behind the barrier
  g.feed(2, numbered(4));
  REQUIRE(g.gate.waiting_barrier() != nullptr);
  CHECK(g.gate.waiting_barrier()->value == 7);
  REQUIRE(g.gate.may_overtake());
  CHECK(g.gate.overtake().value == 7);
  CHECK(g.gate.waiting_barrier() == nullptr);
  CHECK(g.gate.recording());
  CHECK(g.taken() == "1 2 3 4 "); // nobody waits, and the barrier does not come again
  g.feed(1, numbered(5));
  g.feed(0, numbered(6));
  g.feed(1, overtaking(7));
  g.feed(1, numbered(8));
  CHECK(g.gate.recording());
  g.feed(2, element::control(element_kind::end)); // as good as a barrier
  CHECK_FALSE(g.gate.recording());
  CHECK(text_of(g.gate.take_overtaken()) == "0: 1 , 1: 2 5 , 2: 4 ");
  CHECK(g.taken() == "5 6 8 ");
  CHECK(g.gate.take_given_up().empty());
}

TEST_CASE("a barrier that has begun to align overtakes what it waits for, and lets go what waits for it") {
  fed_channels g{input_gate{overtaken_channels(2)}, {}};
  g.feed(0, overtaking(1));
  g.feed(0, numbered(1));
  CHECK(g.taken() == "");
  g.feed(1, numbered(2));
  g.gate.overtake();
  CHECK(g.taken() == "1 2 ");
  g.feed(1, overtaking(1));
  CHECK_FALSE(g.gate.recording());
  CHECK(text_of(g.gate.take_overtaken()) == "1: 2 ");
}

TEST_CASE(
    "a barrier cannot overtake on channels that are aligned: it waits for theirs, and nothing of them is recorded") {
  fed_channels g{input_gate{overtaken_channels(3, 1)}, {}};
  g.feed(1, overtaking(1));
  g.feed(2, numbered(1));
  g.feed(0, numbered(2));
  CHECK_FALSE(g.gate.may_overtake());
  g.feed(0, overtaking(1));
  CHECK_FALSE(g.gate.may_overtake()); // what is before it has to be processed
  CHECK(g.taken() == "1 2 ");
  g.feed(2, numbered(3));
  g.feed(0, numbered(4)); // waits for the others
  CHECK(g.gate.may_overtake());
  g.gate.overtake();
  g.feed(2, overtaking(1));
  CHECK(text_of(g.gate.take_overtaken()) == "2: 3 ");
  CHECK(g.taken() == "3 4 ");
}

TEST_CASE("a barrier that all channels have delivered, and the operator has not got, overtakes without a trace") {
  fed_channels g{input_gate{overtaken_channels(2)}, {}};
  g.feed(0, overtaking(1));
  g.feed(1, overtaking(1));
  CHECK(g.gate.overtake().value == 1);
  CHECK_FALSE(g.gate.recording());
  CHECK(text_of(g.gate.take_overtaken()) == "");
  CHECK(g.taken() == "");
}

TEST_CASE("a checkpoint that was aborted or skipped is recorded no more") {
  fed_channels g{input_gate{overtaken_channels(2)}, {}};
  g.feed(0, overtaking(1));
  g.gate.abort_checkpoint(1);
  CHECK(g.gate.waiting_barrier() == nullptr);
  g.feed(1, overtaking(1)); // it is over
  CHECK(g.gate.waiting_barrier() == nullptr);

  g.feed(0, overtaking(2));
  g.gate.overtake();
  g.feed(1, numbered(1));
  g.gate.abort_checkpoint(2);
  CHECK_FALSE(g.gate.recording());
  CHECK(text_of(g.gate.take_overtaken()) == "");

  g.feed(1, overtaking(2));
  g.feed(0, overtaking(3));
  g.gate.overtake();
  g.feed(1, overtaking(4)); // its sender has given checkpoint 3 up
  CHECK_FALSE(g.gate.recording());
  CHECK(g.gate.take_given_up() == std::vector<std::int64_t>{3});
  CHECK(g.gate.waiting_barrier()->value == 4);
  CHECK(g.taken() == "1 ");
}

TEST_CASE("behind producers that have finished a barrier overtakes up to their ends") {
  fed_channels g{input_gate{overtaken_channels(1)}, {}};
  g.feed(0, numbered(1));
  g.gate.expect_checkpoint(overtaking(1));
  REQUIRE(g.gate.may_overtake());
  g.gate.overtake();
  CHECK(g.gate.recording());
  g.feed(0, numbered(2));
  g.feed(0, element::control(element_kind::end));
  CHECK_FALSE(g.gate.recording());
  CHECK(text_of(g.gate.take_overtaken()) == "0: 1 2 ");
  CHECK(g.taken() == "1 2 end ");
}

TEST_CASE("a barrier goes ahead of output that waits for credit, which is recorded and sent behind it") {
  sent_to_channels to;
  output_gate gate{gate_with_credit(2, 1), batch_pool::make(record_type_of<std::int64_t>()), to};
  for (std::int64_t n = 0; n < 5; ++n)
    gate.push(numbered(n).data);
  CHECK(to.text[0] == "0 ");
  CHECK(to.text[1] == "1 ");
  gate.push_control(element::watermark(timestamp{std::chrono::milliseconds{9}}));
  gate.let_overtake(3);
  gate.push_control(overtaking(3));
  CHECK(to.text[0] == "0 |3 ");
  CHECK(to.text[1] == "1 |3 ");
  CHECK_FALSE(gate.holds_barrier(3));
  CHECK(text_of(gate.take_overtaken()) == "0: 2 4 , 1: 3 ");
  CHECK_FALSE(gate.writable());
  gate.grant(0, 10, 1000);
  gate.grant(1, 10, 1000);
  CHECK(to.text[0] == "0 |3 2 4 w9 ");
  CHECK(to.text[1] == "1 |3 3 w9 ");
  CHECK(gate.writable());
  CHECK(gate.queued() == 0);
}

TEST_CASE("a barrier that waits for credit overtakes later, and those before it that were given up are dropped") {
  sent_to_channels to;
  output_gate gate{gate_with_credit(1, 0), batch_pool::make(record_type_of<std::int64_t>()), to};
  gate.push(numbered(1).data);
  gate.push_control(overtaking(1));
  gate.push(numbered(2).data);
  gate.push_control(overtaking(2));
  gate.push(numbered(3).data);
  CHECK(gate.holds_barrier(2));
  CHECK(to.text[0] == "");
  gate.let_overtake(2);
  CHECK(to.text[0] == "|2 ");
  CHECK_FALSE(gate.holds_barrier(1));
  CHECK(text_of(gate.take_overtaken()) == "0: 1 2 "); // what came behind it is no part of it
  gate.grant(0, 10, 1000);
  CHECK(to.text[0] == "|2 1 2 3 ");
  CHECK(gate.queued() == 0);
}

TEST_CASE("on edges where barriers do not overtake they wait for their turn") {
  sent_to_channels to;
  auto config = gate_with_credit(1, 0);
  config.overtakes = false;
  output_gate gate{config, batch_pool::make(record_type_of<std::int64_t>()), to};
  gate.push(numbered(1).data);
  gate.let_overtake(1);
  gate.push_control(overtaking(1));
  CHECK(to.text[0] == "");
  CHECK_FALSE(gate.holds_barrier(1)); // nobody waits for it
  gate.grant(0, 10, 1000);
  CHECK(to.text[0] == "1 |1 ");
  CHECK(gate.take_overtaken().empty());
}

// A sender with any credit, a receiver that takes elements at any moment: what the receiver had processed at its
// barrier, what it recorded, and what the sender recorded, are together what was sent before the sender's barrier.
TEST_CASE("whatever the moment, every record is in a checkpoint once: processed, received or sent") {
  for (std::uint64_t seed = 0; seed < test::rounds(300); ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    const auto senders = 1 + static_cast<std::uint32_t>(random.below(3));
    struct wire final : element_sender {
      std::vector<std::pair<std::uint64_t, element>> under_way;
      void send(std::uint32_t, std::uint32_t, std::uint64_t sequence, std::uint64_t, element e) override {
        under_way.emplace_back(sequence, std::move(e));
      }
    };
    std::vector<wire> wires(senders);
    std::vector<std::unique_ptr<output_gate>> outs;
    auto pool = batch_pool::make(record_type_of<std::int64_t>());
    for (auto& w : wires)
      outs.push_back(std::make_unique<output_gate>(gate_with_credit(1, 2), pool, w));
    input_gate in{overtaken_channels(senders)};
    std::multiset<std::int64_t> before, processed, recorded;
    std::vector<bool> passed(senders, false);
    bool taken = false;
    std::int64_t n = 0;
    const bool late = random.below(2) == 0; // barriers wait for their turn first
    for (int round = 0; round < 400; ++round) {
      const auto s = static_cast<std::uint32_t>(random.below(senders));
      switch (random.below(6)) {
      case 0:
      case 1:
        if (outs[s]->writable()) {
          if (!passed[s]) before.insert(n);
          outs[s]->push(numbered(n++).data);
        }
        break;
      case 2:
        if (passed[s] || round < 100) break;
        passed[s] = true;
        if (!late) outs[s]->let_overtake(1);
        outs[s]->push_control(overtaking(1));
        break;
      case 3:
        if (wires[s].under_way.empty()) break;
        in.receive(s, wires[s].under_way.front().first, 8, std::move(wires[s].under_way.front().second));
        wires[s].under_way.erase(wires[s].under_way.begin());
        break;
      case 4:
        if (auto a = in.next()) {
          if (a->what.is_batch()) {
            if (!taken) processed.insert(a->what.data.as<std::int64_t>().records[0]);
            outs[a->channel]->grant(0, 1, a->bytes);
          } else {
            taken = true;
          }
        }
        break;
      default:
        if (in.waiting_barrier() && !taken && random.below(4) == 0) {
          in.overtake();
          taken = true;
        }
        for (auto& o : outs)
          if (late && round > 200) o->let_overtake(1);
      }
    }
    for (std::uint32_t s = 0; s < senders; ++s) {
      if (!passed[s]) {
        outs[s]->let_overtake(1);
        outs[s]->push_control(overtaking(1));
      }
      outs[s]->let_overtake(1);
      for (auto& [sequence, e] : wires[s].under_way)
        in.receive(s, sequence, 8, std::move(e));
    }
    if (!taken) in.overtake();
    REQUIRE_FALSE(in.recording());
    const auto add = [&](const std::vector<overtaken_batches>& all) {
      for (auto& o : all)
        for (auto& b : o.batches)
          recorded.insert(b.as<std::int64_t>().records[0]);
    };
    add(in.take_overtaken());
    for (auto& o : outs) {
      REQUIRE_FALSE(o->holds_barrier(1));
      add(o->take_overtaken());
    }
    recorded.insert(processed.begin(), processed.end());
    REQUIRE(recorded == before);
  }
}
