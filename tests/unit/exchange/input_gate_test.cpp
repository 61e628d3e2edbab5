// What a gate makes of the control elements of its channels.
#include <dataflow/exchange/input_gate.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <map>

using namespace dataflow;

namespace {

timestamp at(std::int64_t ms) { return timestamp{std::chrono::milliseconds{ms}}; }

/// A gate whose channels number their elements by themselves.
struct fed_gate {
  input_gate gate;
  std::map<std::uint32_t, std::uint64_t> sent;

  /// What comes out after one element: "watermark 5", "idle", "end of 1" ...
  std::string feed(std::uint32_t channel, element e) {
    gate.receive(channel, sent[channel]++, 0, std::move(e));
    std::string out;
    while (auto a = gate.next()) {
      if (!out.empty()) out += ", ";
      switch (a->what.kind) {
      case element_kind::watermark:
        out += a->what.time() == max_timestamp ? "watermark max" : "watermark " + std::to_string(a->what.value);
        break;
      case element_kind::idle:
        out += "idle";
        break;
      case element_kind::active:
        out += "active";
        break;
      case element_kind::end:
        out += "end of " + std::to_string(a->input);
        break;
      default:
        out += "?";
      }
    }
    return out;
  }
  std::string watermark(std::uint32_t channel, std::int64_t ms) { return feed(channel, element::watermark(at(ms))); }
  std::string control(std::uint32_t channel, element_kind kind) { return feed(channel, element::control(kind)); }
};

} // namespace

TEST_CASE("one input: the minimum of its channels, and the feedback channel does not count") {
  fed_gate g{input_gate{{{0, false}, {0, true}, {0, false}}}, {}};
  CHECK(g.watermark(0, 10) == "");
  CHECK(g.watermark(1, 1) == "");
  CHECK(g.watermark(2, 7) == "watermark 7");
  CHECK(g.control(2, element_kind::idle) == "watermark 10");
  CHECK(g.control(0, element_kind::idle) == "idle");
  CHECK(g.control(0, element_kind::active) == "active");
}

TEST_CASE("two inputs: an operator never sees a watermark that only one of them has reached") {
  fed_gate g{input_gate{{{0, false}, {0, false}, {1, false}}, 2}, {}};
  CHECK(g.watermark(0, 10) == "");
  CHECK(g.watermark(1, 20) == "");
  CHECK(g.watermark(2, 5) == "watermark 5");
  CHECK(g.watermark(2, 30) == "watermark 10");
  CHECK(g.control(2, element_kind::idle) == "");
  CHECK(g.watermark(0, 15) == "watermark 15");
  CHECK(g.control(0, element_kind::idle) == "watermark 20");
  CHECK(g.control(1, element_kind::idle) == "idle");
}

TEST_CASE("an ended channel holds nobody back, and ends are counted per input") {
  fed_gate g{input_gate{{{0, false}, {0, false}, {1, false}}, 2}, {}};
  CHECK(g.watermark(0, 10) == "");
  CHECK(g.watermark(2, 50) == "");
  CHECK(g.control(1, element_kind::end) == "watermark 10");
  CHECK(g.control(0, element_kind::end) == "watermark 50, end of 0");
  CHECK(g.control(2, element_kind::end) == "watermark max, end of 1");
  CHECK(g.gate.all_ended());
}

TEST_CASE("an idle channel that ends brings the last watermark") {
  fed_gate g{input_gate{{{0, false}}}, {}};
  CHECK(g.control(0, element_kind::idle) == "idle");
  CHECK(g.control(0, element_kind::end) == "active, watermark max, end of 0");
}

TEST_CASE("a lost element names the channel") {
  input_gate gate{{{0, false}}, 1, [](std::uint32_t) { return std::string{"map (1/2) -> sink (1/1)"}; }};
  gate.receive(0, 0, 0, element::watermark(at(1)));
  CHECK_THROWS_WITH_AS(gate.receive(0, 2, 0, element::watermark(at(2))), doctest::Contains("map (1/2) -> sink (1/1)"),
                       error);
}

TEST_CASE("an input gate knows which channel holds an input back") {
  input_gate gate{{{0}, {0}, {1}}, 2};
  auto put = [&, next = std::vector<std::uint64_t>(3)](std::uint32_t channel, element e) mutable {
    gate.receive(channel, next[channel]++, 0, std::move(e));
    while (gate.next()) {
    }
  };
  auto mark = [](std::int64_t t) { return element::watermark(timestamp{std::chrono::milliseconds{t}}); };
  put(0, mark(10));
  REQUIRE(gate.holding(0));
  CHECK(gate.holding(0)->channel == 1);
  CHECK(gate.holding(0)->watermark == min_timestamp);
  put(1, mark(20));
  CHECK(gate.holding(0)->channel == 0);
  CHECK(gate.holding(0)->watermark == timestamp{std::chrono::milliseconds{10}});
  CHECK(gate.holding(1)->channel == 2);
  put(0, element::control(element_kind::idle));
  CHECK(gate.holding(0)->channel == 1);
  put(1, element::control(element_kind::end));
  CHECK(gate.holding(0)->channel == 0); // idle, and the only one that is left
  CHECK(gate.holding(0)->idle);
  put(0, element::control(element_kind::end));
  CHECK_FALSE(gate.holding(0));
}

namespace {

/// A batch that can be told from others.
element numbered_batch(std::int64_t n) {
  batch_ptr b = batch_pool::make(record_type_of<std::int64_t>())->get();
  b.as<std::int64_t>().records.push_back(n);
  return element::of(std::move(b));
}
/// Everything that the gate gives now: numbers of batches, "|n" for barriers, "end".
std::string drained(input_gate& gate) {
  std::string out;
  while (auto a = gate.next()) {
    if (!out.empty()) out += ' ';
    if (a->what.is_batch())
      out += std::to_string(a->what.data.as<std::int64_t>().records[0]);
    else if (a->what.kind == element_kind::barrier)
      out += "|" + std::to_string(a->what.value);
    else if (a->what.kind == element_kind::end)
      out += "end";
    else
      out += "?";
  }
  return out;
}
element barrier_of(std::int64_t checkpoint, bool waits = true) { return element::barrier(checkpoint, waits, nullptr); }

} // namespace

TEST_CASE("what comes behind a barrier waits for the barriers of the other channels, and keeps its order") {
  fed_gate g{input_gate{{{0, false}, {0, false}}}, {}};
  auto arrive = [&](std::uint32_t channel, element e) { g.gate.receive(channel, g.sent[channel]++, 8, std::move(e)); };
  arrive(0, numbered_batch(1));
  arrive(0, barrier_of(1));
  arrive(0, numbered_batch(2));
  arrive(1, numbered_batch(3));
  arrive(0, numbered_batch(4));
  CHECK(drained(g.gate) == "1 3"); // 2 and 4 are held, and with them their credit
  CHECK(g.gate.aligning());
  CHECK(g.gate.queued() == 2);
  arrive(1, numbered_batch(5));
  arrive(1, barrier_of(1));
  arrive(1, numbered_batch(6));
  CHECK(drained(g.gate) == "5 |1 2 4 6");
  CHECK(g.gate.queued() == 0);
}

TEST_CASE("at least once: nothing waits") {
  fed_gate g{input_gate{{{0, false}, {0, false}}}, {}};
  auto arrive = [&](std::uint32_t channel, element e) { g.gate.receive(channel, g.sent[channel]++, 8, std::move(e)); };
  arrive(0, barrier_of(1, false));
  arrive(0, numbered_batch(2));
  arrive(1, numbered_batch(3));
  arrive(1, barrier_of(1, false));
  CHECK(drained(g.gate) == "2 3 |1");
}

TEST_CASE("an end lets a checkpoint pass, before the end of the input") {
  fed_gate g{input_gate{{{0, false}, {0, false}}}, {}};
  auto arrive = [&](std::uint32_t channel, element e) { g.gate.receive(channel, g.sent[channel]++, 8, std::move(e)); };
  arrive(0, barrier_of(1));
  arrive(0, element::control(element_kind::end));
  arrive(1, element::control(element_kind::end));
  CHECK(drained(g.gate) == "|1 ? end"); // the largest watermark comes with the end
  fed_gate late{input_gate{{{0, false}}}, {}};
  late.gate.expect_checkpoint(barrier_of(4));
  CHECK(drained(late.gate) == "");
  late.gate.receive(0, 0, 0, element::control(element_kind::end));
  CHECK(drained(late.gate) == "|4 ? end");
}

TEST_CASE("an aborted checkpoint lets go what it held; one that is overtaken is reported") {
  fed_gate g{input_gate{{{0, false}, {0, false}}}, {}};
  auto arrive = [&](std::uint32_t channel, element e) { g.gate.receive(channel, g.sent[channel]++, 8, std::move(e)); };
  arrive(0, barrier_of(1));
  arrive(0, numbered_batch(1));
  CHECK(drained(g.gate) == "");
  g.gate.abort_checkpoint(1);
  CHECK(drained(g.gate) == "1");
  CHECK(g.gate.take_given_up().empty()); // whoever aborted it knows
  arrive(0, barrier_of(2));
  arrive(0, numbered_batch(2));
  arrive(1, barrier_of(3));
  arrive(1, numbered_batch(3));
  CHECK(drained(g.gate) == "2");
  CHECK(g.gate.take_given_up() == std::vector<std::int64_t>{2});
  arrive(0, barrier_of(3));
  CHECK(drained(g.gate) == "|3 3");
}
