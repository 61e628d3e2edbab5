#include <dataflow/connectors/generator.hpp>
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/operators/assign_timestamps.hpp>
#include <dataflow/operators/filter.hpp>
#include <dataflow/operators/flat_map.hpp>
#include <dataflow/operators/map.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/task/subtask.hpp>

#include <doctest/doctest.h>

#include "tests/support/test_platform.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

struct host final : subtask_host {
  void send(std::uint32_t, std::uint32_t, std::uint64_t, std::uint64_t bytes, element e) override {
    sent_bytes += bytes;
    sent.push_back(std::move(e));
  }
  void grant(std::uint32_t, std::uint32_t batches, std::uint64_t bytes) override {
    granted += batches;
    granted_bytes += bytes;
  }
  void request_split() override { ++requests; }
  void report_result(std::uint64_t, std::string) override {}
  std::function<void()> wake_up() override {
    return [] {};
  }
  std::size_t records() const {
    std::size_t n = 0;
    for (auto& e : sent)
      if (e.is_batch()) n += e.data->size();
    return n;
  }
  std::vector<element> sent;
  std::uint64_t sent_bytes = 0, granted_bytes = 0;
  std::uint32_t granted = 0, requests = 0;
};

/// Takes virtual time for each record; may ask its task to stop at one of them.
class slow_sink final : public stream_operator {
public:
  slow_sink(test::manual_clock& clock, steady_time each, std::size_t& seen, std::function<void(std::size_t)> at = {})
      : clock_(clock), each_(each), seen_(seen), at_(std::move(at)) {}
  void process(unsigned, batch_slice& slice) override {
    slice.cursor = run_records<1>(
        context(), slice.cursor, slice.limit,
        [&](std::size_t) {
          clock_.advance(each_);
          ++seen_;
          if (at_) at_(seen_);
        },
        [](std::size_t) { detail::rethrow_record_error(); });
  }

private:
  test::manual_clock& clock_;
  const steady_time each_;
  std::size_t& seen_;
  std::function<void(std::size_t)> at_;
};

batch_ptr numbers(std::int64_t from, std::int64_t count) {
  batch_ptr b = batch_pool::make(record_type_of<std::int64_t>())->get();
  for (std::int64_t i = 0; i < count; ++i)
    b.as<std::int64_t>().records.push_back(from + i);
  return b;
}

stage_config stage(std::string name, operator_factory make) {
  stage_config s;
  s.name = std::move(name);
  s.uid = s.name;
  s.make = std::move(make);
  return s;
}

subtask_config one_input() {
  subtask_config c;
  c.info.task_name = "task";
  c.channels.push_back({0, false});
  c.names = [](std::uint32_t) { return std::string{"before -> task"}; };
  c.credit = {4, 4 << 20};
  return c;
}

/// Numbers go through it as they are.
void add_map(subtask_config& c) {
  auto f = [](std::int64_t x) { return x; };
  c.stages.push_back(
      stage("map", [f] { return std::make_unique<map_operator<std::int64_t, std::int64_t, decltype(f)>>(f); }));
}

auto multiply = [](std::int64_t x, collector<std::int64_t>& out) {
  for (int i = 0; i < 100'000; ++i)
    out.collect(x);
};
using multiplier = flat_map_operator<std::int64_t, std::int64_t, decltype(multiply)>;

template <class F>
void add_output(subtask_config& c, F change) {
  subtask_config::output o;
  o.stage = c.stages.size() - 1;
  o.type = &record_type_of<std::int64_t>();
  o.gate.initial_credit = {4, 4 << 20};
  change(o.gate);
  c.outputs.push_back(std::move(o));
}

} // namespace

TEST_CASE(
    "a record that becomes 100,000 in front of a sink of 1 ms a record: flat memory, and a stop after one record") {
  test::test_platform world;
  host to;
  task_metrics metrics;
  std::size_t seen = 0;
  subtask* running = nullptr;
  auto c = one_input();
  c.stages.push_back(stage("multiply", [] { return std::make_unique<multiplier>(multiply); }));
  c.stages.push_back(stage("sink", [&] {
    return std::make_unique<slow_sink>(world.time, 1ms, seen, [&](std::size_t n) {
      if (n == 5000) running->pause().store(true);
    });
  }));
  const auto before = batches_outstanding();
  subtask task{c, world, to, metrics};
  running = &task;
  task.open();
  for (std::uint64_t i = 0; i < 4; ++i)
    task.receive(0, i, 800, element::of(numbers(0, 100)));
  std::size_t most = 0, longest_step = 0;
  while (!task.pause().load()) {
    const auto at_start = seen;
    CHECK(task.step().what == step_result::kind::again);
    longest_step = std::max(longest_step, seen - at_start);
    most = std::max(most, batches_outstanding() - before);
  }
  CHECK(seen == 5000);       // not one record behind the one at which the stop was asked for
  CHECK(longest_step <= 64); // the first slice is a guess, later ones fit into the time of a step
  CHECK(most <= 4 + 100'000 / c.limits.records + 4); // what came in, and one record's results
  task.pause().store(false);
  CHECK(task.step().what == step_result::kind::again);
  CHECK(seen <= 5002); // by now the sink's speed is known
}

TEST_CASE("a source in front of an operator that always keeps up: a step ends in time all the same") {
  test::test_platform world;
  host to;
  task_metrics metrics;
  std::size_t seen = 0;
  auto same = [](std::int64_t i) { return i; };
  subtask_config c;
  c.inputs = 0;
  c.info.task_name = "Source";
  c.source = factories_of(generator_source{same, {.count = 1000}});
  c.limits.records = 2;
  c.stages.push_back(stage("Source", {}));
  c.stages.push_back(stage("sink", [&] { return std::make_unique<slow_sink>(world.time, 1ms, seen); }));
  subtask task{c, world, to, metrics};
  task.open();
  task.add_splits({{"0", dataflow::detail::index_split{"0", 0, 1000, 1}.encode()}});
  CHECK(task.step().what == step_result::kind::again);
  CHECK(seen <= 4);
  while (seen < 100)
    task.step();
  CHECK(seen <= 104);
}

TEST_CASE("a source without credit stops polling: memory stays flat whatever it could produce") {
  test::test_platform world;
  host to;
  task_metrics metrics;
  auto forever = [](std::int64_t i) { return i; };
  subtask_config c;
  c.inputs = 0;
  c.info.task_name = "Source";
  c.source = factories_of(generator_source{forever});
  c.stages.push_back(stage("Source", {}));
  add_output(c, [](output_gate_config&) {});
  subtask task{c, world, to, metrics};
  task.open();
  REQUIRE(to.requests == 1);
  // The enumerator's side, as the job master would do it.
  struct assigning final : enumerator_context {
    explicit assigning(subtask& reader, dataflow::platform& outside) : task(reader), world(outside) {}
    std::uint32_t parallelism() const noexcept override { return 1; }
    void assign(std::uint32_t, source_split s) override { task.add_splits({std::move(s)}); }
    void no_more_splits(std::uint32_t) override { task.no_more_splits(); }
    dataflow::platform& platform() noexcept override { return world; }
    subtask& task;
    dataflow::platform& world;
  } enumerator{task, world};
  auto splits = c.source->make_enumerator();
  splits->start(enumerator);
  splits->split_requested(enumerator, 0);

  auto run = [&] {
    for (int i = 0; i < 1000; ++i) {
      world.time.advance(10us);
      if (auto r = task.step(); r.what != step_result::kind::again) return r.what;
    }
    return step_result::kind::again;
  };
  CHECK(run() == step_result::kind::wait_credit);
  const auto sent = to.sent.size();
  CHECK(sent == 4);
  CHECK(run() == step_result::kind::wait_credit);
  CHECK(to.sent.size() == sent); // nothing moves without credit
  task.credit(0, 0, 2, 2 * batch_limits{}.records * 8);
  CHECK(run() == step_result::kind::wait_credit);
  CHECK(to.sent.size() == sent + 2);
  world.time.advance(1s);
  task.credit(0, 0, 1, batch_limits{}.records * 8);
  CHECK(run() == step_result::kind::wait_credit);
  CHECK(metrics.backpressured_ns.value() >= 1'000'000'000); // the second without credit
  CHECK(metrics.output_queue.value() > 0);
  CHECK(metrics.records_out.value() == (sent + 3 + metrics.output_queue.value()) * batch_limits{}.records);
}

TEST_CASE("a source whose records are all filtered out goes no further ahead of its watermarks' reader than credit") {
  test::test_platform world;
  host to;
  task_metrics metrics;
  auto forever = [](std::int64_t i) { return i; };
  auto strategy = watermark_strategy<std::int64_t>::punctuated(
      [](const std::int64_t& i, timestamp) { return std::optional{timestamp{std::chrono::milliseconds{i}}}; });
  subtask_config c;
  c.inputs = 0;
  c.info.task_name = "Source";
  c.source = factories_of(generator_source{forever, {.count = 1'000'000}});
  c.stages.push_back(stage("Source", {}));
  c.stages.push_back(stage("times", [=] {
    return std::make_unique<timestamps_and_watermarks_operator<std::int64_t>>(
        strategy.with_timestamp([](const std::int64_t& i) { return i; }));
  }));
  auto none = [](std::int64_t) { return false; };
  c.stages.push_back(
      stage("filter", [none] { return std::make_unique<filter_operator<std::int64_t, decltype(none)>>(none); }));
  c.stages.back().parent = 1;
  add_output(c, [](output_gate_config& g) { g.initial_credit = {4, 256 * 1024}; });
  subtask task{c, world, to, metrics};
  task.open();
  task.add_splits({{"0", dataflow::detail::index_split{"0", 0, 1'000'000, 1}.encode()}});
  const auto run = [&] {
    for (int i = 0; i < 10'000; ++i) {
      world.time.advance(10us);
      if (auto r = task.step(); r.what != step_result::kind::again) return r.what;
    }
    return step_result::kind::again;
  };
  CHECK(run() == step_result::kind::wait_credit);
  CHECK(to.sent.size() == 256);
  CHECK(metrics.output_queue.value() <= batch_limits{}.records); // those of one step
  CHECK(task.records_read() <= 256 + 2 * batch_limits{}.records);
  task.credit(0, 0, 0, 100 * 1024);
  CHECK(run() == step_result::kind::wait_credit);
  CHECK(to.sent.size() == 356);
  for (std::size_t i = 1; i < to.sent.size(); ++i)
    CHECK(to.sent[i].value == to.sent[i - 1].value + 1); // none is left out
}

TEST_CASE("what a task has read of watermarks is granted again, also while nothing else comes") {
  test::test_platform world;
  host to;
  task_metrics metrics;
  auto c = one_input();
  add_map(c);
  add_output(c, [](output_gate_config& g) { g.initial_credit.bytes = 1 << 30; });
  subtask task{c, world, to, metrics};
  task.open();
  std::uint64_t sent = 0;
  for (; sent < 5000; ++sent)
    task.receive(0, sent, 1024, element::watermark(timestamp{std::chrono::milliseconds{sent}}));
  while (task.step().what == step_result::kind::again) {
  }
  CHECK(to.granted_bytes == sent * 1024);
  CHECK(to.granted == 0);
}

TEST_CASE("a partial batch leaves when the buffer timeout has passed, at once with 0, only full with -1") {
  auto run = [](std::chrono::milliseconds timeout, steady_time& at) {
    test::test_platform world;
    host to;
    task_metrics metrics;
    auto c = one_input();
    c.buffer_timeout = timeout;
    add_map(c);
    add_output(c, [](output_gate_config&) {});
    subtask task{c, world, to, metrics};
    task.open();
    task.receive(0, 0, 24, element::of(numbers(1, 3)));
    at = task.step().at;
    const auto first = to.records();
    world.time.advance(200ms);
    task.step();
    return std::pair{first, to.records()};
  };
  steady_time at{};
  CHECK(run(0ms, at) == std::pair<std::size_t, std::size_t>{3, 3});
  CHECK(run(100ms, at) == std::pair<std::size_t, std::size_t>{0, 3});
  CHECK(at == steady_time{100ms});
  CHECK(run(-1ms, at) == std::pair<std::size_t, std::size_t>{0, 0});
  CHECK(at == step_result::never);
}

TEST_CASE("a task ends when its end has passed: everything is flushed, the end goes on, consumed credit goes back") {
  test::test_platform world;
  host to;
  task_metrics metrics;
  auto c = one_input();
  add_map(c);
  add_output(c, [](output_gate_config&) {});
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 24, element::of(numbers(1, 3)));
  task.receive(0, 1, 0, element::watermark(max_timestamp));
  task.receive(0, 2, 0, element::control(element_kind::end));
  CHECK(task.step().what == step_result::kind::finished);
  REQUIRE(to.sent.size() == 3);
  CHECK(to.sent[0].data->size() == 3);
  CHECK(to.sent[1].kind == element_kind::watermark);
  CHECK(to.sent[2].kind == element_kind::end);
  CHECK(to.granted == 1);
  CHECK(metrics.records_in.value() == 3);
  CHECK(metrics.records_out.value() == 3);
}

TEST_CASE("a gap in a channel is an error that names the channel") {
  test::test_platform world;
  host to;
  task_metrics metrics;
  auto c = one_input();
  std::size_t seen = 0;
  c.stages.push_back(stage("sink", [&] { return std::make_unique<slow_sink>(world.time, 0ms, seen); }));
  subtask task{c, world, to, metrics};
  task.open();
  task.receive(0, 0, 8, element::of(numbers(1, 1)));
  try {
    task.receive(0, 2, 8, element::of(numbers(2, 1)));
    FAIL("the gap was not noticed");
  } catch (const error& e) {
    CHECK(e.code() == errc::channel_gap);
    CHECK(e.cause().find("before -> task") != std::string::npos);
  }
}
