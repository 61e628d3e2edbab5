// A process that runs a job is killed, again and again, and another goes on from the last checkpoint on the disk.
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <tests/integration/counted_files.hpp>
#include <tests/integration/program.hpp>
#include <tests/support/effort.hpp>

using namespace dataflow;

namespace killed_process_test {

constexpr std::int64_t records = 30'000;

/// The newest complete checkpoint of the job that has made one last; the jobs' directories are told apart by `known`.
std::string newest_checkpoint(const std::string& directory, const std::vector<std::string>& known) {
  auto& files = system_files();
  std::pair<std::int64_t, std::string> newest{-1, ""};
  if (!files.exists(directory)) return "";
  for (const auto& job : files.list(directory)) {
    if (std::find(known.begin(), known.end(), job.name) != known.end()) continue;
    const auto path = join_path(directory, job.name);
    for (const auto& c : files.list(path))
      if (c.name.starts_with("chk-") && files.exists(join_path(path, c.name) + "/_metadata"))
        newest = std::max(newest, {std::stoll(c.name.substr(4)), join_path(path, c.name)});
  }
  return newest.second;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  if (system_files().exists(directory))
    for (const auto& e : system_files().list(directory))
      names.push_back(e.name);
  return names;
}

} // namespace killed_process_test

TEST_CASE("a job whose process is killed goes on in another one, and publishes every result once") {
  using namespace killed_process_test;
  for (const std::string backend : {"hashmap", "rocksdb"}) {
    const dataflow::test::scratch dir;
    const auto checkpoints = dir.path("checkpoints"), output = dir.path("output");
    std::string from;
    int went_on = 0;
    const auto command = [&](const std::string& rate) {
      std::vector<std::string> c{
          "run", "-q", "-p", "2", "-Dstate.backend.type=" + backend, "-Dexecution.checkpointing.incremental=true"};
      if (!from.empty()) c.insert(c.end(), {"-s", from, "-claimMode", went_on % 2 == 0 ? "CLAIM" : "NO_CLAIM"});
      return dataflow::test::dataflow_command(dataflow::test::counted_job(dir, records, rate, std::move(c)));
    };
    for (const char* until : {"500 records in this run", "1000 records in this run", "2500 records in this run",
                              "1500 records in this run", "500 records in this run"}) {
      const auto known = names_in(checkpoints);
      dataflow::test::program run{command(dataflow::test::sanitized ? "4000" : "20000")};
      REQUIRE_MESSAGE(run.wait_for_error(until), run.wait().err);
      run.signal(SIGKILL);
      CHECK(run.wait().code == 128 + SIGKILL);
      if (const auto newest = newest_checkpoint(checkpoints, known); !newest.empty()) {
        from = newest;
        ++went_on;
      }
    }
    CHECK(went_on > 0);
    dataflow::test::program last{command("1000000")};
    const auto end = last.wait();
    REQUIRE_MESSAGE(end.code == 0, end.err);
    CHECK(dataflow::test::difference(dataflow::test::lines_below(output), dataflow::test::counted_lines(records)) ==
          "");
  }
}
