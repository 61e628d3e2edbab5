// Clusters of real processes: what users do with them, and what happens when one of them dies.
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>

using namespace dataflow;
using dataflow::test::cluster_processes;
using dataflow::test::counted_job;

namespace cluster_test {

template <class... Parts>
std::vector<std::string> joined(std::vector<std::string> all, const Parts&... parts) {
  (all.insert(all.end(), parts.begin(), parts.end()), ...);
  return all;
}

} // namespace cluster_test
using namespace cluster_test;

TEST_CASE("a job library is submitted to a cluster, listed, stopped with a savepoint, and goes on from it") {
  const dataflow::test::scratch dir;
  cluster_processes c{1};
  const auto submitted = c.client("run", counted_job(dir, 30'000, "5000", {"-d"}));
  REQUIRE_MESSAGE(submitted.code == 0, submitted.err);
  const auto id = cluster_processes::id_in(submitted.out);
  REQUIRE(id.size() == 32);
  REQUIRE(c.task_managers[0]->wait_for_error("500 records in this run"));
  const auto listed = c.client("list");
  CHECK(listed.out.find(id + " : counts_to_files (RUNNING)") != std::string::npos);
  CHECK(c.client("checkpoint", {id}).out.find("Checkpoint completed. Path: file:/") != std::string::npos);
  const auto saved = c.client("savepoint", {id, dir.path("savepoints")});
  CHECK_MESSAGE(saved.out.find("Savepoint completed. Path: file:" + dir.path("savepoints")) != std::string::npos,
                saved.err);
  const auto stopped = c.client("stop", {"--savepointPath", "file:" + dir.path("savepoints"), id});
  REQUIRE_MESSAGE(stopped.code == 0, stopped.err);
  const auto path = cluster_processes::savepoint_in(stopped.out);
  CHECK(c.client("list").out == "No running jobs.\n");
  CHECK(c.client("list", {"-a"}).out.find(id + " : counts_to_files (FINISHED)") != std::string::npos);

  const auto rest = c.client("run", counted_job(dir, 30'000, "1000000", {"-s", path}));
  CHECK_MESSAGE(rest.code == 0, rest.err);
  CHECK(rest.err.find("has finished") != std::string::npos);
  CHECK(dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                   dataflow::test::counted_lines(30'000)) == "");
}

TEST_CASE("a job of a cluster is cancelled by its id, and unknown ids are refused") {
  const dataflow::test::scratch dir;
  cluster_processes c{1};
  const auto id = cluster_processes::id_in(c.client("run", counted_job(dir, 1'000'000, "1000", {"-d"})).out);
  REQUIRE(c.task_managers[0]->wait_for_error("500 records in this run"));
  const auto canceled = c.client("cancel", {id});
  CHECK_MESSAGE(canceled.code == 0, canceled.err);
  CHECK(canceled.out.find("Cancelled job " + id) != std::string::npos);
  const auto again = c.client("cancel", {id});
  CHECK(again.code == 3);
  CHECK(again.err.find("has ended before") != std::string::npos);
  for (const char* verb : {"cancel", "stop", "savepoint", "checkpoint"}) {
    const auto unknown = c.client(verb, {std::string(32, '0')});
    CHECK(unknown.code == 3);
    CHECK(unknown.err.find("job_not_found") != std::string::npos);
  }
}

TEST_CASE("who waits for a job is told by the exit code that somebody else has cancelled it") {
  const dataflow::test::scratch dir;
  cluster_processes c{1};
  dataflow::test::program waits{
      dataflow::test::dataflow_command(c.arguments("run", counted_job(dir, 1'000'000, "1000")))};
  const auto id = waits.wait_for_line("Job has been submitted with JobID ");
  CHECK(c.client("cancel", {id}).code == 0);
  const auto end = waits.wait();
  CHECK(end.code == 1);
  CHECK_MESSAGE(end.err.find("was cancelled") != std::string::npos, end.err);
}

TEST_CASE(
    "the savepoint of a job that this process stops goes where this process says, not the job manager's directory") {
  const dataflow::test::scratch dir;
  cluster_processes c{1};
  auto inside = dataflow::test::dataflow_command(c.arguments(
      "run", counted_job(dir, 1'000'000, "1000", {"--stop-with-savepoint", "mine", "--stop-after", "10ms"})));
  inside.insert(inside.begin(), {"/usr/bin/env", "--chdir=" + dir.path("")});
  const auto end = dataflow::test::program{inside}.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(cluster_processes::savepoint_in(end.err).find(dir.path("mine/savepoint-")) == 0);
}

TEST_CASE("a task manager is killed under a job: it goes on on another one and publishes every result once") {
  const dataflow::test::scratch dir;
  cluster_processes c{2};
  dataflow::test::program run{dataflow::test::dataflow_command(c.arguments("run", counted_job(dir, 30'000, "10000")))};
  for (int round = 0; round < 3; ++round) {
    // Slots are given out in the order of registration: the oldest task manager has the job.
    auto& victim = *c.task_managers[static_cast<std::size_t>(round)];
    REQUIRE_MESSAGE(victim.wait_for_error("1000 records in this run"), victim.error_so_far());
    victim.signal(SIGKILL);
    c.add_task_manager();
  }
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(end.err.find("Restarts: ") != std::string::npos);
  CHECK(dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                   dataflow::test::counted_lines(30'000)) == "");
}

TEST_CASE("a job runs over two task managers, and goes on when one of them is killed: every result is published once") {
  const dataflow::test::scratch dir;
  cluster_processes c{3}; // with a slot each
  dataflow::test::program run{
      dataflow::test::dataflow_command(c.arguments("run", counted_job(dir, 30'000, "10000", {"-p", "2"})))};
  for (int at : {0, 1})
    REQUIRE_MESSAGE(c.task_managers[static_cast<std::size_t>(at)]->wait_for_error("500 records in this run"),
                    run.error_so_far());
  c.task_managers[1]->signal(SIGKILL);
  REQUIRE(c.task_managers[2]->wait_for_error("500 records in this run"));
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                   dataflow::test::counted_lines(30'000)) == "");
}

TEST_CASE("a task manager that was stopped for longer than the timeout comes back as a new one") {
  const dataflow::test::scratch dir;
  cluster_processes c{2, {"-Dheartbeat.interval=100ms", "-Dheartbeat.timeout=500ms", "-Dlog.level=info"}};
  auto& zombie = *c.task_managers[0];
  dataflow::test::program run{dataflow::test::dataflow_command(c.arguments("run", counted_job(dir, 30'000, "10000")))};
  REQUIRE(zombie.wait_for_error("1000 records in this run"));
  zombie.signal(SIGSTOP);
  REQUIRE(c.job_manager->wait_for_error("was silent for 500 ms"));
  REQUIRE(c.task_managers[1]->wait_for_error("500 records in this run"));
  zombie.signal(SIGCONT);
  REQUIRE(zombie.wait_for_error("Not registered: "));
  REQUIRE(zombie.wait_for_error("has registered with", 2));
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                   dataflow::test::counted_lines(30'000)) == "");
}

TEST_CASE("the job manager survives libraries that crash as they are loaded or build their graph") {
  for (const std::string moment : {"load", "graph"}) {
    cluster_processes c{1, {}, {"DATAFLOW_TEST_CRASH=" + moment}};
    const auto refused = c.client("run", {"-d", dataflow::test::job_libraries + "libtest_crashes.so"});
    CHECK(refused.code == 3);
    CHECK_MESSAGE(refused.err.find("libtest_crashes.so crashed") != std::string::npos, refused.err);
    CHECK(refused.err.find("signal 11") != std::string::npos);
    CHECK(c.client("list").out == "No running jobs.\n");
    CHECK(c.client("run", {"running_sum", "--records", "1000"}).code == 0);
  }
}

TEST_CASE("a job with more parallelism than the cluster has slots says what is missing, then fails") {
  cluster_processes c{1, {"-Dslot.request.timeout=300ms"}};
  const auto failed = c.client("run", {"-p", "3", "running_sum", "--records", "1000"});
  CHECK(failed.code == 1);
  CHECK(failed.err.find("Waiting for resources: the job needs 3 slots, 1 of 1 are free; it waits until ") !=
        std::string::npos);
  CHECK(failed.err.find("no_resources") != std::string::npos);
}

TEST_CASE("two versions of one job run side by side on a cluster") {
  const dataflow::test::scratch dir;
  cluster_processes c{1, {"-Dtaskmanager.numberOfTaskSlots=2"}};
  std::vector<std::unique_ptr<dataflow::test::program>> runs;
  for (const std::string version : {"1", "2"})
    runs.push_back(std::make_unique<dataflow::test::program>(dataflow::test::dataflow_command(c.arguments(
        "run", {dataflow::test::job_libraries + "libtest_layout_" + version + ".so", "--out", dir.path(version)}))));
  for (auto& r : runs) {
    const auto end = r->wait();
    CHECK_MESSAGE(end.code == 0, end.err);
  }
  // Each group's last sum is its largest; version 2 keeps half of each.
  std::int64_t largest[2] = {0, 0};
  for (int v = 0; v < 2; ++v)
    for (const auto& line : dataflow::test::lines_below(dir.path(std::to_string(v + 1))))
      largest[v] = std::max<std::int64_t>(largest[v], std::stoll(line.substr(line.find('=') + 1)));
  CHECK(largest[0] > 0);
  CHECK(largest[1] == largest[0] / 2);
}

TEST_CASE("a second job manager on a port is refused, and a new one takes the task managers over from a killed one") {
  const dataflow::test::scratch dir;
  cluster_processes c{1};
  const auto second = dataflow::test::dataflow({"jobmanager", "-Djobmanager.rpc.port=" + c.port()});
  CHECK(second.code == 3);
  CHECK(second.err.find("port " + c.port()) != std::string::npos);
  c.job_manager->signal(SIGKILL);
  REQUIRE(c.task_managers[0]->wait_for_error("Not registered: "));
  c.start_job_manager(c.port());
  const auto end = c.client("run", counted_job(dir, 1000, "1000000"));
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                   dataflow::test::counted_lines(1000)) == "");
}

TEST_CASE("processes of a cluster end in order on SIGTERM") {
  cluster_processes c{1};
  c.task_managers[0]->signal(SIGTERM);
  CHECK(c.task_managers[0]->wait().code == 0);
  c.job_manager->signal(SIGTERM);
  CHECK(c.job_manager->wait().code == 0);
}

TEST_CASE("a whole cluster is started and stopped by one command each") {
  const dataflow::test::scratch dir;
  const std::vector<std::string> where{"--directory", dir.path("cluster")};
  const auto started =
      dataflow::test::dataflow(joined({"cluster", "start", "-n", "2", "-Djobmanager.rpc.port=0"}, where));
  REQUIRE_MESSAGE(started.code == 0, started.err);
  const std::string before = "A cluster runs at ";
  const auto address = started.out.substr(before.size(), started.out.find(' ', before.size()) - before.size());
  CHECK(dataflow::test::dataflow({"run", "-m", address, "running_sum", "--records", "1000"}).code == 0);
  const auto twice = dataflow::test::dataflow(joined({"cluster", "start"}, where));
  CHECK(twice.code == 3);
  CHECK(twice.err.find("already") != std::string::npos);
  CHECK(dataflow::test::dataflow(joined({"cluster", "stop"}, where)).out == "Stopped 3 processes.\n");
  CHECK(dataflow::test::dataflow({"list", "-m", address}).code == 3);
  CHECK(dataflow::test::dataflow(joined({"cluster", "stop"}, where)).out ==
        "No cluster runs in " + dir.path("cluster") + ".\n");
}

TEST_CASE("an application brings its cluster along and leaves no process behind, not even when it is killed") {
  const dataflow::test::scratch dir;
  const auto command = [&](std::vector<std::string> more) {
    return dataflow::test::dataflow_command(
        joined({"run-application", "--taskmanagers", "2", "-Dio.tmp.dirs=" + dir.path("")}, more));
  };
  // Whatever is configured for clusters that last.
  const auto done = dataflow::test::program{command({"-Dhigh-availability.type=filesystem",
                                                     "-Dhigh-availability.storageDir=" + dir.path("none"),
                                                     "running_sum", "--records", "1000"})}
                        .wait();
  CHECK_MESSAGE(done.code == 0, done.err);
  CHECK(done.err.find("has finished") != std::string::npos);
  CHECK(system_files().list(dir.path("")).empty());

  dataflow::test::program killed{command(counted_job(dir, 1'000'000, "1000"))};
  REQUIRE(killed.wait_for_error("Job has been submitted"));
  killed.signal(SIGKILL);
  CHECK(killed.wait().code == 128 + SIGKILL); // its output ends when the last process is gone
}
