// Savepoints on a real cluster.
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>

#include "tests/actors/counting_job.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace {

/// As soon as all tasks run.
template <class Ask>
std::string when_it_runs(Ask ask) {
  for (;;) {
    try {
      return ask();
    } catch (const error& e) {
      REQUIRE_MESSAGE(e.code() == errc::checkpoint_failed, e.to_string());
    }
  }
}

std::shared_ptr<stream_graph> counting_from(const std::string& path, std::shared_ptr<counting_control> control) {
  auto g = counting_job(std::move(control));
  g->settings.configuration["execution.state-recovery.path"] = path;
  return g;
}

} // namespace

TEST_CASE("a job stops with a savepoint on a real cluster; the next one counts on, every record once") {
  log_capture quiet;
  for (const char* interval : {"-1", "2 ms"}) {
    temporary_directory directory;
    auto settings = restarting(1000);
    settings.set("execution.checkpointing.interval", interval);
    settings.set("execution.checkpointing.savepoint-dir", directory.path() + "/savepoints");
    test_cluster cluster{settings};
    auto control = std::make_shared<counting_control>();
    std::string path;
    for (int i = 0; i < 3; ++i) {
      auto job = cluster.start(path.empty() ? counting_job(control) : counting_from(path, control)).client;
      path = when_it_runs([&] { return job->stop_with_savepoint(); });
      CHECK(job->wait().status == job_status::finished);
      CHECK(control->ended == 0); // nobody has come to the end of its input
      CHECK(system_platform().files->exists(path + "/_metadata"));
    }
    auto last = cluster.start(counting_from(path, control)).client;
    const auto drained = when_it_runs([&] { return last->stop_with_savepoint({}, true); });
    CHECK(drained != path);
    CHECK(last->wait().status == job_status::finished);
    CHECK(control->ended == 2);
    const std::int64_t n = control->highest;
    CHECK(n > 0);
    CHECK(control->sum == n * (n + 1) / 2);
  }
}

TEST_CASE("whoever dies while a job stops, it has stopped or it goes on") {
  log_capture quiet;
  for (const char* victim : {"checkpoint coordinator", "job master", "slot", "task", "dispatcher"}) {
    CAPTURE(victim);
    temporary_directory directory;
    auto settings = restarting(1000);
    settings.set("execution.checkpointing.interval", "2 ms");
    settings.set("execution.checkpointing.tolerable-failed-checkpoints", "1000000");
    settings.set("execution.checkpointing.dir", directory.path());
    test_cluster cluster{settings, {}, 1000};
    auto control = std::make_shared<counting_control>();
    auto job = cluster.start(counting_job(control)).client;
    while (job->report().checkpoints.completed < 2)
      REQUIRE_FALSE(job->wait_for(std::chrono::milliseconds{1}));
    auto asked = std::async(std::launch::async, [&] {
      try {
        return job->stop_with_savepoint(directory.path() + "/savepoints");
      } catch (const error&) {
        return std::string{};
      }
    });
    cluster.kill(victim);
    const auto path = asked.get();
    control->may_end = true;
    if (!path.empty()) {
      control->sum = 0;
      job = cluster.start(counting_from(path, control)).client;
    }
    const auto result = job->wait();
    INFO(result.failure.to_string());
    REQUIRE(result.status == job_status::finished);
    const std::int64_t n = control->highest;
    if (control->ended > 0) CHECK(control->sum == n * (n + 1) / 2);
  }
}
