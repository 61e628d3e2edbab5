/// A job's library and graph function are run in a process of their own first: what crashes there harms nobody.
///
/// Threading: any thread. Errors: those of building the graph; bad_job_library when that process died of it;
/// timed_out after a minute.
#pragma once

#include <dataflow/actors/network/messages.hpp>

#include <string>

namespace dataflow::cli {

/// Starts this program once more, as `dataflow try-job <path>`, and waits for its word.
void try_in_child(const actors::job_origin& origin, const std::string& path);

/// `dataflow try-job [library]`, started by the above: the origin comes on standard input, the word goes to standard
/// output.
int try_job(const std::string& path);

} // namespace dataflow::cli
