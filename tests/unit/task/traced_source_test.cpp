// A source that gives out its records one by one, with where they come from.
#include <dataflow/connectors/split_reader.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/task/traced_source.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

using namespace dataflow;

namespace traced_source_test {

/// Two splits of numbers, one behind the other; the second one is read ten at a time, whatever the limits are.
struct numbers_split {
  std::string id;
  std::uint64_t next = 0;
  std::string encode() const { return std::to_string(next); }
  std::string describe() const { return "number " + std::to_string(next); }
  static numbers_split decode(const source_split& s) { return {s.id, std::stoull(s.payload)}; }
};
class numbers_reader final : public split_reader<std::int64_t, numbers_split> {
  poll_result read(numbers_split& split, source_output<std::int64_t>& out) override {
    const auto at_once = split.id == "b" ? 10u : 1u;
    while (split.next < 30 && !out.full())
      for (unsigned i = 0; i < at_once; ++i)
        out.emplace(static_cast<std::int64_t>(split.next++));
    return split.next < 30 ? poll_result::more() : poll_result::end();
  }
};
struct context final : reader_context {
  runtime_context& runtime() noexcept override { std::abort(); }
  dataflow::platform& platform() noexcept override { std::abort(); }
  void request_split() override {}
  std::function<void()> wake_up() override {
    return [] {};
  }
};

struct bench {
  context world;
  std::vector<record_origin> skipped;
  std::unique_ptr<source_driver> source;
  explicit bench(source_trace trace) {
    source = make_traced_source(
        std::make_unique<typed_source_driver<std::int64_t>>(std::make_unique<numbers_reader>()),
        {"uid", "numbers", std::move(trace), [this](const record_origin& o) { skipped.push_back(o); }});
    source->reader().add_splits({{"a", "25"}, {"b", "0"}});
    source->reader().no_more_splits();
    source->reader().open(world);
  }
  /// The records of a poll with their origin, "-" without one.
  std::string poll(split_marks* marks = nullptr) {
    batch<std::int64_t> into{record_type_of<std::int64_t>()};
    source->poll(into, {.records = 100}, marks);
    std::string text;
    for (auto n : into.records)
      text += std::to_string(n) + " ";
    return text + (into.origin ? into.origin->to_string() : "-");
  }
};

} // namespace traced_source_test

using namespace traced_source_test;

TEST_CASE("records come one by one with split and position, then as usual") {
  bench b{{.records = 2, .skip = {}}};
  CHECK(b.poll() == "25 the record at number 25 of split \"a\" of source \"numbers\"");
  CHECK(b.poll() == "26 the record at number 26 of split \"a\" of source \"numbers\"");
  CHECK(b.poll().substr(0, 12) == "27 28 29 0 1");
}

TEST_CASE("a reader that does not give them out one by one: one of several") {
  bench b{{.records = 100, .skip = {}}};
  for (int i = 0; i < 5; ++i)
    b.poll();
  CHECK(b.poll() == "0 1 2 3 4 5 6 7 8 9 one of the 10 records at number 0 of split \"b\" of source \"numbers\"");
}

TEST_CASE("a record is left out once, and only its split is read one by one for that") {
  bench b{{.records = 0, .skip = {{"uid", "numbers", "a", "26", ""}}}};
  CHECK(b.poll() == "25 the record at number 25 of split \"a\" of source \"numbers\"");
  split_marks marks;
  CHECK(b.poll(&marks) == "-");
  for (auto& m : marks.all())
    CHECK(m.begin == 0);
  REQUIRE(b.skipped.size() == 1);
  CHECK(b.skipped.front().described == "number 26");
  CHECK(b.poll().substr(0, 12) == "27 28 29 0 1");

  bench other{{.records = 0, .skip = {{"uid", "numbers", "c", "26", ""}}}};
  CHECK(other.poll().substr(0, 14) == "25 26 27 28 29");
}
