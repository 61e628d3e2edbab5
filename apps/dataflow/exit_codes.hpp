/// Exit codes of the command line; documented in docs/command-line.md. "Do not change": scripts rely on them.
#pragma once

#include <dataflow/util/error.hpp>

namespace dataflow::cli {

enum exit_code : int {
  exit_success = 0,       ///< done; of run: the job is FINISHED
  exit_job_failed = 1,    ///< the job is FAILED, or was cancelled from elsewhere
  exit_unhealthy = 1,     ///< of doctor: something will not work
  exit_usage = 2,         ///< an unknown or invalid flag, configuration key or job parameter
  exit_not_runnable = 3,  ///< no such job, a bad library, a graph that cannot run, a file that cannot be read
  exit_internal = 70,     ///< a broken invariant; please report it
  exit_interrupted = 130, ///< Ctrl-C (143 for SIGTERM): the job was cancelled, or the program aborted
  exit_terminated = 143,
};

/// Of an error before the job runs.
inline int exit_code_of(const error& e) noexcept {
  switch (e.code()) {
  case errc::unknown_option:
  case errc::invalid_option:
  case errc::missing_parameter:
    return exit_usage;
  case errc::internal:
    return exit_internal;
  default:
    return exit_not_runnable;
  }
}

} // namespace dataflow::cli
