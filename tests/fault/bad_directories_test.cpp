// A checkpoint directory that is missing, cannot be written, is full, or vanishes while the job runs.
#include <dataflow/util/log.hpp>

#include "tests/fault/savepoint_lab.hpp"
#include "tests/support/restarts.hpp"
#include "tests/support/test_platform.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace bad_directories_test {

/// The job of the lab with a checkpoint every 10 ms, which may fail.
std::shared_ptr<job_client> start(lab& l, const std::string& directory, std::int64_t tolerated) {
  auto env = l.env();
  env.enable_checkpointing(10ms);
  env.configure("execution.checkpointing.dir", directory);
  env.configure("execution.checkpointing.data-inline-threshold", "0");
  env.configure("execution.checkpointing.tolerable-failed-checkpoints", std::to_string(tolerated));
  restart_at_fixed_delay(env, 2, "1 ms");
  totals(env);
  return env.execute_async("job");
}

} // namespace bad_directories_test

TEST_CASE("a checkpoint directory that is not there is made") {
  log_capture quiet;
  lab l;
  auto job = bad_directories_test::start(l, "/not/there/yet", 0);
  l.cluster->run_for(50ms);
  CHECK(job->trigger_checkpoint().find("/not/there/yet/") == 0);
  CHECK(job->wait().status == job_status::finished);
  check_totals(l.lines());
}

TEST_CASE("a checkpoint directory that cannot be written fails the job before it runs, and is named") {
  log_capture quiet;
  lab l;
  l.cluster->disk().only_below("/closed");
  l.cluster->disk().fail_from(1);
  error why;
  try {
    why = bad_directories_test::start(l, "/closed", 1000)->wait().failure;
  } catch (const error& e) {
    why = e;
  }
  CHECK_MESSAGE(why.to_string().find("/closed") != std::string::npos, why.to_string());
  CHECK(l.lines().empty());
}

TEST_CASE("checkpoints that find no room fail; the job goes on as long as it may, and then says why it does not") {
  log_capture quiet;
  for (const bool tolerated : {true, false}) {
    CAPTURE(tolerated);
    lab l;
    auto job = bad_directories_test::start(l, "/checkpoints", tolerated ? 1000 : 0);
    l.cluster->run_for(50ms);
    l.cluster->disk().only_below("/checkpoints");
    l.cluster->disk().disk_full_after(10);
    const auto result = job->wait();
    CHECK(result.final_report.checkpoints.failed > 0);
    if (tolerated) {
      CHECK(result.status == job_status::finished);
      check_totals(l.lines());
    } else {
      CHECK(result.status == job_status::failed);
      const auto why = result.failure.to_string();
      CHECK_MESSAGE(why.find("No space left") != std::string::npos, why);
      CHECK_MESSAGE(why.find("'/checkpoints/") != std::string::npos, why);
    }
  }
}

TEST_CASE("a checkpoint directory that vanishes: later checkpoints make it again") {
  log_capture quiet;
  lab l;
  auto job = bad_directories_test::start(l, "/checkpoints", 1000);
  l.cluster->run_for(50ms);
  const auto before = job->report().checkpoints.completed;
  REQUIRE(before > 0);
  l.cluster->files().remove_all("/checkpoints");
  l.cluster->run_for(50ms);
  CHECK(job->report().checkpoints.completed > before);
  CHECK(job->wait().status == job_status::finished);
  check_totals(l.lines());
}

TEST_CASE("a job whose checkpoints have all vanished does not begin anew, but says which one is missing") {
  log_capture quiet;
  lab l;
  auto env = l.env();
  env.configure("execution.checkpointing.dir", "/checkpoints");
  env.configure("execution.checkpointing.data-inline-threshold", "0");
  env.enable_checkpointing(1h);
  env.configure("restart-strategy.type", "fixed-delay");
  env.configure("restart-strategy.fixed-delay.delay", "1 ms");
  totals(env);
  auto job = env.execute_async("job");
  l.cluster->run_for(50ms);
  const auto path = job->trigger_checkpoint();
  l.cluster->files().remove_all("/checkpoints");
  REQUIRE(l.cluster->kill(actor_kind::task));
  const auto result = job->wait();
  CHECK(result.status == job_status::failed);
  CHECK_MESSAGE(result.failure.to_string().find(path) != std::string::npos, result.failure.to_string());
}
