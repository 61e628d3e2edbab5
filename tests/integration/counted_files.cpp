#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <poll.h>
#include <sstream>
#include <tests/integration/counted_files.hpp>
#include <tests/support/tree_paths.hpp>

namespace dataflow::test {

std::vector<std::string> counted_job(const scratch& dir, std::int64_t records, const std::string& rate,
                                     std::vector<std::string> flags, const std::string& library) {
  const std::string own = build_path("tests/job_libraries/libtest_killed.so");
  flags.insert(flags.end(), {library.empty() ? own : library, "--checkpoints", dir.path("checkpoints"), "--output",
                             dir.path("output"), "--records", std::to_string(records), "--rate", rate});
  return flags;
}

std::vector<std::string> lines_below(const std::string& directory) {
  using namespace dataflow;
  std::vector<std::string> lines;
  for (const auto& f : find_files(system_files(), directory)) {
    std::istringstream text{system_files().read_file(f.path)};
    for (std::string line; std::getline(text, line);)
      lines.push_back(line);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> counted_lines(std::int64_t records) {
  std::vector<std::string> lines;
  for (std::int64_t i = 0; i < records; ++i)
    lines.push_back(std::to_string(i % 7) + "," + std::to_string(i / 7 + 1));
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string difference(const std::vector<std::string>& lines, const std::vector<std::string>& expected) {
  const auto told = [](const char* what, const std::vector<std::string>& these) {
    if (these.empty()) return std::string{};
    return std::string{what} + " " + std::to_string(these.size()) + ", from " + these.front() + " to " + these.back() +
           "; ";
  };
  std::vector<std::string> missing, extra;
  std::set_difference(expected.begin(), expected.end(), lines.begin(), lines.end(), std::back_inserter(missing));
  std::set_difference(lines.begin(), lines.end(), expected.begin(), expected.end(), std::back_inserter(extra));
  return told("missing:", missing) + told("too often:", extra);
}

std::uint64_t newest_checkpoint(const std::string& directory) {
  using namespace dataflow;
  std::uint64_t newest = 0;
  if (!system_files().exists(directory)) return newest;
  for (const auto& entry : system_files().list(directory))
    if (entry.name.starts_with("chk-") && system_files().exists(directory + "/" + entry.name + "/_metadata"))
      newest = std::max<std::uint64_t>(newest, std::stoull(entry.name.substr(4)));
  return newest;
}

void wait_for_checkpoint(const std::string& directory, std::uint64_t number) {
  while (newest_checkpoint(directory) < number)
    ::poll(nullptr, 0, 10);
}

void check_counted(program& run, const scratch& dir, std::int64_t records, bool restarted) {
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK_MESSAGE((end.err.find("Restarts: ") != std::string::npos) == restarted, end.err);
  CHECK(difference(lines_below(dir.path("output")), counted_lines(records)) == "");
}

} // namespace dataflow::test
