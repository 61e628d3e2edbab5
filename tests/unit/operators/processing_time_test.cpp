// How operators are called at a wall time, and how idleness and snapshots pass through a chain.
#include <dataflow/record/record_type.hpp>

#include <doctest/doctest.h>

#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

/// Asks to be called `step` ms after each call, `times` times; emits the time of each call. Yields once per call.
class ticker final : public stream_operator {
public:
  ticker(std::int64_t step, int times) : step_(step), left_(times) {}
  void process(unsigned, batch_slice& slice) override {
    slice.cursor = slice.limit;
    context().wake_at(context().clock().wall() + std::chrono::milliseconds{step_});
    context().wake_at(std::chrono::milliseconds{1'000'000}); // the earlier one counts
  }
  progress advance_processing_time(std::chrono::milliseconds now) override {
    if (!yielded_) {
      yielded_ = true;
      return progress::yielded;
    }
    yielded_ = false;
    auto b = context().pool(record_type_of<std::int64_t>())->get();
    b.as<std::int64_t>().records.push_back(now.count());
    emit(std::move(b));
    if (--left_ > 0) context().wake_at(now + std::chrono::milliseconds{step_});
    return progress::done;
  }

private:
  std::int64_t step_;
  int left_;
  bool yielded_ = false;
};

class counter_state final : public declared_state {
public:
  state_info info() const override { return {"count", state_kind::list, "int64"}; }
  void snapshot(state_writer& out) const override { out.part().fixed(value); }
  void restore(const state_part& part) override { value += byte_reader{part.bytes}.fixed<std::int64_t>(); }
  std::int64_t value = 0;
};

class counting final : public stream_operator {
public:
  void open(operator_context& context) override {
    stream_operator::open(context);
    context.states().declare(count_);
  }
  void process(unsigned, batch_slice& slice) override {
    auto b = context().pool(record_type_of<std::int64_t>())->get();
    for (; slice.cursor < slice.limit; ++slice.cursor)
      b.as<std::int64_t>().records.push_back(++count_.value);
    emit(std::move(b));
  }

private:
  counter_state count_;
};

} // namespace

TEST_CASE("an operator is called when wall time reaches what it asked for, once per request") {
  operator_runner r{[] { return std::make_unique<ticker>(10, 3); }};
  auto& out = r.capture<std::int64_t>();
  r.set_time(100);
  CHECK(out.empty()); // nobody asked yet
  r.push<std::int64_t>({1});
  r.set_time(109);
  CHECK(out.empty());
  r.set_time(110);
  CHECK(values_of(out) == std::vector<std::int64_t>{110});
  r.set_time(170); // late: one call for the time that has come
  CHECK(values_of(out) == std::vector<std::int64_t>{110, 170});
  r.set_time(180);
  r.set_time(500);
  CHECK(values_of(out) == std::vector<std::int64_t>{110, 170, 180});
}

TEST_CASE("no call comes any more once the end has passed") {
  operator_runner r{[] { return std::make_unique<ticker>(10, 3); }};
  auto& out = r.capture<std::int64_t>();
  r.push<std::int64_t>({1});
  r.end();
  r.set_time(1000);
  CHECK(out.empty());
}

TEST_CASE("idleness passes through operators that do not care, in order with the rest") {
  operator_runner r{[] { return std::make_unique<counting>(); }};
  r.capture<std::int64_t>();
  r.push<std::int64_t>({1, 1});
  r.watermark(5);
  r.push(element::control(element_kind::idle));
  r.push(element::control(element_kind::active));
  REQUIRE(r.controls.size() == 3);
  CHECK(r.controls[0].kind == element_kind::watermark);
  CHECK(r.controls[0].value == 5);
  CHECK(r.controls[0].records_before == 2);
  CHECK(r.controls[1].kind == element_kind::idle);
  CHECK(r.controls[2].kind == element_kind::active);
}

TEST_CASE("an operator goes on from a snapshot of what it has declared") {
  operator_runner r{[] { return std::make_unique<counting>(); }};
  auto& out = r.capture<std::int64_t>();
  r.push<std::int64_t>({1, 1});
  r.restart();
  r.push<std::int64_t>({1});
  CHECK(values_of(out) == std::vector<std::int64_t>{1, 2, 3});
}
