#include <dataflow/connectors/function_sink.hpp>
#include <dataflow/connectors/print.hpp>
#include <dataflow/connectors/text_file_sink.hpp>
#include <dataflow/util/faulty_file_system.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <tests/support/error_of.hpp>
#include <tests/support/sink_harness.hpp>

using namespace dataflow;
using dataflow::test::error_of;
using test::sink_harness;

namespace sinks_test {

struct word_count {
  std::string word;
  std::int64_t count = 0;
};

struct nested {
  word_count inner;
  std::optional<double> share;
  std::vector<int> list;
};

enum class color : std::uint8_t { red = 1, green = 2 };

/// Counts how its functions were called.
struct watched {
  std::vector<std::string>* log;
  void open(runtime_context& context) { log->push_back("open " + std::to_string(context.subtask_index())); }
  void operator()(const std::string& record) {
    if (record == "bad") throw std::runtime_error{"bad record"};
    log->push_back(record);
  }
  void close() { log->push_back("close"); }
};

/// A user's own sink.
struct summing_sink final : sink<std::int64_t> {
  explicit summing_sink(std::vector<std::int64_t>& to) : totals(&to) {}
  std::unique_ptr<sink_writer<std::int64_t>> make_writer() const override { return std::make_unique<writer>(totals); }
  struct writer final : sink_writer<std::int64_t> {
    explicit writer(std::vector<std::int64_t>* to) : totals(to) {}
    void write(const std::int64_t& record) override { sum += record; }
    void finish() override { totals->push_back(sum); }
    std::vector<std::int64_t>* totals;
    std::int64_t sum = 0;
  };
  std::vector<std::int64_t>* totals;
};

} // namespace sinks_test

DATAFLOW_RECORD(sinks_test::word_count, word, count);
DATAFLOW_RECORD(sinks_test::nested, inner, share, list);

using namespace sinks_test;

TEST_CASE("records become text") {
  CHECK(to_text(std::string{"as it is \xff"}) == "as it is \xff");
  CHECK(to_text(-5) == "-5");
  CHECK(to_text(std::uint8_t{200}) == "200");
  CHECK(to_text('c') == "c");
  CHECK(to_text(0.1) == "0.1");
  CHECK(to_text(1e300) == "1e+300");
  CHECK(to_text(true) == "true");
  CHECK(to_text(color::green) == "2");
  CHECK(to_text(timestamp{std::chrono::milliseconds{1500}}) == "1500");
  CHECK(to_text(std::chrono::seconds{3}) == "3");
  CHECK(to_text(std::pair{std::string{"a"}, 1}) == "(a, 1)");
  CHECK(to_text(std::tuple{1, 2.5, std::string{"x"}}) == "(1, 2.5, x)");
  CHECK(to_text(std::vector<bool>{true, false}) == "[true, false]");
  CHECK(to_text(std::map<std::string, int>{{"a", 1}, {"b", 2}}) == "{a=1, b=2}");
  CHECK(to_text(std::optional<int>{}) == "nothing");
  CHECK(to_text(std::variant<int, std::string>{"v"}) == "v");
  CHECK(to_text(word_count{"to", 2}) == "{to, 2}");
  CHECK(to_text(nested{{"be", 1}, 0.5, {1, 2}}) == "{{be, 1}, 0.5, [1, 2]}");
}

TEST_CASE("print writes lines, with the subtask in front when there are several") {
  test::test_platform world;
  {
    sink_harness<word_count> h{sink_operators(print_sink<word_count>{}), world};
    h.push({{"to", 2}, {"be", 1}});
    CHECK(world.printed.text == "{to, 2}\n{be, 1}\n"); // without waiting for the end
  }
  world.printed.text.clear();
  sink_harness<int>{sink_operators(print_sink<int>{}), world, 2, 4}.push({7});
  sink_harness<int>{sink_operators(print_sink<int>{"out"}), world, 2, 4}.push({8});
  sink_harness<int>{sink_operators(print_sink<int>{"out"}), world}.push({9});
  CHECK(world.printed.text == "3> 7\nout:3> 8\nout> 9\n");
  sink_harness<int>{sink_operators(print_sink<int>{"", true}), world}.push({10});
  CHECK(world.printed_err.text == "10\n");
  CHECK(print_sink<int>{}.name() == "Print to Std. Out");
  CHECK(print_sink<int>{"", true}.name() == "Print to Std. Err");
}

TEST_CASE("the text file sink writes one file per subtask") {
  test::test_platform world;
  text_file_sink<word_count> sink{"/out/words"};
  for (std::uint32_t i = 0; i < 2; ++i) {
    sink_harness<word_count> h{sink_operators(sink), world, i, 2};
    h.push({{"first", i}});
    CHECK(world.disk.read_file("/out/words/part-" + std::to_string(i)) == "{first, " + std::to_string(i) + "}\n");
    h.push({{"second", i}});
    h.finish();
  }
  CHECK(world.disk.paths() == std::vector<std::string>{"/out/words/part-0", "/out/words/part-1"});
  CHECK(world.disk.read_file("/out/words/part-1") == "{first, 1}\n{second, 1}\n");
}

TEST_CASE("existing output is not overwritten unless asked for, but a restarted attempt begins anew") {
  test::test_platform world;
  auto make = sink_operators(text_file_sink<std::string>{"/out"});
  sink_harness<std::string>{make, world}.push({"old"});
  auto e = error_of([&] { sink_harness<std::string> h{make, world}; });
  CHECK(e.code() == errc::invalid_argument);
  CHECK(e.cause().find("/out/part-0") != std::string::npos);
  sink_harness<std::string>{make, world, 0, 1, {}, 1}.push({"again"});
  CHECK(world.disk.read_file("/out/part-0") == "again\n");
  sink_harness<std::string>{sink_operators(text_file_sink<std::string>{"/out", {.overwrite = true}}), world}.push(
      {"n"});
  CHECK(world.disk.read_file("/out/part-0") == "n\n");
}

TEST_CASE("a full disk fails the task whatever the policy for bad records, and names the file") {
  test::test_platform world;
  faulty_file_system faulty{world.disk};
  world.files = &faulty;
  for (auto kind : {record_error_policy::kind::fail, record_error_policy::kind::skip}) {
    auto sink = text_file_sink<std::string>{"/out", {.overwrite = true}};
    sink_harness<std::string> h{sink_operators(sink), world, 0, 1, {kind}};
    faulty.disk_full_after(10);
    h.push({"12345"});
    auto e = error_of([&] { h.push({"12345"}); });
    CHECK(e.code() == errc::disk_full);
    CHECK(e.cause().find("/out/part-0") != std::string::npos);
    CHECK_FALSE(e.advice().empty());
    faulty.heal();
  }
}

TEST_CASE("a file where the directory should be is an error at the start") {
  test::test_platform world;
  world.disk.write_file("/out", "");
  auto e = error_of([&] { sink_harness<int> h{sink_operators(text_file_sink<int>{"/out"}), world}; });
  CHECK(e.code() == errc::not_a_file);
}

TEST_CASE("a callback is called with every record, with open and close around") {
  test::test_platform world;
  std::vector<std::string> log;
  {
    sink_harness<std::string> h{callback_sink_operators<std::string>(watched{&log}), world, 1, 2};
    h.push({"a", "b"});
    h.finish();
  }
  CHECK(log == std::vector<std::string>{"open 1", "a", "b", "close"});

  std::vector<std::int64_t> times;
  auto timed = [&](int, timestamp t) { times.push_back(t.time_since_epoch().count()); };
  sink_harness<int> h{callback_sink_operators<int>(timed), world};
  h.push({1, 2}, {timestamp{std::chrono::milliseconds{5}}, timestamp{std::chrono::milliseconds{6}}});
  h.push({3});
  CHECK(times == std::vector<std::int64_t>{5, 6, no_timestamp.time_since_epoch().count()});
}

TEST_CASE("a sink stops between two records when asked to, and goes on there") {
  test::test_platform world;
  std::vector<int> seen;
  std::atomic<bool>* pause = nullptr;
  auto f = [&](int record) {
    seen.push_back(record);
    if (record == 2) pause->store(true);
  };
  sink_harness<int> h{callback_sink_operators<int>(f), world};
  pause = &h.pause;
  CHECK(h.push_once({1, 2, 3, 4}) == 2);
  CHECK(seen == std::vector<int>{1, 2});
  pause->store(false);
  h.push({1, 2, 3});
  CHECK(seen == std::vector<int>{1, 2, 1, 2, 3});
}

TEST_CASE("a sink's record errors follow the policy") {
  test::test_platform world;
  std::vector<std::string> log;
  auto make = callback_sink_operators<std::string>(watched{&log});
  using kind = record_error_policy::kind;
  {
    sink_harness<std::string> h{make, world, 0, 1, {kind::skip}};
    h.push({"a", "bad", "b"});
    CHECK(h.info().counters["numRecordsSkipped"].value() == 1);
  }
  CHECK(log == std::vector<std::string>{"open 0", "a", "b", "close"});
  {
    sink_harness<std::string> h{make, world, 0, 1, {kind::side_output, 0, 77}};
    h.push({"bad", "c"});
    CHECK(h.diverted == std::vector<std::string>{"bad"});
    CHECK(h.diverted_to == 77);
  }
  sink_harness<std::string> h{make, world};
  CHECK_THROWS_AS(h.push({"d", "bad", "e"}), error);
  CHECK(log.back() == "d");
}

TEST_CASE("print shows what came before the record that failed") {
  test::test_platform world;
  struct picky {
    int value;
  };
  struct picky_sink final : sink<picky> {
    struct writer final : sink_writer<picky> {
      void open(runtime_context& context) override { inner->open(context); }
      void write(const picky& p) override {
        if (p.value < 0) throw std::runtime_error{"negative"};
        inner->write(p.value);
      }
      void flush() override { inner->flush(); }
      std::unique_ptr<sink_writer<int>> inner = print_sink<int>{}.make_writer();
    };
    std::unique_ptr<sink_writer<picky>> make_writer() const override { return std::make_unique<writer>(); }
  };
  sink_harness<picky> h{sink_operators(picky_sink{}), world};
  CHECK_THROWS_AS(h.push({{1}, {-1}, {2}}), error);
  CHECK(world.printed.text == "1\n");
}

TEST_CASE("a sink of one's own needs a writer and nothing else") {
  test::test_platform world;
  std::vector<std::int64_t> totals;
  sink_harness<std::int64_t> h{sink_operators(summing_sink{totals}), world};
  h.push({1, 2, 3});
  h.push({4});
  h.finish();
  CHECK(totals == std::vector<std::int64_t>{10});
}

TEST_CASE("discarding takes whole batches") {
  test::test_platform world;
  sink_harness<int> h{discard_sink_operators(), world};
  CHECK(h.push_once({1, 2, 3}) == 3);
  sink_harness<int> c{sink_operators(discarding_sink<int>{}), world};
  CHECK(c.push_once({1, 2, 3}) == 3);
}
