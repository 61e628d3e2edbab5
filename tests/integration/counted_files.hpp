/// What the job library libtest_killed.so writes into its files, and what it should have written.
#pragma once

#include <cstdint>
#include <string>
#include <tests/integration/program.hpp>
#include <vector>

namespace dataflow::test {

/// Behind `flags`, the job and its parameters: so many records, so many of them in a second. `library`: of another one,
/// with the same parameters.
std::vector<std::string> counted_job(const scratch& dir, std::int64_t records, const std::string& rate,
                                     std::vector<std::string> flags = {}, const std::string& library = {});
/// The lines of all files below a directory, sorted.
std::vector<std::string> lines_below(const std::string& directory);
/// Those that the job writes once each when it has counted so many records.
std::vector<std::string> counted_lines(std::int64_t records);
/// What is missing from lines and what is there too often, in words; empty if they are as expected. Both are sorted.
std::string difference(const std::vector<std::string>& lines, const std::vector<std::string>& expected);
/// The number of the newest complete checkpoint in a job's directory; 0: there is none.
std::uint64_t newest_checkpoint(const std::string& directory);
/// Waits until it has this number, or a larger one.
void wait_for_checkpoint(const std::string& directory, std::uint64_t number);
/// Waits for the end of who runs such a job: it has finished, after a restart or without one, and every line is there
/// once.
void check_counted(program& run, const scratch& dir, std::int64_t records, bool restarted);

} // namespace dataflow::test
