// The example count_to_files from the command line.
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <tests/integration/program.hpp>

using dataflow::test::scratch;

namespace count_to_files_test {

std::multiset<std::string> published(const std::string& directory) {
  std::multiset<std::string> all;
  auto& files = dataflow::system_files();
  for (const auto& f : dataflow::find_files(files, directory)) {
    std::istringstream text{files.read_file(f.path)};
    for (std::string line; std::getline(text, line);)
      all.insert(line);
  }
  return all;
}

} // namespace count_to_files_test

TEST_CASE("count_to_files publishes a count for every line, with checkpoints in memory or on disk") {
  const scratch dir;
  const auto in = dir.file("in.txt", "to be\nor not\nto be\n");
  for (const bool on_disk : {false, true}) {
    const auto out = dir.path(on_disk ? "out-disk" : "out");
    std::vector<std::string> command{"run", "-q", "-p", "2", "count_to_files", "--input", in, "--output", out};
    if (on_disk) command.insert(command.end(), {"--checkpoints", dir.path("checkpoints")});
    const auto r = dataflow::test::dataflow(command);
    CHECK_MESSAGE(r.code == 0, r.err);
    CHECK(count_to_files_test::published(out) == std::multiset<std::string>{"or,1", "to,1", "to,2"});
    for (auto& entry : dataflow::system_files().list(out + "/.in-progress"))
      CHECK_MESSAGE(false, entry.name);
  }
}

TEST_CASE("count_to_files says what it needs") {
  const auto r = dataflow::test::dataflow({"run", "-q", "count_to_files"});
  CHECK(r.code != 0);
  CHECK(r.err.find("--output DIRECTORY") != std::string::npos);
}
