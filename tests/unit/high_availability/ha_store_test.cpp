#include <dataflow/high_availability/fenced_log.hpp>
#include <dataflow/high_availability/ha_store.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using test::error_of;

namespace ha_store_test {

struct node {
  explicit node(file_system& files)
      : log(std::make_shared<fenced_log>(files, "/ha/log", 8)), store(log, files, "/ha/files", 10) {}
  std::shared_ptr<fenced_log> log;
  ha_store store;
};

const std::string small = "small", large(1000, 'x');

std::size_t files_of(memory_file_system& disk) {
  const auto paths = disk.paths();
  return static_cast<std::size_t>(
      std::count_if(paths.begin(), paths.end(), [](auto& p) { return p.starts_with("/ha/files/"); }));
}

} // namespace ha_store_test
using namespace ha_store_test;

TEST_CASE("jobs, checkpoints, results and artifacts are there for the next leader") {
  memory_file_system disk;
  node a{disk};
  const auto token = a.log->lead(0, "a", "a:1").value();
  CHECK(a.store.put_job(token, "job-1", small));
  CHECK(a.store.put_job(token, "job-2", large));
  CHECK(!a.store.put_job(token, "job-2", small));
  a.store.update_job(token, "job-1", large + "1");
  a.store.add_checkpoint(token, "job-1", {9, "/c/job-1/chk-9"});
  a.store.add_checkpoint(token, "job-1", {10, "/c/job-1/chk-10"});
  a.store.add_checkpoint(token, "job-1", {8, "/c/job-1/chk-8"});
  a.store.remove_checkpoint(token, "job-1", 8);
  a.store.put_result(token, "job-0", "FINISHED");
  CHECK(a.store.put_artifact(token, "abc", std::string(100'000, 'l')));
  CHECK(!a.store.put_artifact(token, "abc", "other"));

  node b{disk};
  const auto next = b.log->lead(token, "b", "b:1").value();
  b.store.clean(next);
  CHECK(b.store.jobs() == std::vector<std::string>{"job-1", "job-2"});
  CHECK(b.store.job("job-1") == large + "1");
  CHECK(b.store.job("job-2") == large);
  CHECK(!b.store.job("job-3"));
  CHECK(b.store.checkpoints("job-1") ==
        std::vector<checkpoint_pointer>{{10, "/c/job-1/chk-10"}, {9, "/c/job-1/chk-9"}});
  CHECK(b.store.checkpoints("job-2").empty());
  CHECK(b.store.results() == std::vector<std::string>{"job-0"});
  CHECK(b.store.result("job-0") == "FINISHED");
  CHECK(b.store.artifacts() == std::vector<std::string>{"abc"});
  CHECK(b.store.artifact("abc")->size() == 100'000);

  b.store.remove_job(next, "job-1");
  b.store.remove_job(next, "job-9");
  b.store.remove_artifact(next, "abc");
  b.store.remove_result(next, "job-0");
  CHECK(b.store.jobs() == std::vector<std::string>{"job-2"});
  CHECK(b.store.checkpoints("job-1").empty());
  CHECK(b.store.artifacts().empty());
  CHECK(b.store.results().empty());
  CHECK(files_of(disk) == 1); // job-2's

  for (const auto& write : std::vector<std::function<void()>>{
           [&] { a.store.put_job(token, "job-5", large); }, [&] { a.store.put_job(token, "job-2", small); },
           [&] { a.store.update_job(token, "job-2", large + "!"); }, [&] { a.store.remove_job(token, "job-2"); },
           [&] {
             a.store.add_checkpoint(token, "job-2", {1, "p"});
           },
           [&] { a.store.put_result(token, "j", "x"); }, [&] { a.store.put_artifact(token, "h", large); }})
    CHECK(error_of(write).code() == errc::stale_message);
  CHECK(b.store.job("job-2") == large);
  CHECK(b.store.jobs() == std::vector<std::string>{"job-2"});
  const auto third = b.log->lead(next, "b2", "b:1").value();
  b.store.clean(third);
  CHECK(files_of(disk) == 1);
}

TEST_CASE("a leader that dies at its k-th access while it stores a job leaves it whole or not at all") {
  const log_capture quiet;
  std::uint64_t deaths = 0;
  for (const bool power_fails : {false, true})
    for (std::uint64_t k = 1; k < 400; ++k) {
      CAPTURE(power_fails);
      CAPTURE(k);
      memory_file_system disk;
      node setup{disk};
      const auto token = setup.log->lead(0, "a", "a:1").value();
      setup.store.put_job(token, "old", large + "0");
      disk.remember_synced();
      faulty_file_system faulty{disk};
      node a{faulty};
      faulty.fail_from(k);
      int done = 0;
      try {
        a.store.put_job(token, "job", large);
        done = 1;
        a.store.update_job(token, "job", large + "2");
        done = 2;
        a.store.put_result(token, "job", large + "result");
        done = 3;
        a.store.remove_job(token, "job");
        done = 4;
      } catch (const error& e) {
        REQUIRE(e.code() == errc::io_failed);
        ++deaths;
      }
      if (power_fails) disk.lose_power();
      node b{disk};
      const auto next = b.log->lead(token, "b", "b:1").value();
      b.store.clean(next);
      CHECK(b.store.job("old") == large + "0");
      const auto job = b.store.job("job"); // never corrupt
      if (done == 0) CHECK((!job || job == large));
      if (done == 1) CHECK((job == large || job == large + "2"));
      if (done == 2) CHECK(job == large + "2");
      if (done >= 3) CHECK(b.store.result("job") == large + "result");
      if (done == 4) CHECK(!job);
      const auto expected = 1u + (job ? 1 : 0) + (b.store.result("job") ? 1 : 0);
      CHECK(files_of(disk) == expected);
      if (done == 4) break;
      CHECK(k < 399);
    }
  CHECK(deaths > 100);
}

TEST_CASE("stored bytes that are not what was written are named") {
  memory_file_system disk;
  node a{disk};
  const auto token = a.log->lead(0, "a", "a:1").value();
  a.store.put_job(token, "job", large);
  for (const auto& path : disk.paths())
    if (path.starts_with("/ha/files/")) disk.write_file(path, large + "y");
  const auto e = error_of([&] { a.store.job("job"); });
  CHECK(e.code() == errc::corrupt_state);
  CHECK(e.cause().find("jobs/job/graph") != std::string::npos);
}
