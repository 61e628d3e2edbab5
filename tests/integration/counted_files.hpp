/// What the job library libtest_killed.so writes into its files, and what it should have written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dataflow::test {

/// The lines of all files below a directory, sorted.
std::vector<std::string> lines_below(const std::string& directory);
/// Those that the job writes once each when it has counted so many records.
std::vector<std::string> counted_lines(std::int64_t records);
/// What is missing from lines and what is there too often, in words; empty if they are as expected. Both are sorted.
std::string difference(const std::vector<std::string>& lines, const std::vector<std::string>& expected);
/// The number of the newest complete checkpoint in a job's directory; 0: there is none.
std::uint64_t newest_checkpoint(const std::string& directory);

} // namespace dataflow::test
