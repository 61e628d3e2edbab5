#include <dataflow/exchange/spillable_queue.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <tests/support/temporary_directory.hpp>

using namespace dataflow;

TEST_CASE("a queue that fits in memory makes no file") {
  memory_file_system files;
  spillable_queue queue{files, "", "q", {1000, 1000, 100}};
  for (int i = 0; i < 10; ++i)
    queue.push(std::string(100, static_cast<char>('0' + i)));
  CHECK(queue.bytes_in_memory() == 1000);
  CHECK(files.paths().empty());
  for (int i = 0; i < 10; ++i)
    CHECK(queue.pop() == std::string(100, static_cast<char>('0' + i)));
  CHECK(queue.empty());
}

TEST_CASE("elements come out in order, memory stays bounded and files go as they are read") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    memory_file_system files;
    std::deque<std::string> model;
    const spill_limits limits{random.below(500), 1 + random.below(500), 1 + random.below(100)};
    spillable_queue queue{files, "/tmp", "loop of map (1/2)", limits};
    std::size_t largest = 0;
    for (int round = 0; round < 2000; ++round) {
      const bool growing = (round / 400) % 2 == 0;
      if (model.empty() || random.below(10) < (growing ? 7u : 3u)) {
        std::string element(random.below(random.below(20) == 0 ? 400 : 40), static_cast<char>('a' + random.below(26)));
        largest = std::max(largest, element.size());
        model.push_back(element);
        queue.push(std::move(element));
      } else {
        REQUIRE(queue.pop() == model.front());
        model.pop_front();
      }
      REQUIRE(queue.size() == model.size());
      REQUIRE(queue.bytes_in_memory() <= limits.memory_bytes + 2 * (limits.block_bytes + largest + 8));
    }
    while (!model.empty()) {
      REQUIRE(queue.pop() == model.front());
      model.pop_front();
    }
    CHECK(queue.empty());
    CHECK(queue.bytes_on_disk() == 0);
    CHECK(files.paths().empty());
  }
}

TEST_CASE("a queue removes its files when it is destroyed") {
  test::temporary_directory directory;
  {
    spillable_queue queue{system_files(), directory.path(), "a/b", {100, 10000, 1000}};
    for (int i = 0; i < 1000; ++i)
      queue.push(std::string(100, 'x'));
    CHECK(queue.bytes_on_disk() > 90000);
    CHECK(system_files().list(directory.path()).size() >= 9);
  }
  CHECK(system_files().list(directory.path()).empty());
}

TEST_CASE("a full disk is an error that names the file") {
  memory_file_system behind;
  faulty_file_system files{behind};
  files.disk_full_after(5000);
  {
    spillable_queue queue{files, "", "q", {100, 1000, 500}};
    try {
      for (int i = 0; i < 100; ++i)
        queue.push(std::string(100, 'x'));
      FAIL("the disk never became full");
    } catch (const error& e) {
      CHECK(e.code() == errc::disk_full);
      CHECK(e.cause().find("/tmp/dataflow-spill-q-") != std::string::npos);
    }
  }
  CHECK(behind.paths().empty());
}

TEST_CASE("a spill file that was cut is an error, not wrong elements") {
  memory_file_system files;
  spillable_queue queue{files, "", "q", {0, 100000, 100}};
  for (int i = 0; i < 10; ++i)
    queue.push(std::string(100, 'x'));
  files.write_file(files.paths().front(), "short");
  CHECK_THROWS_AS(queue.pop(), error);
}
