#include <dataflow/operators/collect.hpp>
#include <dataflow/operators/filter.hpp>
#include <dataflow/operators/flat_map.hpp>
#include <dataflow/operators/process.hpp>

#include <doctest/doctest.h>

#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using dataflow::test::delivered;
using dataflow::test::operator_runner;
using dataflow::test::values_of;

namespace {
template <class T>
std::vector<std::optional<std::int64_t>> times_of(const std::vector<delivered<T>>& all) {
  std::vector<std::optional<std::int64_t>> times;
  for (auto& d : all)
    times.push_back(d.time);
  return times;
}
template <class T, class F>
operator_factory filter_of(F f) {
  return [f] { return std::make_unique<filter_operator<T, F>>(f); };
}
template <class I, class O, class F>
operator_factory flat_map_of(F f) {
  return [f] { return std::make_unique<flat_map_operator<I, O, F>>(f); };
}
std::vector<std::int64_t> numbers(std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> v;
  for (; from < to; ++from)
    v.push_back(from);
  return v;
}
} // namespace

TEST_CASE("filter keeps order, values and timestamps of what it lets through") {
  operator_runner ints{filter_of<std::int64_t>([](const std::int64_t& i) { return i % 3 == 0; })};
  auto& out = ints.capture<std::int64_t>();
  ints.push(numbers(0, 1000));
  REQUIRE(out.size() == 334);
  for (std::size_t i = 0; i < out.size(); ++i)
    CHECK(out[i].value == static_cast<std::int64_t>(3 * i));
  ints.push_timed<std::int64_t>({{3, 30}, {4, 40}, {5, 50}, {6, 60}});
  CHECK(out[334].time == 30);
  CHECK(out[335].time == 60);

  operator_runner texts{filter_of<std::string>([](const std::string& s) { return s.size() > 1; })};
  auto& words = texts.capture<std::string>();
  texts.push<std::string>({"a", "bb", "c", "a word that needs the heap", "ee"});
  CHECK(values_of(words) == std::vector<std::string>{"bb", "a word that needs the heap", "ee"});
}

TEST_CASE("filter copies a batch that others hold, too") {
  operator_runner r{filter_of<std::string>([](const std::string& s) { return s != "b"; })};
  auto& out = r.capture<std::string>();
  auto shared = r.batch_of<std::string>({"a", "b", "c"});
  auto other = shared;
  r.push(shared);
  CHECK(values_of(out) == std::vector<std::string>{"a", "c"});
  REQUIRE(other->size() == 3);
  CHECK(other.as<std::string>().records[1] == "b");
}

TEST_CASE("a filter that is stopped after every record loses nothing") {
  operator_runner r{filter_of<std::string>([](const std::string& s) { return s != "b"; })};
  auto& out = r.capture<std::string>();
  r.pause = true;
  std::vector<std::string> in(100, "a");
  in[50] = "b";
  r.push(in);
  CHECK(out.size() == 99);
  CHECK(r.runs > 1);
}

TEST_CASE("flat_map gives any number of results with their record's timestamp") {
  operator_runner r{flat_map_of<std::int64_t, std::string>([](const std::int64_t& n, collector<std::string>& out) {
    for (std::int64_t i = 0; i < n; ++i)
      out.collect(std::to_string(n));
  })};
  auto& out = r.capture<std::string>();
  r.push_timed<std::int64_t>({{0, 5}, {2, 6}, {1, 7}});
  CHECK(values_of(out) == std::vector<std::string>{"2", "2", "1"});
  CHECK(times_of(out) == std::vector<std::optional<std::int64_t>>{6, 6, 7});
}

TEST_CASE("a flat_map with a large fan-out hands on batches within the limit and stops in between") {
  operator_runner::options o;
  o.limits.records = 100;
  operator_runner r{flat_map_of<std::int64_t, std::int64_t>([](const std::int64_t& n, collector<std::int64_t>& out) {
                      for (std::int64_t i = 0; i < 250; ++i)
                        out.collect(n);
                    }),
                    o};
  auto& out = r.capture<std::int64_t>();
  r.push(numbers(0, 10));
  REQUIRE(out.size() == 2500);
  for (std::size_t i = 0; i < out.size(); ++i)
    CHECK(out[i].value == static_cast<std::int64_t>(i / 250));
}

TEST_CASE("what a failing record has collected is taken back: skip, retry, side output, fail") {
  auto make = [] {
    auto failures = std::make_shared<int>(0);
    return flat_map_of<std::int64_t, std::int64_t>([failures](const std::int64_t& n, collector<std::int64_t>& out) {
      out.collect(n);
      if (n == 2 && ++*failures < 3) throw std::runtime_error{"two"};
      if (n == 3) throw std::runtime_error{"three"};
      out.collect(n * 10);
    });
  };
  const output_tag<std::int64_t> bad{"bad"};
  operator_runner::options o;
  SUBCASE("skip") {
    o.policy.action = record_error_policy::kind::skip;
    operator_runner r{make(), o};
    auto& out = r.capture<std::int64_t>();
    r.push<std::int64_t>({1, 2, 3, 4});
    CHECK(values_of(out) == std::vector<std::int64_t>{1, 10, 4, 40});
    CHECK(r.counters["numRecordsSkipped"].value() == 2);
  }
  SUBCASE("side output") {
    o.policy = {record_error_policy::kind::side_output, 0, bad.id()};
    operator_runner r{make(), o};
    auto& out = r.capture<std::int64_t>();
    auto& diverted = r.capture(bad);
    r.push<std::int64_t>({1, 2, 3, 4});
    CHECK(values_of(out) == std::vector<std::int64_t>{1, 10, 4, 40});
    CHECK(values_of(diverted) == std::vector<std::int64_t>{2, 3});
  }
  SUBCASE("retry") {
    o.policy = {record_error_policy::kind::retry, 2, 0};
    operator_runner r{make(), o};
    auto& out = r.capture<std::int64_t>();
    r.push<std::int64_t>({1, 2, 4});
    CHECK(values_of(out) == std::vector<std::int64_t>{1, 10, 2, 20, 4, 40});
    CHECK_THROWS_WITH_AS(r.push<std::int64_t>({3}), doctest::Contains("three"), error);
  }
  SUBCASE("fail names operator and text") {
    operator_runner r{make(), o};
    r.capture<std::int64_t>();
    CHECK_THROWS_WITH_AS(r.push<std::int64_t>({2}), doctest::Contains("operator \"op\""), error);
  }
}

TEST_CASE("filter's record errors drop the record only") {
  operator_runner::options o;
  o.policy.action = record_error_policy::kind::skip;
  operator_runner r{filter_of<std::int64_t>([](const std::int64_t& i) {
                      if (i % 10 == 0) throw 7; // not even a std::exception
                      return i % 2 == 0;
                    }),
                    o};
  auto& out = r.capture<std::int64_t>();
  r.push(numbers(0, 100));
  CHECK(out.size() == 40);
  CHECK(r.counters["numRecordsSkipped"].value() == 10);
}

namespace {
class splitter : public process_function<std::int64_t, std::int64_t> {
public:
  splitter(std::int64_t limit, std::vector<std::string>* log) : limit_(limit), log_(log) {}
  void open(runtime_context& c) override { log_->push_back("open " + std::to_string(c.subtask_index())); }
  void process(const std::int64_t& n, context& ctx, collector<std::int64_t>& out) override {
    if (n > limit_) {
      ctx.output(big, std::to_string(n));
      if (n == 99) throw std::runtime_error{"99"};
    } else {
      out.collect(n + (ctx.record_timestamp() ? ctx.record_timestamp()->time_since_epoch().count() : 0));
    }
    watermark = ctx.current_watermark();
  }
  void close() override { log_->push_back("close"); }
  static inline const output_tag<std::string> big{"big"};
  static inline timestamp watermark{};

private:
  std::int64_t limit_;
  std::vector<std::string>* log_;
};
} // namespace

TEST_CASE("a process function has side outputs, timestamps, watermarks, open and close") {
  std::vector<std::string> log;
  operator_runner::options o;
  o.policy.action = record_error_policy::kind::skip;
  {
    operator_runner r{[&] {
                        return std::make_unique<process_operator<std::int64_t, std::int64_t, splitter>>(
                            no_key{}, std::tuple{std::int64_t{10}, &log});
                      },
                      o};
    auto& out = r.capture<std::int64_t>();
    auto& big = r.capture(splitter::big);
    r.watermark(1000);
    r.push_timed<std::int64_t>({{1, 100}, {50, 200}, {99, 250}, {2, 300}});
    CHECK(values_of(out) == std::vector<std::int64_t>{101, 302});
    CHECK(values_of(big) == std::vector<std::string>{"50"}); // that of the failing record is taken back
    CHECK(times_of(big) == std::vector<std::optional<std::int64_t>>{200});
    CHECK(splitter::watermark == timestamp{std::chrono::milliseconds{1000}});
    r.end();
  }
  CHECK(log == std::vector<std::string>{"open 0", "close"});
}

TEST_CASE("tags are equal by name and type") {
  CHECK(output_tag<int>{"late"}.id() == output_tag<int>{"late"}.id());
  CHECK(output_tag<int>{"late"}.id() != output_tag<std::string>{"late"}.id());
  CHECK(output_tag<int>{"late"}.id() != output_tag<int>{"early"}.id());
  CHECK_THROWS_AS(output_tag<int>{""}, error);
}

TEST_CASE("two inputs meet in one function") {
  auto first = [](const std::int64_t& i) { return std::to_string(i); };
  auto second = [](const std::string& s) { return s + "!"; };
  using functions = co_map_functions<decltype(first), decltype(second)>;
  operator_runner::options o;
  o.inputs = 2;
  operator_runner r{[&] {
                      return std::make_unique<co_process_operator<std::int64_t, std::string, std::string, functions>>(
                          no_key{}, no_key{}, std::tuple{first, second});
                    },
                    o};
  auto& out = r.capture<std::string>();
  r.push<std::int64_t>({1, 2}, 0);
  r.push<std::string>({"a"}, 1);
  r.push<std::int64_t>({3}, 0);
  CHECK(values_of(out) == std::vector<std::string>{"1", "2", "a!", "3"});
}

TEST_CASE("collect sends batches that decode to the records") {
  operator_runner r{[] { return std::make_unique<collect_operator>(5); }};
  r.push<std::string>({"a", "b"});
  REQUIRE(r.results.size() == 1);
  batch<std::string> back{record_type_of<std::string>()};
  byte_reader in{r.results[0]};
  record_type_of<std::string>().decode(in, back);
  CHECK(back.records[1] == "b");
}
