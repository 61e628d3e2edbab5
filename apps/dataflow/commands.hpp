/// The commands that work on jobs. Each returns the process's exit code; errors before the job runs are thrown.
#pragma once

#include <apps/dataflow/command_line.hpp>

namespace dataflow {
class error;
}

namespace dataflow::cli {

/// `dataflow run`
int run(const command_line& line);
/// `dataflow info`
int info(const command_line& line);

/// `dataflow simulate`
int simulate(const command_line& line);

/// `dataflow state`
int show_state(const command_line& line);
/// `dataflow state rewrite`
int rewrite_state(const command_line& line, const std::string& uid, const std::string& state);

/// `dataflow savepoint dispose`
int dispose(const command_line& line);
/// `dataflow savepoint check`
int check_savepoint(const command_line& line);

/// `dataflow doctor`
int doctor(const command_line& line);

/// "file:/..." with the whole path, as savepoints are named in messages.
std::string uri_of(const std::string& path);

/// "error: ..." with the advice on a line of its own; as JSON when asked for.
void report_error(const error& e, bool json);

} // namespace dataflow::cli
