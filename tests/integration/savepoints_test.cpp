// Savepoints on the command line.
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <tests/integration/program.hpp>
#include <tests/support/tree_paths.hpp>

using dataflow::test::dataflow_command;
using dataflow::test::scratch;

namespace {

dataflow::test::outcome run_command(std::vector<std::string> arguments) {
  return dataflow::test::dataflow(std::move(arguments));
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const std::vector<std::string> endless{"running_sum", "--records", "1000000000000", "--rate", "20000"};

std::vector<std::string> run_flagged(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "run");
  flags.insert(flags.end(), endless.begin(), endless.end());
  return dataflow_command(std::move(flags));
}

/// Behind "Path: file:".
std::string path_in(const std::string& text) {
  const std::string before = "Savepoint completed. Path: file:";
  const auto at = text.find(before);
  REQUIRE_MESSAGE(at != std::string::npos, text);
  return text.substr(at + before.size(), text.find('\n', at) - at - before.size());
}

} // namespace

TEST_CASE("SIGTERM stops a job with a savepoint, and another run goes on from it") {
  const scratch dir;
  dataflow::test::program first{run_flagged({"--stop-with-savepoint", dir.path("savepoints")})};
  REQUIRE(first.wait_for_error("Job has been submitted"));
  first.signal(SIGTERM); // also before all tasks run
  const auto stopped = first.wait();
  CHECK_MESSAGE(stopped.code == 0, stopped.err);
  CHECK(says(stopped.err, "Suspending job"));
  CHECK(says(stopped.err, "has finished."));
  const auto path = path_in(stopped.err);
  CHECK(path.find(dir.path("savepoints")) == 0);
  CHECK(dataflow::system_files().exists(path + "/_metadata"));
  CHECK(says(run_command({"state", "list", path}).out, "savepoint 1 of job 'running_sum'"));

  dataflow::test::program second{run_flagged({"-s", "file:" + path, "-claimMode", "CLAIM", "--json", "--stop-after",
                                              "1 ms", "--stop-with-savepoint", dir.path("more"), "--drain"})};
  const auto again = second.wait();
  INFO(again.out);
  CHECK_MESSAGE(again.code == 0, again.err);
  std::string more;
  for (std::size_t at = 0; at < again.out.size();) {
    const auto end = again.out.find('\n', at);
    const auto line = nlohmann::json::parse(again.out.substr(at, end - at));
    if (line["type"] == "savepoint") more = line["path"];
    if (line["type"] == "result") CHECK(line["status"] == "FINISHED");
    at = end + 1;
  }
  REQUIRE(says(more, "file:" + dir.path("more")));

  const auto disposed = run_command({"savepoint", "dispose", more});
  CHECK(disposed.code == 0);
  CHECK(says(disposed.out, "Savepoint '" + more + "' disposed."));
  CHECK_FALSE(dataflow::system_files().exists(more.substr(5)));
  const auto twice = run_command({"savepoint", "dispose", more});
  CHECK(twice.code == 3);
  CHECK(says(twice.err, "file_not_found"));
}

TEST_CASE("what a run cannot start from, and flags that make no sense") {
  const scratch dir;
  const auto nowhere = run_command({"run", "-q", "-s", dir.path("nowhere"), "running_sum", "--records", "10"});
  CHECK(nowhere.code == 3);
  CHECK(says(nowhere.err, "there is no checkpoint or savepoint '" + dir.path("nowhere") + "'"));
  const auto legacy = run_command({"run", "--claim-mode", "LEGACY", "running_sum"});
  CHECK(legacy.code == 2);
  CHECK(says(legacy.err, "LEGACY"));
  CHECK(says(legacy.err, "NO_CLAIM"));
  CHECK(run_command({"run", "--drain", "running_sum"}).code == 2);
  CHECK(run_command({"run", "--stop-after", "soon", "running_sum"}).code == 2);
}

TEST_CASE("dataflow savepoint check says whether a job could start from a savepoint, and runs nothing") {
  const scratch dir;
  dataflow::test::program first{run_flagged({"--stop-with-savepoint", dir.path("savepoints")})};
  REQUIRE(first.wait_for_error("Job has been submitted"));
  first.signal(SIGTERM);
  const auto path = path_in(first.wait().err);

  auto r = run_command({"savepoint", "check", path, "running_sum", "-p", "2"});
  CHECK_MESSAGE(r.code == 0, r.err);
  CHECK(says(r.out, "Job 'running_sum' can start from savepoint 1 of job 'running_sum'."));
  CHECK(says(r.out, "  goes on  "));
  CHECK(says(r.out, ", parallelism 1 -> 2"));
  CHECK_FALSE(says(r.out, "dropped"));
  r = run_command({"savepoint", "check", path, "running_sum", "--json"});
  CHECK(nlohmann::json::parse(r.out)["operators"].size() > 1);

  const std::string input = dataflow::test::source_path("README.md");
  r = run_command({"savepoint", "check", path, "count_to_files", "--input", input, "--output", dir.path("output")});
  CHECK(r.code == 3);
  CHECK(says(r.err, "unmatched_state"));
  r = run_command(
      {"savepoint", "check", path, "count_to_files", "-n", "--input", input, "--output", dir.path("output")});
  CHECK(r.code == 0);
  CHECK(says(r.out, "  dropped  "));
  CHECK(says(r.out, "  begins   "));
  CHECK(run_command({"savepoint", "check", dir.path("nowhere"), "running_sum"}).code == 3);
  CHECK(run_command({"savepoint", "check", path}).code == 2);
}
