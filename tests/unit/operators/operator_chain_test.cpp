// A chain on its own: it stops anywhere and goes on without loss, waits for credit, feeds side outputs, and applies
// record-error policies stage by stage.
#include <dataflow/operators/filter.hpp>
#include <dataflow/operators/flat_map.hpp>
#include <dataflow/operators/map.hpp>
#include <dataflow/operators/operator_chain.hpp>
#include <dataflow/operators/process.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using numbers = std::vector<std::int64_t>;

namespace {

/// Everything around a chain: a clock that ticks when it is read, gates that keep what they get.
class chain_double final : chain_host, element_sender {
public:
  ~chain_double() override { chain.reset(); }
  stage_config& stage(std::string name, operator_factory make, std::size_t parent = 0, std::uint64_t side = 0) {
    stage_config s;
    s.name = s.uid = std::move(name);
    s.make = std::move(make);
    s.parent = parent;
    s.side = side;
    stages_.push_back(std::move(s));
    return stages_.back();
  }
  /// An output of a stage; its elements are kept under the order of the calls.
  void gate(std::size_t at, std::uint64_t side = 0, channel_credit credit = {1 << 20, 1 << 30}) {
    output_gate_config c;
    c.index = static_cast<std::uint32_t>(gates_.size());
    c.limits = limits;
    c.initial_credit = credit;
    gates_.push_back(
        std::make_unique<output_gate>(c, pool(record_type_of<std::int64_t>()), static_cast<element_sender&>(*this)));
    outputs_.push_back({gates_.back().get(), at, side});
    sent.emplace_back();
    controls.emplace_back();
  }
  operator_chain& open() {
    subtask_info info{"job", std::string(32, '0'), "the task", 1, 4, 128, 2};
    chain =
        std::make_unique<operator_chain>(info, stages_, outputs_, limits, 1u, pause, static_cast<chain_host&>(*this));
    chain->open();
    return *chain;
  }
  void feed(numbers records) {
    auto b = pool(record_type_of<std::int64_t>())->get();
    for (auto r : records)
      b.as<std::int64_t>().records.push_back(r);
    chain->feed(0, element::of(std::move(b)));
  }
  void feed_end() { chain->feed(0, element::control(element_kind::end)); }
  /// Until nothing is left to do, taking back every pause; counts the calls.
  chain_state run() {
    for (;;) {
      ++runs;
      pause = false;
      const auto state = chain->run(deadline);
      if (state != chain_state::yielded) {
        for (auto& g : gates_)
          g->flush();
        return state;
      }
    }
  }
  void grant(std::uint32_t gate) { gates_[gate]->grant(0, 1, 1 << 20); }

  batch_limits limits;
  std::atomic<bool> pause{false};
  steady_time deadline = steady_time::max(), tick{0};
  std::size_t runs = 0;
  std::vector<numbers> sent;                       ///< by gate
  std::vector<std::vector<element_kind>> controls; ///< by gate
  std::map<std::string, accumulator> counters;     ///< "stage name"
  std::unique_ptr<operator_chain> chain;

private:
  struct ticking final : dataflow::clock {
    steady_time now() const noexcept override { return at += owner->tick; }
    std::chrono::milliseconds wall() const noexcept override { return 0ms; }
    mutable steady_time at{0};
    chain_double* owner = nullptr;
  };
  const dataflow::clock& clock() const noexcept override { return clock_; }
  dataflow::platform& platform() noexcept override { return world_; }
  batch_pool::handle pool(const record_type& type) override { return batch_pool::make(type); }
  accumulator& accumulator_of(std::string_view name) override { return counters[std::string{name}]; }
  accumulator& counter(std::size_t stage, std::string_view name) override {
    return counters[stages_[stage].name + "." + std::string{name}];
  }
  void report_result(std::uint64_t, std::string) override {}
  void send(std::uint32_t gate, std::uint32_t, std::uint64_t, std::uint64_t, element e) override {
    if (!e.is_batch()) return controls[gate].push_back(e.kind);
    for (auto r : e.data.as<std::int64_t>().records)
      sent[gate].push_back(r);
  }

  test::test_platform world_;
  ticking clock_ = [this] {
    ticking t;
    t.owner = this;
    return t;
  }();
  std::vector<stage_config> stages_;
  std::vector<chain_output> outputs_;
  std::vector<std::unique_ptr<output_gate>> gates_;
};

template <class F>
operator_factory map_of(F f) {
  return [f] { return std::make_unique<map_operator<std::int64_t, std::int64_t, F>>(f); };
}
template <class F>
operator_factory filter_of(F f) {
  return [f] { return std::make_unique<filter_operator<std::int64_t, F>>(f); };
}
template <class F>
operator_factory flat_map_of(F f) {
  return [f] { return std::make_unique<flat_map_operator<std::int64_t, std::int64_t, F>>(f); };
}

const auto same = [](const std::int64_t& x) { return x; };

/// Each record n becomes n times n.
const auto repeat = [](const std::int64_t& n, collector<std::int64_t>& out) {
  for (std::int64_t i = 0; i < n; ++i)
    out.collect(n);
};

numbers repeated(std::int64_t to) {
  numbers all;
  for (std::int64_t n = 1; n <= to; ++n)
    for (std::int64_t i = 0; i < n; ++i)
      if (n % 3 != 0) all.push_back(-n);
  return all;
}

numbers up_to(std::int64_t n) {
  numbers all;
  for (std::int64_t i = 1; i <= n; ++i)
    all.push_back(i);
  return all;
}

std::string cause_of(chain_double& d) {
  try {
    d.run();
  } catch (const error& e) {
    return e.cause();
  }
  return "no error";
}

} // namespace

TEST_CASE("a chain that is asked to stop at every record, in whatever stage, goes on without loss or repetition") {
  for (const int stopping : {0, 1, 2, 3}) {
    CAPTURE(stopping);
    chain_double d;
    d.limits.records = 8;
    const auto stop = [&d, stopping](int stage) {
      if (stage == stopping) d.pause = true;
    };
    d.stage("repeat", flat_map_of([stop](const std::int64_t& n, collector<std::int64_t>& out) {
              stop(0);
              repeat(n, out);
            }));
    d.stage("filter", filter_of([stop](const std::int64_t& n) {
              stop(1);
              return n % 3 != 0;
            }));
    d.stage("map", map_of([stop](const std::int64_t& n) {
              stop(2);
              return -n;
            }),
            1);
    d.gate(2);
    d.open();
    d.feed(up_to(20));
    d.feed_end();
    CHECK(d.run() == chain_state::drained);
    CHECK(d.chain->finished());
    CHECK(d.sent[0] == repeated(20));
    CHECK(d.controls[0] == std::vector{element_kind::end});
    CHECK((stopping == 3 || d.runs >= 20 / 8)); // at least once a batch
  }
}

TEST_CASE("a chain whose time is up after every call yields, and goes on where it was") {
  chain_double d;
  d.tick = 1us; // each look at the clock
  d.deadline = 1us;
  d.stage("repeat", flat_map_of(repeat));
  d.stage("filter", filter_of([](const std::int64_t& n) { return n % 3 != 0; }));
  d.stage("map", map_of([](const std::int64_t& n) { return -n; }), 1);
  d.gate(2);
  d.open();
  d.feed(up_to(200));
  d.feed(up_to(20));
  d.feed_end();
  CHECK(d.run() == chain_state::drained);
  auto expected = repeated(200);
  for (auto n : repeated(20))
    expected.push_back(n);
  CHECK(d.sent[0] == expected);
  CHECK(d.runs > 5);
}

TEST_CASE("without credit a chain takes no more input: what lies in it is bounded by one call's output") {
  chain_double d;
  d.limits.records = 10;
  std::int64_t calls = 0;
  d.stage("repeat", flat_map_of([&calls](const std::int64_t& n, collector<std::int64_t>& out) {
            ++calls;
            for (std::int64_t i = 0; i < 10; ++i)
              out.collect(n);
          }));
  d.stage("map", map_of(same));
  d.gate(1, 0, {1, 1 << 20});
  d.open();
  d.feed(up_to(1000));
  CHECK(d.run() == chain_state::blocked);
  CHECK(d.sent[0].size() == 10);
  const auto before = calls;
  CHECK(before < 10);
  for (int i = 0; i < 5; ++i)
    CHECK(d.run() == chain_state::blocked); // and does nothing
  CHECK(calls == before);
  for (int i = 0; i < 2000 && d.sent[0].size() < 10'000; ++i) {
    d.grant(0);
    d.run();
  }
  CHECK(d.sent[0].size() == 10'000);
  CHECK(calls == 1000);
  CHECK(d.run() == chain_state::drained);
}

TEST_CASE("one output without credit holds up the others, which lose nothing") {
  chain_double d;
  d.limits.records = 1;
  d.stage("map", map_of(same));
  d.gate(0, 0, {2, 1 << 20});
  d.gate(0);
  d.open();
  for (std::int64_t i = 0; i < 5; ++i)
    d.feed({i});
  CHECK(d.run() == chain_state::blocked);
  CHECK(d.sent[0] == numbers{0, 1});
  CHECK(d.sent[1] == numbers{0, 1, 2}); // the third waits in the first gate
  for (int i = 0; i < 3; ++i) {
    d.grant(0);
    d.run();
  }
  CHECK(d.sent[0] == numbers{0, 1, 2, 3, 4});
  CHECK(d.sent[1] == d.sent[0]);
}

TEST_CASE("a side output feeds stages and gates of its own; control elements reach all of them") {
  const output_tag<std::int64_t> odd{"odd"}, unread{"unread"};
  const auto split = [odd, unread](const std::int64_t& n, auto& context, collector<std::int64_t>& out) {
    if (n % 2 != 0)
      context.output(odd, n);
    else
      out.collect(n);
    context.output(unread, n);
  };
  using splitter = process_operator<std::int64_t, std::int64_t, decltype(split)>;
  chain_double d;
  d.stage("split", [split] { return std::make_unique<splitter>(no_key{}, std::forward_as_tuple(split)); });
  d.stage("ten times", map_of([](const std::int64_t& n) { return 10 * n; }), 0, odd.id());
  d.gate(0);
  d.gate(0, odd.id());
  d.gate(1);
  d.open();
  d.feed({1, 2, 3, 4});
  d.chain->feed(0, element::watermark(timestamp{5ms}));
  d.feed_end();
  CHECK(d.run() == chain_state::drained);
  CHECK(d.sent[0] == numbers{2, 4});
  CHECK(d.sent[1] == numbers{1, 3});
  CHECK(d.sent[2] == numbers{10, 30});
  for (auto& c : d.controls)
    CHECK(c == std::vector{element_kind::watermark, element_kind::end});
}

TEST_CASE("an error says which operator of the chain, which subtask and attempt it was") {
  chain_double d;
  d.stage("good", map_of(same));
  d.stage("bad", map_of([](const std::int64_t& n) -> std::int64_t {
            if (n == 3) throw std::runtime_error{"three"};
            return n;
          }));
  d.gate(1);
  d.open();
  d.feed({1, 2, 3});
  const auto cause = cause_of(d);
  for (const auto* part : {"operator \"bad\"", "task \"the task\"", "(2/4)", "attempt 2", "three"})
    CHECK_MESSAGE(cause.find(part) != std::string::npos, cause);
}

TEST_CASE("record-error policies belong to their stage: skip, retry and side output in one chain, then fail") {
  const output_tag<std::int64_t> broken{"broken"};
  const auto refuses = [](std::int64_t which) {
    return [which](const std::int64_t& n) -> std::int64_t {
      if (n % 5 == which) throw std::runtime_error{"no"};
      return n;
    };
  };
  std::int64_t tries = 0;
  chain_double d;
  d.stage("skips", map_of(refuses(1))).on_record_error.action = record_error_policy::kind::skip;
  auto& retries = d.stage("retries", map_of([&tries](const std::int64_t& n) {
                            if (n % 5 == 2 && ++tries % 3 != 0) throw std::runtime_error{"not yet"};
                            return n;
                          }));
  retries.on_record_error = {record_error_policy::kind::retry, 2, 0};
  auto& diverts = d.stage("diverts", map_of(refuses(3)), 1);
  diverts.on_record_error = {record_error_policy::kind::side_output, 0, broken.id()};
  d.stage("fails", map_of([](const std::int64_t& n) -> std::int64_t {
            if (n == 99) throw 42;
            return n;
          }),
          2);
  d.gate(3);
  d.gate(2, broken.id());
  d.open();
  d.feed(up_to(15));
  CHECK(d.run() == chain_state::drained);
  CHECK(d.sent[0] == numbers{2, 4, 5, 7, 9, 10, 12, 14, 15});
  CHECK(d.sent[1] == numbers{3, 8, 13});
  CHECK(tries == 9); // three records, each at its third try
  CHECK(d.counters["skips.numRecordsSkipped"].value() == 3);
  CHECK(d.counters["diverts.numRecordsSkipped"].value() == 3);
  CHECK(d.counters.count("retries.numRecordsSkipped") == 0);
  d.feed({99});
  const auto cause = cause_of(d);
  CHECK_MESSAGE(cause.find("operator \"fails\"") != std::string::npos, cause);
  CHECK_MESSAGE(cause.find("not a std::exception") != std::string::npos, cause);
}

TEST_CASE("skipped records are logged with operator and error, ever more rarely") {
  log_capture log;
  chain_double d;
  d.stage("picky",
          map_of([](const std::int64_t& n) -> std::int64_t { throw std::runtime_error{"not " + std::to_string(n)}; }))
      .on_record_error.action = record_error_policy::kind::skip;
  d.gate(0);
  d.open();
  d.feed(up_to(1000));
  CHECK(d.run() == chain_state::drained);
  CHECK(d.counters["picky.numRecordsSkipped"].value() == 1000);
  CHECK(log.lines().size() == 10); // the 1st, 2nd, 4th .. 512th
  CHECK(log.contains("operator picky"));
  CHECK(log.contains("skipped 1 record so far"));
  CHECK(log.contains("skipped 512 records so far"));
  CHECK(log.contains("not 512"));
}

TEST_CASE("a retry that never succeeds fails with the last error") {
  std::int64_t calls = 0;
  chain_double d;
  d.stage("retries", map_of([&calls](const std::int64_t&) -> std::int64_t {
            throw std::runtime_error{"call " + std::to_string(++calls)};
          }))
      .on_record_error = {record_error_policy::kind::retry, 3, 0};
  d.gate(0);
  d.open();
  d.feed({1});
  const auto cause = cause_of(d);
  CHECK(calls == 4);
  CHECK_MESSAGE(cause.find("call 4") != std::string::npos, cause);
  CHECK(d.sent[0].empty());
}

TEST_CASE("when one operator cannot open, those that are open are closed, each once") {
  struct watched {
    std::vector<std::string>* log;
    std::string name;
    bool fails = false;
    void open(runtime_context&) {
      log->push_back("open " + name);
      if (fails) throw std::runtime_error{"cannot open"};
    }
    void close() { log->push_back("close " + name); }
    std::int64_t operator()(const std::int64_t& n) { return n; }
  };
  std::vector<std::string> log;
  chain_double d;
  d.stage("a", map_of(watched{&log, "a"}));
  d.stage("b", map_of(watched{&log, "b", true}));
  d.stage("c", map_of(watched{&log, "c"}), 1);
  d.gate(2);
  try {
    d.open();
    FAIL("it opened");
  } catch (const error& e) {
    CHECK(e.cause().find("operator \"b\"") != std::string::npos);
  }
  d.chain->close();
  d.chain.reset();
  // The last one first; what began to open is closed, too.
  CHECK(log == std::vector<std::string>{"open c", "open b", "close b", "close c"});
}
