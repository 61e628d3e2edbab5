#include <dataflow/record/codecs.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/task/feedback_queue.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

using namespace dataflow;

TEST_CASE("what a loop feeds back comes out in order, from memory and from disk, batches and control elements") {
  memory_file_system files;
  {
    feedback_queue queue{{1000, "/tmp"}, &files, "loop"};
    CHECK(queue.empty());
    for (std::uint64_t i = 0; i < 20000; ++i) {
      if (i % 7 == 0) {
        queue.push({1, i, 0, element::control(element_kind::loop_probe, static_cast<std::int64_t>(i), i % 2 == 0)});
        continue;
      }
      batch_ptr b = batch_pool::make(record_type_of<std::string>())->get();
      b.as<std::string>().records.push_back("record " + std::to_string(i));
      b.as<std::string>().timestamps.push_back(timestamp{std::chrono::milliseconds{i}});
      queue.push({2, i, 100, element::of(std::move(b))});
    }
    CHECK_FALSE(files.paths().empty()); // it went to disk
    CHECK(batches_outstanding() <= 10); // and gave its buffers back
    for (std::uint64_t i = 0; i < 20000; ++i) {
      REQUIRE_FALSE(queue.empty());
      auto e = queue.pop();
      REQUIRE(e.sequence == i);
      if (i % 7 == 0) {
        REQUIRE(e.channel == 1);
        REQUIRE(e.what.kind == element_kind::loop_probe);
        REQUIRE(e.what.value == static_cast<std::int64_t>(i));
        REQUIRE(e.what.flag == (i % 2 == 0));
      } else {
        REQUIRE(e.channel == 2);
        REQUIRE(e.bytes == 100);
        REQUIRE(e.what.data.as<std::string>().records[0] == "record " + std::to_string(i));
        REQUIRE(e.what.data->timestamps[0].time_since_epoch().count() == static_cast<std::int64_t>(i));
      }
    }
    CHECK(queue.empty());
  }
  CHECK(files.paths().empty());
}
