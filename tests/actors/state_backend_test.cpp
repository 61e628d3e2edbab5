// Jobs whose keyed state is on the disk, on a real cluster.
#include <dataflow/api/environment.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>

#include <algorithm>

#include "tests/actors/test_cluster.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/simulated_jobs.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace {

struct disk_job {
  temporary_directory checkpoints, local;
  configuration settings(const char* backend, const char* incremental) const {
    auto c = restarting(1000);
    c.set("execution.checkpointing.interval", "20 ms");
    c.set("execution.checkpointing.tolerable-failed-checkpoints", "1000000");
    c.set("execution.checkpointing.dir", checkpoints.path());
    c.set("execution.checkpointing.incremental", incremental);
    c.set("state.backend.type", backend);
    c.set("state.backend.rocksdb.localdir", local.path());
    c.set("taskmanager.memory.managed.size", "4 mb");
    return c;
  }
  /// Databases that are open.
  std::size_t databases() const {
    std::size_t n = 0;
    std::vector<std::string> open{local.path()};
    while (!open.empty()) {
      const auto at = std::move(open.back());
      open.pop_back();
      try {
        for (auto& e : system_files().list(at)) {
          if (e.status.kind == file_kind::directory) open.push_back(join_path(at, e.name));
          n += e.name == "CURRENT";
        }
      } catch (const error&) { // it has gone meanwhile
      }
    }
    return n;
  }
};

void wait_for_more_checkpoints(job_client& job, std::uint64_t more) {
  const auto until = job.report().checkpoints.completed + more;
  while (job.report().checkpoints.completed < until)
    REQUIRE_FALSE(job.wait_for(std::chrono::milliseconds{1}));
}

} // namespace

TEST_CASE("a job whose state is larger than its memory runs, and goes on from its checkpoints") {
  log_capture quiet;
  for (const char* incremental : {"true", "false"}) {
    CAPTURE(incremental);
    disk_job d;
    {
      // A key's row takes 48 bytes, and two tasks share 2 MiB for them.
      const keyed_job_options o{.numbers = 240'000, .keys = 120'000, .rate = 100'000};
      test_cluster cluster{d.settings("rocksdb", incremental)};
      auto job = cluster.start(keyed_job(o)).client;
      wait_for_more_checkpoints(*job, 2);
      for (int kill = 0; kill < 2; ++kill) {
        const auto restored = job->report().checkpoints.restored;
        cluster.kill("task");
        while (job->report().checkpoints.restored <= restored)
          REQUIRE_FALSE(job->wait_for(std::chrono::milliseconds{1}));
        wait_for_more_checkpoints(*job, 1);
      }
      CHECK(d.databases() >= 2);
      const auto result = result_of(*job);
      INFO(result.failure.to_string());
      REQUIRE(result.status == job_status::finished);
      CHECK(collected_of(result).size() == expected_records(o));
      CHECK(last_per_key(collected_of(result)) == expected_totals(o));
    }
    CHECK(system_files().list(d.local.path()).empty()); // nothing stays on the disk
  }
}

TEST_CASE("state in memory leaves the local disk alone") {
  log_capture quiet;
  disk_job d;
  test_cluster cluster{d.settings("hashmap", "true")};
  const keyed_job_options o{.numbers = 3000, .rate = 30'000};
  auto job = cluster.start(keyed_job(o)).client;
  const auto result = result_of(*job);
  REQUIRE(result.status == job_status::finished);
  CHECK(last_per_key(collected_of(result)) == expected_totals(o));
  CHECK(system_files().list(d.local.path()).empty());
}

TEST_CASE("a state backend that does not exist is refused by name") {
  environment env;
  const auto e = error_of([&] { env.configure("state.backend.type", "memory"); }).to_string();
  CHECK(e.find("state.backend.type") != std::string::npos);
  CHECK(e.find("memory") != std::string::npos);
  CHECK(e.find("rocksdb") != std::string::npos);
}

TEST_CASE("a job whose state has no place on the disk fails, and says which") {
  log_capture quiet;
  disk_job d;
  system_files().write_file(d.local / "file", "");
  auto settings = d.settings("rocksdb", "false");
  settings.set("restart-strategy.type", "none");
  settings.set("state.backend.rocksdb.localdir", d.local / "file/below");
  test_cluster cluster{settings};
  auto job = cluster.start(keyed_job({.numbers = 100})).client;
  const auto result = result_of(*job);
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.to_string().find(d.local / "file") != std::string::npos);
  CHECK(result.failure.to_string().find("state.backend.rocksdb.localdir") != std::string::npos);
}
