// `dataflow upgrade` on clusters of real processes: versions that run, that do not fit, and that break.
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>
#include <tests/support/effort.hpp>

using dataflow::test::cluster_processes;
using dataflow::test::outcome;

namespace upgrade_test {

constexpr std::int64_t records = 15'000;
const std::string rate = dataflow::test::sanitized ? "1000" : "5000"; // the job is there for some commands

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A cluster with version 1 of the job on it.
struct upgraded_job {
  explicit upgraded_job(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), "-d");
    const auto submitted = cluster.client("run", with_job(std::move(flags), 1));
    REQUIRE_MESSAGE(submitted.code == 0, submitted.err);
    id = cluster_processes::id_in(submitted.out);
    REQUIRE(cluster.task_managers[0]->wait_for_error("version 1: 500 records"));
  }
  std::vector<std::string> with_job(std::vector<std::string> flags, int version) const {
    return dataflow::test::counted_job(dir, records, rate, std::move(flags),
                                       dataflow::test::job_libraries + "libtest_upgraded_" + std::to_string(version) +
                                           ".so");
  }
  outcome upgrade(int version, std::vector<std::string> flags = {}) const {
    flags.insert(flags.end(), {"--savepointPath", dir.path("savepoints"), id});
    return cluster.client("upgrade", with_job(std::move(flags), version));
  }
  std::string jobs() const { return cluster.client("list", {"-a"}).out; }
  void wait_for_end() const {
    while (!says(cluster.client("list").out, "No running jobs."))
      ;
  }
  /// Published by all versions together: lines that are missing or doubled.
  std::string difference() const {
    return dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                      dataflow::test::counted_lines(records));
  }
  dataflow::test::scratch dir;
  cluster_processes cluster{1};
  std::string id;
};

} // namespace upgrade_test
using namespace upgrade_test;

TEST_CASE("a job is upgraded: the new version goes on with its counts, and each is published once") {
  const upgraded_job job;
  const auto done = job.upgrade(2);
  CHECK_MESSAGE(done.code == 0, done.err);
  CHECK(says(done.out, "Savepoint completed. Path: file:" + job.dir.path("savepoints")));
  CHECK(says(done.out, "Job " + job.id + " was upgraded: job " + cluster_processes::id_in(done.out) + " runs."));
  CHECK(says(job.jobs(), job.id + " : version 1 (FINISHED)"));
  REQUIRE(job.cluster.task_managers[0]->wait_for_error("version 2: 500 records"));
  job.wait_for_end();
  CHECK(says(job.jobs(), cluster_processes::id_in(done.out) + " : version 2 (FINISHED)"));
  CHECK(job.difference() == "");
  CHECK(dataflow::system_files().list(job.dir.path("savepoints")).size() == 1);
}

TEST_CASE("a version whose state does not fit is refused before the old one is stopped") {
  for (const std::string mode : {"savepoint", "last-state"}) {
    CAPTURE(mode);
    const upgraded_job job{{"-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION"}};
    const auto refused = job.upgrade(3, {"--mode", mode});
    CHECK(refused.code == 3);
    CHECK_MESSAGE(says(refused.err, "incompatible_state"), refused.err);
    for (const char* name :
         {"operator \"Keyed Aggregation\"", "state \"_kept\"", "field 'count': int64 cannot become int32"})
      CHECK_MESSAGE(says(refused.err, name), refused.err);
    CHECK(says(refused.err, "Nothing has changed: job " + job.id + " is as it was."));
    CHECK_FALSE(says(refused.out, "Suspending job"));
    CHECK(says(job.jobs(), job.id + " : version 1 (RUNNING)"));
    job.wait_for_end();
    CHECK(job.difference() == "");
  }
}

TEST_CASE("a version that breaks after its start makes way for the old one: nothing is lost or doubled") {
  for (const bool fails : {true, false}) { // or only restarts until the time is over
    CAPTURE(fails);
    const upgraded_job job;
    std::vector<std::string> flags{"--timeout", fails ? "5 min" : "2 s"};
    if (fails) flags.emplace_back("-Drestart-strategy.type=none");
    const auto back = job.upgrade(4, flags);
    CHECK_MESSAGE(back.code == 1, back.out);
    CHECK_MESSAGE(says(back.err, "the new version does not run"), back.err);
    CHECK_MESSAGE(says(back.err, "this version is broken"), back.err);
    CHECK(says(back.out, "The version before runs again: job "));
    CHECK(says(job.jobs(), " : version 4 (" + std::string{fails ? "FAILED" : "CANCELED"} + ")"));
    job.wait_for_end();
    CHECK(says(job.jobs(), " : version 1 (FINISHED)"));
    CHECK(job.difference() == "");
  }
}

TEST_CASE("a job is upgraded from its last checkpoint, where checkpoints outlive it") {
  const upgraded_job job{{"-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION"}};
  const auto done = job.upgrade(2, {"--mode", "last-state"});
  CHECK_MESSAGE(done.code == 0, done.err);
  CHECK(says(done.out, "Cancelled job " + job.id));
  job.wait_for_end();
  CHECK(says(job.jobs(), job.id + " : version 1 (CANCELED)"));
  CHECK(says(job.jobs(), " : version 2 (FINISHED)"));
  CHECK(job.difference() == "");
}

TEST_CASE(
    "a job is upgraded from a checkpoint of database files: its state gets the new version's type, and each count is "
    "published once") {
  const std::vector<std::string> on_disk{"-Dstate.backend.type=rocksdb", "-Dexecution.checkpointing.incremental=true"};
  for (const bool stays_on_disk : {true, false}) {
    CAPTURE(stays_on_disk);
    auto flags = on_disk;
    flags.emplace_back("-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION");
    const upgraded_job job{flags};
    const auto refused = job.upgrade(3, {"--mode", "last-state"});
    CHECK(refused.code == 3);
    for (const char* name :
         {"operator \"Keyed Aggregation\"", "state \"_kept\"", "field 'count': int64 cannot become int32"})
      CHECK_MESSAGE(says(refused.err, name), refused.err);
    auto as_it_was = stays_on_disk ? on_disk : std::vector<std::string>{};
    as_it_was.insert(as_it_was.end(), {"--mode", "last-state"});
    const auto done = job.upgrade(2, as_it_was);
    CHECK_MESSAGE(done.code == 0, done.err);
    CHECK_FALSE(dataflow::system_files().list(job.dir.path("checkpoints/" + job.id + "/shared")).empty());
    job.wait_for_end();
    CHECK(says(job.jobs(), " : version 2 (FINISHED)"));
    CHECK(job.difference() == "");
  }
}

TEST_CASE("a stateless upgrade counts from the start") {
  const upgraded_job job;
  const auto done = job.upgrade(3, {"--mode", "stateless"});
  CHECK_MESSAGE(done.code == 0, done.err);
  job.wait_for_end();
  CHECK(says(job.jobs(), " : version 3 (FINISHED)"));
  CHECK(job.difference() == ""); // version 1 has not published its only part: all of it comes from version 3
}

TEST_CASE("an upgrade whose job manager dies under it does not say that nothing has changed") {
  const upgraded_job job;
  dataflow::test::program upgrade{dataflow::test::dataflow_command(
      job.cluster.arguments("upgrade", job.with_job({"--savepointPath", job.dir.path("savepoints"), job.id}, 2)))};
  REQUIRE(upgrade.wait_for_output("Suspending job"));
  job.cluster.job_manager->signal(SIGKILL); // whatever it has done by now: no answer says that the new job runs
  const auto end = upgrade.wait();
  CHECK(end.code == 1);
  CHECK_MESSAGE(says(end.err, "Neither version is known to run"), end.err);
  CHECK_FALSE(says(end.err, "Nothing has changed"));
}

TEST_CASE("what no upgrade can do is said, and changes nothing") {
  const upgraded_job job;
  const auto gone = job.upgrade(2, {"--mode", "last-state"});
  CHECK(gone.code == 3);
  CHECK_MESSAGE(says(gone.err, "the job's checkpoints go when it is cancelled"), gone.err);
  CHECK(job.upgrade(2, {"--mode", "hopeful"}).code == 2);
  CHECK(job.upgrade(2, {"--timeout", "soon"}).code == 2);
  const auto unknown = job.cluster.client("upgrade", job.with_job({std::string(32, '0')}, 2));
  CHECK(unknown.code == 3);
  CHECK_MESSAGE(says(unknown.err, "no job with the id " + std::string(32, '0')), unknown.err);
  const auto no_library = job.cluster.client("upgrade", {job.id, job.dir.path("no.so")});
  CHECK(no_library.code == 3);
  CHECK(says(job.jobs(), job.id + " : version 1 (RUNNING)"));
}
