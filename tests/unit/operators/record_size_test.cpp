// The largest record is checked where a record is produced: by sources, and by every operator that makes new ones.
// Batches end at their byte bound, also those of records that all have one size.
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/operators/flat_map.hpp>
#include <dataflow/operators/keyed_reduce.hpp>
#include <dataflow/operators/map.hpp>
#include <dataflow/operators/process.hpp>
#include <dataflow/record/codecs.hpp>

#include <doctest/doctest.h>

#include <array>
#include <tests/support/operator_runner.hpp>

using namespace dataflow;
using dataflow::test::operator_runner;

namespace {

operator_runner::options with_limit(std::size_t bytes) {
  operator_runner::options o;
  o.limits.record_bytes = bytes;
  o.name = "grow";
  return o;
}

template <class I, class O, class F>
operator_factory map_of(F f) {
  return [f] { return std::make_unique<map_operator<I, O, F>>(f); };
}

/// As long as its input says.
std::string xs(std::int64_t n) { return std::string(static_cast<std::size_t>(n), 'x'); }

template <class F>
void check_refused(F&& f) {
  try {
    f();
    FAIL("the record passed");
  } catch (const error& e) {
    CHECK(e.code() == errc::record_too_large);
    CHECK_MESSAGE(e.cause().find("operator \"grow\"") != std::string::npos, e.cause());
    CHECK_MESSAGE(e.cause().find("a record of 2002 bytes, where 1000 are allowed") != std::string::npos, e.cause());
    CHECK(e.advice().find("taskmanager.record.max-bytes") != std::string::npos);
  }
}

} // namespace

TEST_CASE("map refuses to make a record above the limit, whether it changes the type or not") {
  operator_runner makes{map_of<std::int64_t, std::string>(xs), with_limit(1000)};
  const auto& out = makes.capture<std::string>();
  makes.push(std::vector<std::int64_t>{0, 20, 1000});
  CHECK(out.size() == 3);
  check_refused([&] { makes.push(std::vector<std::int64_t>{2000}); });

  const auto doubled = [](const std::string& s) { return s + s; };
  operator_runner replaces{map_of<std::string, std::string>(doubled), with_limit(1000)};
  check_refused([&] { replaces.push(std::vector<std::string>{"a", xs(1000)}); });
}

TEST_CASE("flat_map and process refuse it, in their side outputs, too") {
  const auto split = [](const std::int64_t& n, collector<std::string>& out) {
    out.collect("small");
    out.collect(xs(n));
  };
  operator_runner flat{
      [split] { return std::make_unique<flat_map_operator<std::int64_t, std::string, decltype(split)>>(split); },
      with_limit(1000)};
  check_refused([&] { flat.push(std::vector<std::int64_t>{10, 2000}); });

  const output_tag<std::string> side{"side"};
  const auto aside = [side](const std::int64_t& n, auto& context, collector<std::int64_t>& out) {
    out.collect(n);
    context.output(side, xs(n));
  };
  using aside_process = process_operator<std::int64_t, std::int64_t, decltype(aside)>;
  operator_runner process{[aside] { return std::make_unique<aside_process>(no_key{}, std::forward_as_tuple(aside)); },
                          with_limit(1000)};
  check_refused([&] { process.push(std::vector<std::int64_t>{10, 2000}); });
}

TEST_CASE("a reduction refuses what has grown too large with the keys it has seen") {
  const auto join = [](const std::string& so_far, const std::string& next) { return so_far + next; };
  const auto same = [](const std::string&) { return 0; };
  using merge = reduce_merge<decltype(join)>;
  operator_runner r{
      [=] { return std::make_unique<keyed_reduce_operator<std::string, decltype(same), merge>>(same, merge{join}); },
      with_limit(1000)};
  const auto& out = r.capture<std::string>();
  r.push(std::vector<std::string>{xs(500), xs(400)});
  CHECK(out.size() == 2);
  check_refused([&] { r.push(std::vector<std::string>{xs(1100)}); });
}

TEST_CASE("a record that is too large goes by the record-error policy: a skipped one leaves the others alone") {
  auto options = with_limit(1000);
  options.policy.action = record_error_policy::kind::skip;
  operator_runner makes{map_of<std::int64_t, std::string>(xs), options};
  const auto& out = makes.capture<std::string>();
  makes.push(std::vector<std::int64_t>{1, 2000, 3});
  REQUIRE(out.size() == 2);
  CHECK(out[1].value == "xxx");
  CHECK(makes.counters["numRecordsSkipped"].value() == 1);

  const auto twice = [](const std::int64_t& n, collector<std::string>& o) {
    o.collect(xs(n));
    o.collect(xs(2 * n));
  };
  operator_runner flat{
      [twice] { return std::make_unique<flat_map_operator<std::int64_t, std::string, decltype(twice)>>(twice); },
      options};
  const auto& rest = flat.capture<std::string>();
  flat.push(std::vector<std::int64_t>{1, 1000, 3}); // of the second nothing goes on
  CHECK(rest.size() == 4);
}

TEST_CASE("what lies in memory is larger than what is encoded; the limit is about the latter") {
  const auto many = [](const std::int64_t& n) { return std::vector<std::int64_t>(static_cast<std::size_t>(n), 1); };
  using list = std::vector<std::optional<std::int64_t>>;
  const auto sparse = [](const std::int64_t& n) { return list(static_cast<std::size_t>(n)); };
  operator_runner dense{map_of<std::int64_t, std::vector<std::int64_t>>(many), with_limit(1000)};
  CHECK_THROWS_AS(dense.push(std::vector<std::int64_t>{200}), error);
  operator_runner empty{map_of<std::int64_t, list>(sparse), with_limit(1000)};
  empty.push(std::vector<std::int64_t>{500}); // 8,000 bytes in memory, 502 encoded
}

namespace {
struct record_of_1k {
  std::array<char, 1024> bytes{};
};
class endless_reader final : public source_reader<record_of_1k> {
public:
  void open(reader_context&) override {}
  void add_splits(std::vector<source_split>) override {}
  void no_more_splits() override {}
  std::vector<source_split> snapshot(std::uint64_t) override { return {}; }
  poll_result poll(source_output<record_of_1k>& out) override {
    while (!out.full())
      out.collect({});
    CHECK(out.room() == 0);
    return poll_result::more();
  }
};
} // namespace

TEST_CASE("a source's batch of records of one size ends at the byte bound, and has one record at least") {
  typed_source_driver<record_of_1k> driver{std::make_unique<endless_reader>()};
  for (const auto& [bytes, records] : {std::pair{16u << 10, 16u}, {1u << 30, 100u}, {100u, 1u}}) {
    batch<record_of_1k> b{record_type_of<record_of_1k>()};
    driver.poll(b, {.records = 100, .bytes = bytes}, nullptr);
    CHECK(b.size() == records);
  }
}

TEST_CASE("a function's results of one size leave in batches within the byte bound") {
  const auto thousand = [](const std::int64_t&, collector<record_of_1k>& out) {
    for (int i = 0; i < 1000; ++i)
      out.collect({});
  };
  using operation = flat_map_operator<std::int64_t, record_of_1k, decltype(thousand)>;
  auto options = with_limit(1 << 20);
  options.limits.bytes = 16 << 10;
  operator_runner flat{[thousand] { return std::make_unique<operation>(thousand); }, options};
  const auto& out = flat.capture<record_of_1k>();
  flat.push(std::vector<std::int64_t>{1});
  CHECK(out.size() == 1000);
  CHECK(flat.largest_batch == 16);
}
