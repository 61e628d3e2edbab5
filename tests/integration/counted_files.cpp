#include <dataflow/util/file_system.hpp>

#include <algorithm>
#include <sstream>
#include <tests/integration/counted_files.hpp>

namespace test {

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

} // namespace test
