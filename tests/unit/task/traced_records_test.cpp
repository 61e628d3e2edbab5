// Where a record comes from: through a chain and its gates, and of records that were under way at a checkpoint.
#include <dataflow/record/record_origin.hpp>

#include <doctest/doctest.h>

#include "tests/support/error_of.hpp"
#include "tests/support/summing_subtask.hpp"
#include "tests/support/test_platform.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace traced_records_test {

/// As its base, with the origins of what is sent, and what was left out.
struct origin_host : checkpoint_host {
  std::vector<std::string> origins, left_out;
  std::vector<std::size_t> sizes;
  void send(std::uint32_t g, std::uint32_t c, std::uint64_t n, std::uint64_t bytes, element e) override {
    if (e.is_batch()) {
      origins.push_back(e.data->origin ? e.data->origin->described : "-");
      sizes.push_back(e.data->size());
    }
    checkpoint_host::send(g, c, n, bytes, std::move(e));
  }
  void record_skipped(const record_origin& r) override { left_out.push_back(r.to_string()); }
};

/// Fails of negative numbers.
class of_positive final : public stream_operator {
public:
  void process(unsigned, batch_slice& slice) override {
    batch_ptr out = context().pool(record_type_of<std::int64_t>())->get();
    for (; slice.cursor < slice.limit; ++slice.cursor) {
      const auto n = slice.data.as<std::int64_t>().records[slice.cursor];
      if (n < 0) throw std::runtime_error{"a negative number"};
      out.as<std::int64_t>().records.push_back(n);
      out.as<std::int64_t>().records.push_back(n);
    }
    emit(std::move(out));
  }
};

element from(const char* where, std::vector<std::int64_t> numbers) {
  auto e = records_of(std::move(numbers));
  if (*where) e.data->origin = std::make_shared<const record_origin>(record_origin{"u", "n", "s", where, where});
  return e;
}

subtask_config positive_numbers() {
  auto c = with_channels(1);
  stage_config s;
  s.name = s.uid = "positive";
  s.make = [] { return std::make_unique<of_positive>(); };
  c.stages = {s, summing_stage("sum")};
  c.edges.push_back({0, &record_type_of<std::int64_t>(), "numbers", 0, false});
  give_output(c);
  c.buffer_timeout = std::chrono::milliseconds{-1}; // only full batches, or those that something else sends on
  return c;
}

subtask_config with_three_under_way() {
  auto c = positive_numbers();
  byte_writer bytes;
  record_type_of<std::int64_t>().encode(*records_of({5, -6, 7}).data, bytes);
  c.restored_inputs.push_back({0, 0, {{all_key_groups, bytes.take()}}, "numbers", "int64"});
  return c;
}

} // namespace traced_records_test

using namespace traced_records_test;

TEST_CASE("what comes of a traced record leaves in batches of its own, with its origin") {
  test_platform world;
  origin_host to;
  task_metrics metrics;
  subtask task{positive_numbers(), world, to, metrics};
  task.open();
  std::uint64_t n = 0;
  for (auto& e : {from("", {1, 2}), from("a", {3}), from("b", {4}), from("", {5})})
    task.receive(0, n++, 8, element{e});
  task.receive(0, n++, 0, element::watermark(max_timestamp));
  run(task);
  CHECK(to.origins == std::vector<std::string>{"-", "a", "b", "-"});
  CHECK(to.sizes == std::vector<std::size_t>{4, 2, 2, 2});
}

TEST_CASE("a failure says at which record it was, and nothing of records whose origin nobody knows") {
  for (const char* where : {"byte 7", ""}) {
    CAPTURE(where);
    test_platform world;
    origin_host to;
    task_metrics metrics;
    subtask task{positive_numbers(), world, to, metrics};
    task.open();
    task.receive(0, 0, 8, from("before", {1}));
    task.receive(0, 1, 8, from(where, {-1}));
    const auto e = error_of([&] { run(task); });
    CHECK((e.cause().find("the record at byte 7 of split \"s\" of source \"n\": ") != std::string::npos) ==
          (*where != 0));
    CHECK(e.cause().find("before") == std::string::npos);
    CHECK((task.failed_at() != nullptr) == (*where != 0));
  }
}

TEST_CASE("records that were under way at an unaligned checkpoint are named by their number, and left out") {
  test_platform world;
  origin_host to;
  task_metrics metrics;
  auto c = with_three_under_way();
  c.trace.records = 1;
  std::vector<record_origin> failed;
  {
    subtask task{c, world, to, metrics};
    task.open();
    const auto e = error_of([&] { run(task); });
    CHECK(e.cause().find("record 2 of those on their way from operator 'numbers' to operator \"positive\" at the "
                         "checkpoint: ") != std::string::npos);
    REQUIRE(task.failed_at());
    failed.push_back(*task.failed_at());
  }
  c = with_three_under_way();
  c.trace.skip = failed;
  origin_host next;
  task_metrics counted;
  subtask task{c, world, next, counted};
  task.open();
  task.receive(0, 0, 0, element::watermark(max_timestamp));
  run(task);
  CHECK(next.sent == "5 10 17 24"); // both numbers twice, as running sums
  CHECK(next.left_out.size() == 1);
  c = with_three_under_way();
  c.trace.skip = failed;
  c.trace.skip.front().position = "2 of another checkpoint"; // there it is another record
  subtask another{c, world, next, counted};
  another.open();
  CHECK(error_of([&] { run(another); }));
}
