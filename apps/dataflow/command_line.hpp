/// The command line as a value: parsed by CLI11, flags and job parameters told apart.
///
/// Errors: unknown_option and invalid_option, with the near flag or verb.
#pragma once

#include <dataflow/config/configuration.hpp>
#include <dataflow/recovery/upgrade.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dataflow::cli {

enum class verb {
  run,
  run_application,
  info,
  examples,
  options,
  create,
  state,
  dispose,
  jobmanager,
  taskmanager,
  list,
  cancel,
  stop,
  savepoint,
  check_savepoint,
  checkpoint,
  upgrade,
  doctor,
  cluster_start,
  cluster_stop,
  try_job,
  simulate,
  help,
  version
};
enum class info_format { text, json, dot };

struct command_line {
  cli::verb verb = cli::verb::help;
  std::string help; ///< of verb help: what to print

  // run and info
  std::string job;   ///< a library or a built-in example
  std::string entry; ///< -c: which job of the library
  std::vector<std::string> job_arguments;
  configuration config;    ///< --config, -D, -p
  std::string config_file; ///< --config; empty: none
  bool detached = false, quiet = false, json = false, metrics = false, explain = false;
  info_format format = info_format::text;

  // run
  std::optional<std::string> stop_with_savepoint;      ///< where it goes; empty text: as configured
  std::optional<std::chrono::milliseconds> stop_after; ///< from the submission on
  bool drain = false;

  // savepoint dispose and check
  std::string savepoint;

  // doctor
  std::vector<std::string> reach; ///< "host:port" that should answer
  // clusters of processes
  bool remote = false;          ///< run: on a cluster, because of -m or to_leader
  bool to_leader = false;       ///< no -m, and high-availability.type says that there is a leader to be found
  bool all = false;             ///< list: jobs that have ended, too
  std::string job_id;           ///< of what runs there
  std::string target_directory; ///< of a savepoint; empty: as configured
  upgrade_mode mode = upgrade_mode::savepoint;
  std::chrono::milliseconds patience{300'000}; ///< upgrade: until a job runs and has made a checkpoint
  std::string library;                         ///< try-job
  unsigned task_managers = 1;                  ///< cluster start and run-application
  std::string cluster_directory;               ///< of its pid files and logs; empty: the user's own in io.tmp.dirs
  std::string pid_file;                        ///< of jobmanager and taskmanager, started by cluster start
  int starter = -1;                            ///< the same: a pipe from which it hears that all is well

  // simulate
  struct {
    std::uint32_t nodes = 2, job_managers = 2, faults = 10;
    std::uint64_t seeds = 100, first_seed = 1;
    std::vector<std::string> copies; ///< paths of files that the simulated disk has, too
  } simulate;

  // options
  bool markdown = false, yaml = false;

  // new
  std::string name, directory;

  // state
  struct {
    std::string action; ///< list, inspect, get, diff, export or rewrite
    std::string checkpoint, other, state, key;
    std::string with, to; ///< rewrite
    std::size_t top = 10;
  } state;
};

command_line parse_command_line(const std::vector<std::string>& arguments);

/// Long names of run's flags, without dashes.
std::vector<std::string> run_flags();

} // namespace dataflow::cli
