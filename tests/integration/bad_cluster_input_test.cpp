// What people hand to a cluster by mistake, and machines that are not as they should be.
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <sys/mount.h>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>
#include <tests/integration/hostile_peers.hpp>
#include <tests/support/effort.hpp>
#include <unistd.h>

using namespace dataflow;
using dataflow::test::cluster_processes;

namespace bad_cluster_input_test {

const std::string library = dataflow::test::job_libraries + "libtest_killed.so";

std::vector<std::string> counting(const std::string& of, const dataflow::test::scratch& dir) {
  return dataflow::test::counted_job(dir, 10'000, "1000000", {}, of);
}

/// A file system that is taken away in the end.
struct mounted {
  std::string where;
  ~mounted() { ::umount2(where.c_str(), MNT_DETACH); }
};

} // namespace bad_cluster_input_test
using namespace bad_cluster_input_test;

TEST_CASE("a library of a gibibyte and one for another processor are refused by name, and the cluster goes on") {
  const dataflow::test::scratch dir;
  cluster_processes c{1};
  auto bytes = system_files().read_file(library);
  const auto huge = dir.file("libhuge.so", bytes);
  REQUIRE(::truncate(huge.c_str(), off_t{1} << 30) == 0); // nothing but a hole behind it
  const auto refused = c.client("run", counting(huge, dir));
  CHECK(refused.code == 3);
  CHECK_MESSAGE(refused.err.find("the job library has 1073741824 bytes, 536870912 are allowed") != std::string::npos,
                refused.err);
  CHECK(dataflow::test::peak_memory(c.job_manager->pid()) < (dataflow::test::sanitized ? 512 : 128));

  bytes[18] = '\xb7'; // AArch64
  const auto foreign = dir.file("libforeign.so", bytes);
  const auto stranger = c.client("run", counting(foreign, dir));
  CHECK(stranger.code == 3);
  CHECK_MESSAGE(stranger.err.find(foreign + " was built for another processor") != std::string::npos, stranger.err);

  const auto good = c.client("run", counting(library, dir));
  CHECK_MESSAGE(good.code == 0, good.err);
}

TEST_CASE("a full disk of job libraries refuses the job by the disk's name, and the next one is taken") {
  const dataflow::test::scratch dir;
  const auto small = dir.path("blobs");
  system_files().create_directories(small);
  if (::mount("none", small.c_str(), "tmpfs", 0, "size=64k") != 0) {
    MESSAGE("SKIPPED: no file system can be mounted here");
    return;
  }
  const mounted disk{small};
  cluster_processes c{1, {"-Dblob.storage.directory=" + small}};
  const auto refused = c.client("run", counting(library, dir));
  CHECK(refused.code != 0);
  CHECK_MESSAGE(refused.err.find("disk_full") != std::string::npos, refused.err);
  CHECK(refused.err.find(small) != std::string::npos);
  CHECK(system_files().list(small).empty());
  CHECK(c.client("run", {"running_sum", "--records", "1000"}).code == 0); // it needs no library
  REQUIRE(::mount("none", small.c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0);
  const auto good = c.client("run", counting(library, dir));
  CHECK_MESSAGE(good.code == 0, good.err);
}

TEST_CASE("clocks of a cluster that differ by an hour change nothing") {
  const dataflow::test::scratch dir;
  const std::string skew = "LD_PRELOAD=" + dataflow::test::job_libraries + "libtest_skewed_clock.so";
  // A sanitizer wants to be the first library that is loaded.
  cluster_processes c{
      1, {"-Dheartbeat.interval=100ms", "-Dheartbeat.timeout=1s"}, {skew, "ASAN_OPTIONS=verify_asan_link_order=0"}};
  auto& second = c.add_task_manager();
  dataflow::test::program run{dataflow::test::dataflow_command(
      c.arguments("run", dataflow::test::counted_job(dir, 10'000, "10000", {"-p", "2"})))};
  REQUIRE_MESSAGE(second.wait_for_error("\n500 records in this run"), run.error_so_far());
  c.task_managers[0]->signal(SIGKILL);
  c.add_task_manager();
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                   dataflow::test::counted_lines(10'000)) == "");
}
