#include <dataflow/api/two_input_harness.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;
using texts = std::vector<std::string>;

namespace {

using order = std::pair<std::string, std::int64_t>;
using payment = std::pair<std::string, double>;
const output_tag<std::string> unpaid{"unpaid"};

/// Says the key and which input it was; orders of nothing go aside.
class labels : public keyed_co_process_function<std::string, order, payment, std::string> {
public:
  explicit labels(std::string prefix) : prefix_(std::move(prefix)) {}
  void open(runtime_context& context) override { orders_ = &context.counter("numOrders"); }
  void process1(const order& o, context& ctx, collector<std::string>& out) override {
    orders_->add();
    if (o.second == 0)
      ctx.output(unpaid, ctx.key());
    else
      out.collect(prefix_ + "order " + ctx.key());
  }
  void process2(const payment&, context& ctx, collector<std::string>& out) override {
    out.collect(prefix_ + "payment " + ctx.key());
  }

private:
  std::string prefix_;
  accumulator* orders_ = nullptr;
};

class plain : public co_process_function<std::int64_t, std::string, std::string> {
public:
  void process1(const std::int64_t& n, context&, collector<std::string>& out) override {
    out.collect(std::to_string(n + sum_));
  }
  void process2(const std::string& s, context&, collector<std::string>&) override {
    sum_ += static_cast<std::int64_t>(s.size());
  }

private:
  std::int64_t sum_ = 0;
};

} // namespace

TEST_CASE("the harness runs two map functions, one per input") {
  two_input_harness h{[](const std::int64_t& n) { return std::to_string(n); },
                      [](const std::string& s) { return s + "!"; }};
  h.push1(4);
  h.push2("four");
  h.push1(5, timestamp{9ms});
  CHECK(h.output() == texts{"4", "four!", "5"});
  CHECK(h.output_times() == std::vector{no_timestamp, no_timestamp, timestamp{9ms}});
  h.watermark(timestamp{10ms});
  CHECK(h.watermarks() == std::vector{timestamp{10ms}});
}

TEST_CASE("the harness runs two flat_map functions") {
  two_input_harness h{[](const std::int64_t& n, collector<std::string>& out) {
                        for (std::int64_t i = 0; i < n; ++i)
                          out.collect("first");
                      },
                      [](const double&, collector<std::string>& out) { out.collect("second"); }};
  h.push1(2);
  h.push2(0.5);
  h.push1(0);
  CHECK(h.output() == texts{"first", "first", "second"});
}

TEST_CASE("the harness runs a co-process function, whose members both inputs share") {
  two_input_harness h{function_of<plain>()};
  h.push1(1);
  h.push2("1234");
  h.push1(1);
  CHECK(h.output() == texts{"1", "5"});
}

TEST_CASE("the harness runs a keyed co-process function with the key of each input") {
  two_input_harness h{function_of<labels>(std::string{"> "}), &order::first, &payment::first};
  h.push1({"a", 3});
  h.push2({"b", 2.5});
  h.push1({"c", 0});
  CHECK(h.output() == texts{"> order a", "> payment b"});
  CHECK(h.side_output(unpaid) == texts{"c"});
  CHECK(h.counter("numOrders") == 2);
}

TEST_CASE("the record-error policy holds for both inputs") {
  test_harness_options options;
  options.on_record_error.action = record_error_policy::kind::skip;
  const auto refuse = [](const std::int64_t& n) {
    if (n < 0) throw std::runtime_error{"negative"};
    return n;
  };
  two_input_harness skips{refuse, refuse, no_key{}, options};
  skips.push1(-1);
  skips.push2(-2);
  skips.push2(3);
  CHECK(skips.output() == std::vector<std::int64_t>{3});
  CHECK(skips.counter("numRecordsSkipped") == 2);
  two_input_harness fails{refuse, refuse};
  CHECK_THROWS_AS(fails.push2(-1), error);
}
