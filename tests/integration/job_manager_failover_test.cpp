// Several job managers as real processes: the leading one is killed under a job that writes files exactly once.
#include <dataflow/util/clock.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>
#include <tests/integration/zookeeper_server.hpp>

using namespace dataflow;

namespace job_manager_failover_test {

constexpr std::int64_t records = 30'000;

struct cluster {
  dataflow::test::scratch dir;
  std::vector<std::string> settings{"-Dhigh-availability.type=filesystem",
                                    "-Dhigh-availability.storageDir=" + dir.path("ha")};
  std::vector<std::string> with(std::vector<std::string> command) const {
    command.insert(command.end(), settings.begin(), settings.end());
    return command;
  }
  std::unique_ptr<dataflow::test::program> job_manager() const {
    const auto port = system_network().listen(0)->port();
    return std::make_unique<dataflow::test::program>(
        dataflow::test::dataflow_command(with({"jobmanager", "-Djobmanager.rpc.port=" + std::to_string(port)})));
  }
  dataflow::test::outcome client(const std::vector<std::string>& command) const {
    return dataflow::test::dataflow(with(command));
  }
  /// Behind these flags, the job that counts.
  std::vector<std::string> counting(const std::string& rate, std::vector<std::string> flags) const {
    return dataflow::test::counted_job(dir, records, rate, std::move(flags));
  }
};

/// A leader, a standby, and a task manager that has registered.
struct two_managers {
  std::unique_ptr<dataflow::test::program> leader, standby;
  dataflow::test::program task_manager;

  explicit two_managers(const cluster& c)
      : leader(started(c, "The job manager listens on ")), standby(started(c, "The job manager stands by.")),
        task_manager(dataflow::test::dataflow_command(c.with({"taskmanager"}))) {
    REQUIRE(task_manager.wait_for_error("has registered with"));
  }
  static std::unique_ptr<dataflow::test::program> started(const cluster& c, const std::string& words) {
    auto one = c.job_manager();
    REQUIRE(one->wait_for_error(words));
    return one;
  }
};

} // namespace job_manager_failover_test
using namespace job_manager_failover_test;

TEST_CASE(
    "the leading job manager is killed under a job: a standby goes on with it, and every result is written once") {
  const cluster c;
  two_managers started{c};
  auto& [leader, standby, task_manager] = started;
  dataflow::test::program client{dataflow::test::dataflow_command(c.with(c.counting("5000", {"run"})))};
  REQUIRE(task_manager.wait_for_error("5000 records in this run"));

  const auto killed = system_clock().now();
  leader.reset(); // SIGKILL
  REQUIRE(standby->wait_for_error("The job manager leads, with token "));
  const auto leads = system_clock().now();
  REQUIRE(standby->wait_for_error("The job manager listens on "));
  REQUIRE(task_manager.wait_for_error("has registered with", 2));
  REQUIRE(task_manager.wait_for_error("\n500 records in this run", 2)); // it counts anew
  const auto goes_on = system_clock().now();
  const auto ms = [](steady_time t) { return std::to_string(t.count() / 1'000'000) + " ms"; };
  const auto took = "from SIGKILL of the leader to the next one: " + ms(leads - killed) +
                    ", to 500 records of the job: " + ms(goes_on - killed);
  MESSAGE(took);

  const auto result = client.wait(); // it has followed
  CHECK_MESSAGE(result.code == 0, result.err);
  CHECK(dataflow::test::difference(dataflow::test::lines_below(c.dir.path("output")),
                                   dataflow::test::counted_lines(records)) == "");
  const auto listed = c.client({"list", "-a"});
  CHECK_MESSAGE(listed.out.find("counts_to_files (FINISHED)") != std::string::npos, (listed.out + listed.err));

  standby.reset();
  const auto third = c.job_manager();
  REQUIRE(third->wait_for_error("The job manager listens on "));
  const auto kept = c.client({"list", "-a"});
  CHECK_MESSAGE(kept.out.find("counts_to_files (FINISHED)") != std::string::npos, (kept.out + kept.err));
  CHECK(kept.out.find("No running jobs.") != std::string::npos);
}

namespace job_manager_failover_test {

/// A stopped leader is replaced under a job, and ends when it wakes.
void stop_the_leader(cluster& c) {
  c.settings.insert(c.settings.end(), {"-Dheartbeat.interval=100ms", "-Dheartbeat.timeout=500ms",
                                       "-Dhigh-availability.lease-timeout=1s"});
  two_managers started{c};
  auto& [leader, standby, task_manager] = started;
  const auto submitted = c.client(c.counting("10000", {"run", "-d"}));
  REQUIRE_MESSAGE(submitted.code == 0, submitted.err);
  REQUIRE(task_manager.wait_for_error("5000 records in this run"));

  leader->signal(SIGSTOP);
  REQUIRE(standby->wait_for_error("The job manager listens on "));
  REQUIRE(task_manager.wait_for_error("\n500 records in this run", 2)); // the job goes on while the old one is stopped
  leader->signal(SIGCONT);
  const auto old = leader->wait();
  CHECK(old.code == 1);
  CHECK_MESSAGE(old.err.find("this job manager leads no more") != std::string::npos, old.err);
  std::string finished;
  while (finished.find("(FINISHED)") == std::string::npos) {
    finished = c.client({"list", "-a"}).out;
    REQUIRE(finished.find("(FAILED)") == std::string::npos);
  }
  CHECK(dataflow::test::difference(dataflow::test::lines_below(c.dir.path("output")),
                                   dataflow::test::counted_lines(records)) == "");
}

} // namespace job_manager_failover_test

TEST_CASE(
    "the leading job manager is stopped under a job: a standby goes on with it, and the old one ends when it wakes") {
  cluster c;
  stop_the_leader(c);
}

TEST_CASE("over zookeeper a standby goes on with the job of a leader that is stopped") {
  const dataflow::test::zookeeper_server zk;
  cluster c;
  c.settings[0] = "-Dhigh-availability.type=zookeeper";
  c.settings.insert(c.settings.end(), {"-Dhigh-availability.zookeeper.quorum=" + zk.address(),
                                       "-Dhigh-availability.zookeeper.client.session-timeout=600ms",
                                       "-Dhigh-availability.zookeeper.client.connection-timeout=20s"});
  stop_the_leader(c);
}

TEST_CASE("a job that was started from a savepoint goes on with the next leader when that savepoint is gone") {
  const cluster c;
  two_managers started{c};
  auto& [leader, standby, task_manager] = started;
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"run", "-d"});
    const auto submitted = c.client(c.counting("5000", std::move(more)));
    REQUIRE_MESSAGE(submitted.code == 0, submitted.err);
    return dataflow::test::cluster_processes::id_in(submitted.out);
  };
  const auto first = run({});
  REQUIRE(task_manager.wait_for_error("\n500 records in this run"));
  const auto stopped = c.client({"stop", "--savepointPath", c.dir.path("savepoints"), first});
  REQUIRE_MESSAGE(stopped.code == 0, stopped.err);
  const auto savepoint = dataflow::test::cluster_processes::savepoint_in(stopped.out);

  const auto second = run({"-s", savepoint});
  REQUIRE(task_manager.wait_for_error("\n500 records in this run", 2));
  dataflow::test::wait_for_checkpoint(c.dir.path("checkpoints/" + second), 1);
  system_files().remove_all(savepoint);
  leader.reset(); // SIGKILL
  REQUIRE(standby->wait_for_error("The job manager listens on "));
  std::string finished;
  while (finished.find(second + " : counts_to_files (FINISHED)") == std::string::npos) {
    finished = c.client({"list", "-a"}).out;
    REQUIRE_MESSAGE(finished.find(second) != std::string::npos, finished);
    REQUIRE_MESSAGE(finished.find("(FAILED)") == std::string::npos, finished);
  }
  CHECK(dataflow::test::difference(dataflow::test::lines_below(c.dir.path("output")),
                                   dataflow::test::counted_lines(records)) == "");
}

TEST_CASE("a job manager that ends in order leaves its jobs to the next one") {
  const cluster c;
  auto leader = c.job_manager();
  REQUIRE(leader->wait_for_error("The job manager listens on "));
  const auto submitted = c.client(c.counting("1000000", {"run", "-d"}));
  REQUIRE_MESSAGE(submitted.code == 0, submitted.err);
  leader->signal(SIGTERM);
  CHECK(leader->wait().code == 0);
  const auto next = c.job_manager();
  REQUIRE(next->wait_for_error("The job manager listens on "));
  const auto id = dataflow::test::cluster_processes::id_in(submitted.out);
  CHECK(c.client({"list"}).out.find(id) != std::string::npos);
  dataflow::test::program task_manager{dataflow::test::dataflow_command(c.with({"taskmanager"}))};
  REQUIRE(task_manager.wait_for_error("has registered with"));
  std::string listed;
  while (listed.find("(FINISHED)") == std::string::npos) {
    listed = c.client({"list", "-a"}).out;
    REQUIRE_MESSAGE(listed.find(id) != std::string::npos, listed);
    REQUIRE_MESSAGE(listed.find("(FAILED)") == std::string::npos, listed);
  }
  CHECK(dataflow::test::difference(dataflow::test::lines_below(c.dir.path("output")),
                                   dataflow::test::counted_lines(records)) == "");
}

TEST_CASE("a job manager among several needs a port that others can find") {
  const cluster c;
  const auto r = c.client({"jobmanager", "-Djobmanager.rpc.port=0"});
  CHECK(r.code == 2);
  CHECK(r.err.find("high-availability.type is not none") != std::string::npos);
}
