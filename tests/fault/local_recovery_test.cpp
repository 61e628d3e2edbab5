// Tasks that start again in their slots read the copies of their state, not the checkpoint.
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/util/log.hpp>

#include "tests/fault/savepoint_lab.hpp"
#include "tests/support/restarts.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace local_recovery_test {

struct local_lab : lab {
  temporary_directory disk;
  std::shared_ptr<job_client> job;

  explicit local_lab(const char* backend, const char* from_local) {
    auto e = env();
    e.configure("execution.state-recovery.from-local", from_local);
    e.configure("io.tmp.dirs", disk.path());
    e.configure("state.backend.type", backend);
    e.configure("execution.checkpointing.incremental", "true");
    e.configure("execution.checkpointing.dir", "/checkpoints");
    e.configure("execution.checkpointing.data-inline-threshold", "0");
    restart_at_fixed_delay(e, 10, "1 ms");
    e.enable_checkpointing(1h);
    totals(e);
    job = e.execute_async("job");
    cluster->run_for(60ms);
    job->trigger_checkpoint();
    cluster->run_for(20ms);
  }

  /// Flips a bit in the first part of each object, which nothing reads before the state is restored.
  std::size_t damage(file_system& files, const std::string& directory) {
    std::size_t n = 0;
    for (auto& e : files.list(directory)) {
      const auto path = join_path(directory, e.name);
      if (e.status.kind == file_kind::directory) {
        n += damage(files, path);
        continue;
      }
      const bool working = &files == &system_files() && path.find("-copies-") == std::string::npos;
      if (e.name.starts_with('_') || e.status.size < 80 || working) continue;
      auto bytes = files.read_file(path);
      if (bytes.starts_with("DFSUBTSK")) { // one without parts has its index there, which is read before
        byte_reader trailer{std::string_view{bytes}.substr(bytes.size() - 40)};
        if (trailer.fixed<std::uint64_t>() <= 20) continue;
      }
      bytes[20] = static_cast<char>(bytes[20] ^ 1);
      files.write_file(path, bytes);
      ++n;
    }
    return n;
  }
};

} // namespace local_recovery_test

using local_recovery_test::local_lab;

TEST_CASE("tasks go on from their local copies although what the checkpoint's storage holds is damaged") {
  for (const char* backend : {"hashmap", "rocksdb"})
    for (const char* from_local : {"true", "false"}) {
      CAPTURE(backend);
      CAPTURE(from_local);
      log_capture quiet;
      local_lab l{backend, from_local};
      REQUIRE(l.damage(l.cluster->files(), "/checkpoints") > 0);
      REQUIRE(l.cluster->kill(actor_kind::task));
      const auto result = l.job->wait();
      INFO(result.failure.to_string());
      if (from_local == std::string_view{"true"}) {
        CHECK(result.status == job_status::finished);
        CHECK(result.final_report.checkpoints.restored == 1);
        totals_by_key last;
        for (auto& line : l.lines()) {
          auto& t = last[std::stoll(line)];
          t = std::max(t, static_cast<std::int64_t>(std::stoll(line.substr(line.find(' ') + 1))));
        }
        CHECK(last == expected_totals());
      } else {
        CHECK(result.status == job_status::failed);
        CHECK(result.failure.code() == errc::corrupt_state);
      }
    }
}

TEST_CASE("a damaged local copy is passed over: the checkpoint is read") {
  for (const char* backend : {"hashmap", "rocksdb"}) {
    CAPTURE(backend);
    log_capture log;
    local_lab l{backend, "true"};
    REQUIRE(l.damage(system_files(), l.disk.path()) > 0);
    REQUIRE(l.cluster->kill(actor_kind::task));
    const auto result = l.job->wait();
    INFO(result.failure.to_string());
    CHECK(result.status == job_status::finished);
    CHECK(result.final_report.checkpoints.restored == 1);
    CHECK(log.contains("is not what was written: the checkpoint is read"));
  }
}

TEST_CASE("copies go with the job") {
  log_capture quiet;
  local_lab l{"hashmap", "true"};
  const auto files_in = [&] {
    std::size_t n = 0;
    for (auto& e : system_files().list(l.disk.path()))
      for (auto& job : system_files().list(join_path(l.disk.path(), e.name)))
        if (job.status.kind == file_kind::directory)
          n += system_files().list(l.disk / (e.name + "/" + job.name)).size();
    return n;
  };
  CHECK(files_in() > 0);
  CHECK(l.job->wait().status == job_status::finished);
  l.cluster->run_for(10ms);
  CHECK(files_in() == 0);
}
