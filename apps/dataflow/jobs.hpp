/// From what the command line names to a graph that can be submitted.
#pragma once

#include <dataflow/api/job_library.hpp>

#include <apps/dataflow/command_line.hpp>
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
};

/// Finds the job and runs its function, twice, so that a job that builds another graph each time is noticed.
/// Errors: job_not_found, those of job_library, and what the job's function throws.
built_job build_job(const command_line& line);

} // namespace dataflow::cli
