#include <dataflow/api/job_library.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <map>
#include <sstream>
#include <tests/integration/program.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;

namespace {

std::shared_ptr<job_client> submit_layout(const std::string& version, const std::string& out,
                                          const std::shared_ptr<executor>& runner) {
  const auto lib =
      job_library::load(dataflow::test::build_path("tests/job_libraries/libtest_layout_") + version + ".so");
  environment_options options;
  options.runner = runner;
  options.code = lib;
  environment env{options};
  lib->build("sum_measurements", env, parameters::from_map({{"out", out}}));
  return env.execute_async("layout " + version);
}

/// The last sum of each group.
std::map<std::string, std::int64_t> last_sums(const std::string& directory) {
  std::map<std::string, std::int64_t> sums;
  for (const auto& f : find_files(system_files(), directory)) {
    std::istringstream lines{system_files().read_file(f.path)};
    for (std::string line; std::getline(lines, line);)
      sums[line.substr(0, line.find('='))] = std::stoll(line.substr(line.find('=') + 1));
  }
  return sums;
}

} // namespace

TEST_CASE("two versions of a job with different layouts of a record of the same name run in one process") {
  const dataflow::test::scratch dir;
  const auto runner = default_executor(configuration{});
  for (int round = 0; round < 3; ++round) {
    const auto out1 = dir.path("one" + std::to_string(round)), out2 = dir.path("two" + std::to_string(round));
    const auto one = submit_layout("1", out1, runner);
    const auto two = submit_layout("2", out2, runner);
    one->wait().raise();
    two->wait().raise();
    std::map<std::string, std::int64_t> expected1, expected2;
    for (std::int64_t n = 1; n <= 30'000; ++n)
      expected1[std::to_string(n % 3)] += n;
    for (const auto& [group, sum] : expected1)
      expected2[group] = sum / 2;
    CHECK(last_sums(out1) == expected1);
    CHECK(last_sums(out2) == expected2);
  }
}
