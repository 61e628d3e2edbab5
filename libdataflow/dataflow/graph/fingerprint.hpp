/// Fingerprints of job graphs: whether a job function built the same graph twice.
///
/// No closure is ever sent: every process runs the job's function itself and compares the result with the one of the
/// job master. What user functions do is not seen, everything else is: operators, names, uids, chains, parallelism,
/// partitioning, record types with their fields, settings.
/// Threading: pure functions. Deterministic: nothing depends on addresses or on the process.
#pragma once

#include <dataflow/graph/job_graph.hpp>

#include <string>

namespace dataflow {

/// The graph as lines of text, one per setting, operator and edge.
std::string canonical_form(const job_graph& graph);

/// 32 hexadecimal digits over the canonical form.
std::string fingerprint(const job_graph& graph);

/// Where two graphs begin to differ, in words; empty when they do not.
std::string first_difference(const job_graph& one, const job_graph& other);

} // namespace dataflow
