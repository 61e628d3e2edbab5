/// `dataflow run --detached`: the job goes on in a process of its own, in the background.
///
/// Threading: call before any thread is started (it forks).
#pragma once

#include <functional>
#include <string>

namespace dataflow::cli {

/// Runs `body` in a new session, its output in `log`, and returns the exit code for the foreground process.
/// body(tell) calls tell(exit code, text) once it knows how the start went: the foreground prints the text and exits.
/// What body returns is the background process's exit code.
int run_detached(const std::string& log, const std::function<int(std::function<void(int, const std::string&)>)>& body);

} // namespace dataflow::cli
