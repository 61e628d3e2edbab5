// Checkpoints on a real cluster: who asks for them, who dies meanwhile, and what goes on from them.
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>

#include "tests/actors/counting_job.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace {

configuration checkpointing(const std::string& directory, const char* interval = "5 ms") {
  auto c = restarting(1000);
  c.set("execution.checkpointing.interval", interval);
  c.set("execution.checkpointing.tolerable-failed-checkpoints", "1000000");
  if (!directory.empty()) c.set("execution.checkpointing.dir", directory);
  return c;
}

void wait_for_checkpoints(job_client& job, std::uint64_t more) {
  const auto until = job.report().checkpoints.completed + more;
  while (job.report().checkpoints.completed < until)
    REQUIRE_FALSE(job.wait_for(std::chrono::milliseconds{1}));
}
void wait_for_restore(job_client& job, std::uint64_t from) {
  while (job.report().checkpoints.restored <= from)
    REQUIRE_FALSE(job.wait_for(std::chrono::milliseconds{1}));
}
/// Every number from 1 on was counted once.
void check_counted_once(counting_control& control, job_client& job) {
  control.may_end = true;
  const auto result = result_of(job);
  INFO(result.failure.to_string());
  REQUIRE(result.status == job_status::finished);
  const std::int64_t n = control.highest;
  CHECK(control.sum == n * (n + 1) / 2);
}

} // namespace

TEST_CASE("a failing operator: the job goes on from the last checkpoint and counts every record once") {
  log_capture quiet;
  for (const bool on_disk : {true, false}) {
    temporary_directory directory;
    test_cluster cluster{checkpointing(on_disk ? directory.path() : "")};
    auto control = std::make_shared<counting_control>();
    auto job = cluster.start(counting_job(control)).client;
    for (int i = 0; i < 3; ++i) {
      wait_for_checkpoints(*job, 3);
      const auto restored = job->report().checkpoints.restored;
      control->fail = true;
      wait_for_restore(*job, restored);
    }
    wait_for_checkpoints(*job, 1);
    check_counted_once(*control, *job);
    CHECK(job->report().restarts == 3);
  }
}

TEST_CASE("under back-pressure a failing operator goes on from an unaligned checkpoint, and counts every record once") {
  log_capture quiet;
  for (const char* aligned_timeout : {"0 ms", "10 ms"}) {
    CAPTURE(aligned_timeout);
    temporary_directory directory;
    auto settings = checkpointing(directory.path());
    settings.set("execution.checkpointing.unaligned.enabled", "true");
    settings.set("execution.checkpointing.aligned-checkpoint-timeout", aligned_timeout);
    test_cluster cluster{settings};
    auto control = std::make_shared<counting_control>();
    control->slow = true;
    auto job = cluster.start(counting_job(control)).client;
    for (int i = 0; i < 3; ++i) {
      wait_for_checkpoints(*job, 5);
      const auto restored = job->report().checkpoints.restored;
      control->fail = true;
      wait_for_restore(*job, restored);
    }
    wait_for_checkpoints(*job, 1);
    control->slow = false;
    check_counted_once(*control, *job);
    CHECK(job->report().restarts == 3);
  }
}

TEST_CASE("a checkpoint out of turn says where it is") {
  log_capture quiet;
  temporary_directory directory;
  test_cluster cluster{checkpointing(directory.path(), "1 h")};
  auto control = std::make_shared<counting_control>();
  auto job = cluster.start(counting_job(control)).client;
  std::string path;
  while (path.empty()) { // before all tasks run it is refused
    try {
      path = job->trigger_checkpoint();
    } catch (const error& e) {
      REQUIRE(e.code() == errc::checkpoint_failed);
    }
  }
  CHECK(path.find(directory.path()) == 0);
  CHECK(system_platform().files->exists(path + "/_metadata"));
  const auto report = job->report();
  CHECK(report.checkpoints.completed == 1);
  CHECK(report.checkpoints.last_path == path);
  CHECK(report.checkpoints.last_bytes > 0);
  check_counted_once(*control, *job);
  CHECK(test::error_of([&] { job->trigger_checkpoint(); }).code() == errc::job_not_found);
  CHECK_FALSE(system_platform().files->exists(path + "/_metadata")); // nothing is kept of a job that has finished
}

TEST_CASE("a job without checkpoints refuses one") {
  log_capture quiet;
  test_cluster cluster{restarting(1)};
  auto control = std::make_shared<counting_control>();
  auto job = cluster.start(counting_job(control)).client;
  CHECK(test::error_of([&] { job->trigger_checkpoint(); }).code() == errc::checkpoint_failed);
  check_counted_once(*control, *job);
}

TEST_CASE("whoever dies, the job goes on from a checkpoint") {
  log_capture quiet;
  for (const char* victim : {"checkpoint coordinator", "job master", "slot", "task"}) {
    CAPTURE(victim);
    temporary_directory directory;
    test_cluster cluster{checkpointing(directory.path()), {}, 1000};
    auto control = std::make_shared<counting_control>();
    auto job = cluster.start(counting_job(control)).client;
    wait_for_checkpoints(*job, 2);
    cluster.kill(victim);
    const bool coordinator = std::string{victim} == "checkpoint coordinator";
    if (coordinator)
      cluster.wait_for(victim, 2);
    else
      wait_for_restore(*job, 0);
    wait_for_checkpoints(*job, 2);
    check_counted_once(*control, *job);
    CHECK(control->ended == 2);
  }
}
