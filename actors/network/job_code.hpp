/// From a job's origin to its graph: loading the library, running the job's function with what was captured at
/// submission.
///
/// Threading: pure but for the libraries that stay loaded; build_graph() is one call at a time per library. It runs the
/// job's code: not where a crash must not happen.
/// Errors: those of job_library and of the job's function; invalid_graph for a job that cannot run on a cluster.
#pragma once

#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/messages.hpp>
#include <dataflow/api/job_library.hpp>
#include <dataflow/util/platform.hpp>

#include <functional>
#include <memory>
#include <string>

namespace dataflow::actors {

/// The jobs of the program itself, for origins without an artifact; null: it has none.
using program_jobs = std::shared_ptr<const job_library>;

/// `path`: where the artifact lies; not used for a job of the program's own.
std::shared_ptr<const job_library> library_of(const job_origin& origin, const std::string& path,
                                              const program_jobs& own);

/// Throws incompatible_library when the graph is not the one that the client has built: the job's function takes
/// something from elsewhere than its inputs.
std::shared_ptr<const stream_graph> build_graph(const job_origin& origin,
                                                const std::shared_ptr<const job_library>& library);

/// What origin.fingerprint is made of.
std::string fingerprint_of(const std::shared_ptr<const stream_graph>& graph);

/// Builds the graph where a crash does no harm, and throws what is wrong with it. The default builds it right here.
using job_trial = std::function<void(const job_origin& origin, const std::string& path)>;

/// What a task manager makes of an announced job. `settings`: of this task manager; its directories win over the job's.
/// `place`: id of the task manager, which makes names of stored objects unique.
std::shared_ptr<const job_description> describe_job(const prepare_job& job,
                                                    const std::shared_ptr<const job_library>& library,
                                                    const configuration& settings, const std::string& place,
                                                    const platform& world);

/// Cluster's settings with those of a submission on top.
configuration merged(const configuration& cluster, const configuration& job);

} // namespace dataflow::actors
