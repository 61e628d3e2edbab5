/// From what the command line names to a graph that can be submitted.
#pragma once

#include <dataflow/api/job_library.hpp>
#include <dataflow/time/timestamp.hpp>

#include <apps/dataflow/command_line.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dataflow::cli {

/// The example jobs compiled into this program.
std::shared_ptr<const job_library> built_in_examples();

/// One line about an example; empty when there is none.
std::string_view example_description(std::string_view name);

struct built_job {
  std::string name;
  std::shared_ptr<const stream_graph> graph;
  std::vector<std::string> warnings;
  // What the graph follows from, for whoever builds it once more.
  std::shared_ptr<const job_library> library; ///< without a path: the program's own
  std::map<std::string, std::string> files;   ///< what args.file() has read
  timestamp submit_time = min_timestamp;
  std::uint64_t random_seed = 0;
};

/// Finds the job and runs its function, twice, so that a job that builds another graph each time is noticed.
/// Errors: job_not_found, those of job_library, and what the job's function throws.
built_job build_job(const command_line& line);

} // namespace dataflow::cli
