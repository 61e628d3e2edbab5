// Processes of a cluster that are killed, stopped or replaced under a job that publishes every result once.
#include <doctest/doctest.h>

#include <csignal>
#include <poll.h>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>

using namespace dataflow;
using dataflow::test::cluster_processes;
using dataflow::test::program;

namespace process_deaths_test {

const std::vector<std::string> restarting{"-Drestart-strategy.type=fixed-delay",
                                          "-Drestart-strategy.fixed-delay.attempts=1000",
                                          "-Drestart-strategy.fixed-delay.delay=50ms"};

std::vector<std::string> quick_to_notice() {
  auto all = restarting;
  all.insert(all.end(), {"-Dheartbeat.interval=100ms", "-Dheartbeat.timeout=500ms"});
  return all;
}

struct counting_run {
  dataflow::test::scratch dir;
  std::int64_t records = 20'000;
  std::vector<std::string> command(const std::string& rate, std::vector<std::string> more = {}) const {
    return dataflow::test::counted_job(dir, records, rate, std::move(more));
  }
  std::string submit(const cluster_processes& c, const std::string& rate) const {
    const auto submitted = c.client("run", command(rate, {"-d"}));
    REQUIRE_MESSAGE(submitted.code == 0, submitted.err);
    return cluster_processes::id_in(submitted.out);
  }
  void must_be_right() const {
    CHECK(dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                     dataflow::test::counted_lines(records)) == "");
  }
  /// The job completes checkpoints.
  void wait_for_progress(const std::string& id) const {
    const auto directory = dir.path("checkpoints/" + id);
    dataflow::test::wait_for_checkpoint(directory, dataflow::test::newest_checkpoint(directory) + 2);
  }
  std::string checkpoint_of(const std::string& id) const {
    const auto directory = dir.path("checkpoints/" + id);
    const auto newest = dataflow::test::newest_checkpoint(directory);
    REQUIRE(newest > 0);
    return directory + "/chk-" + std::to_string(newest);
  }
};

} // namespace process_deaths_test
using namespace process_deaths_test;

TEST_CASE(
    "the only job manager is killed: its job is started from its last checkpoint by hand, and nothing is doubled") {
  counting_run r;
  r.records = 200'000;
  cluster_processes c{1, restarting};
  const auto id = r.submit(c, "5000");
  r.wait_for_progress(id);
  c.job_manager->signal(SIGKILL);
  REQUIRE(c.task_managers[0]->wait_for_error("Not registered: ")); // its tasks have ended, too
  c.start_job_manager(c.port());
  REQUIRE(c.task_managers[0]->wait_for_error("has registered with", 2));
  CHECK(c.client("list", {"-a"}).out.find(id) == std::string::npos); // it is forgotten
  const auto end = c.client("run", r.command("1000000", {"-s", r.checkpoint_of(id)}));
  CHECK_MESSAGE(end.code == 0, end.err);
  r.must_be_right();
}

TEST_CASE("the only task manager is killed: its job waits for another one, and goes on there") {
  const counting_run r;
  cluster_processes c{1, restarting};
  program run{dataflow::test::dataflow_command(c.arguments("run", r.command("10000")))};
  REQUIRE(c.task_managers[0]->wait_for_error("\n2500 records in this run"));
  c.task_managers[0]->signal(SIGKILL);
  REQUIRE(run.wait_for_error("Waiting for resources: the job needs 1 slots, 0 of 0 are free"));
  c.add_task_manager();
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  r.must_be_right();
}

TEST_CASE("the job manager is stopped for longer than the timeout, and goes on with its job when it wakes") {
  const counting_run r;
  cluster_processes c{2, quick_to_notice()};
  program run{dataflow::test::dataflow_command(c.arguments("run", r.command("5000", {"-p", "2"})))};
  for (auto& t : c.task_managers)
    REQUIRE_MESSAGE(t->wait_for_error("\n500 records in this run"), run.error_so_far());
  c.job_manager->signal(SIGSTOP);
  for (auto& t : c.task_managers)
    REQUIRE(t->wait_for_error("Not registered: "));
  c.job_manager->signal(SIGCONT);
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  r.must_be_right();
}

TEST_CASE("a job manager that stands still for less than the timeout is missed by nobody") {
  const counting_run r;
  auto patient = restarting;
  patient.push_back("-Dheartbeat.timeout=1min");
  cluster_processes c{1, patient};
  program run{dataflow::test::dataflow_command(c.arguments("run", r.command("5000")))};
  REQUIRE(c.task_managers[0]->wait_for_error("\n500 records in this run"));
  c.job_manager->signal(SIGSTOP);
  ::poll(nullptr, 0, 4'000); // twice what is usual
  c.job_manager->signal(SIGCONT);
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(end.err.find("Restarts: ") == std::string::npos);
  c.task_managers[0]->read_what_is_there();
  CHECK(c.task_managers[0]->error_so_far().find("Not registered: ") == std::string::npos);
  r.must_be_right();
}

TEST_CASE("a job does not mind that its client is killed, or stopped for a while") {
  const counting_run r;
  cluster_processes c{1, quick_to_notice()};
  program stopped{dataflow::test::dataflow_command(c.arguments("run", r.command("5000")))};
  REQUIRE(c.task_managers[0]->wait_for_error("\n500 records in this run"));
  stopped.signal(SIGSTOP);
  REQUIRE(c.task_managers[0]->wait_for_error("\n12500 records in this run"));
  stopped.signal(SIGCONT);
  const auto end = stopped.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(end.err.find("Restarts: ") == std::string::npos);
  r.must_be_right();

  const counting_run second;
  program killed{dataflow::test::dataflow_command(c.arguments("run", second.command("10000")))};
  REQUIRE(c.task_managers[0]->wait_for_error("\n500 records in this run", 2));
  killed.signal(SIGKILL);
  while (c.client("list", {"-a"}).out.find("(RUNNING)") != std::string::npos) {
  }
  second.must_be_right();
}

TEST_CASE("all task managers are replaced, one after the other, under load") {
  counting_run r;
  r.records = 200'000;
  cluster_processes c{2, restarting};
  const auto id = r.submit(c, "5000");
  r.wait_for_progress(id);
  for (std::size_t i = 0; i < 4; ++i) {
    c.add_task_manager();
    c.task_managers[i]->signal(SIGTERM);
    const auto left = c.task_managers[i]->wait();
    CHECK_MESSAGE(left.code == 0, left.err);
    r.wait_for_progress(id);
  }
  const auto stopped = c.client("stop", {"--savepointPath", r.dir.path("savepoints"), id});
  REQUIRE_MESSAGE(stopped.code == 0, stopped.err);
  const auto end = c.client("run", r.command("1000000", {"-s", cluster_processes::savepoint_in(stopped.out)}));
  CHECK_MESSAGE(end.code == 0, end.err);
  r.must_be_right();
}
