/// What the simulations that compare runs have in common; see simulate.hpp and simulate_nodes.hpp.
///
/// Threading: functions of what they are given. Errors: those of the file system.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace dataflow::detail {

/// Of jobs: what they draw themselves is the same in all runs.
inline constexpr std::uint64_t simulated_job_seed = 42;

/// `contents`: by path.
inline void write_all(file_system& files, const std::map<std::string, std::string>& contents) {
  for (const auto& [path, content] : contents) {
    files.create_directories(parent_directory(path));
    files.write_file(path, content);
  }
}

/// The first run that failed, or whose outcome is not the expected one; null: none.
template <class Run>
const Run* first_different(const std::vector<Run>& runs, const std::string& expected) noexcept {
  const auto different = [&](const Run& r) { return r.failure || r.outcome != expected; };
  const auto found = std::find_if(runs.begin(), runs.end(), different);
  return found == runs.end() ? nullptr : &*found;
}

/// For people: the beginnings of both.
inline std::string another_outcome(const std::string& expected, const std::string& got) {
  const auto beginning = [](const std::string& text) {
    constexpr std::size_t shown = 400;
    return text.size() <= shown ? text : text.substr(0, shown) + "...";
  };
  return "another outcome\n  expected: " + beginning(expected) + "\n  but got:  " + beginning(got);
}

} // namespace dataflow::detail
