/// `dataflow cluster start|stop`: a job manager and task managers as processes of this machine, for a developer.
///
/// Each process has a pid file in the cluster's directory, which it locks for as long as it lives: a pid file whose
/// lock is free names nobody. A process whose starter dies before it has said that all is well ends by itself. Errors:
/// storage_locked when a cluster runs there already; component_lost when a process does not come up, with the last
/// lines of its log.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <apps/dataflow/command_line.hpp>
#include <memory>
#include <string>

namespace dataflow::cli {

int start_cluster(const command_line& line);
int stop_cluster(const command_line& line);
/// `dataflow run-application`: a cluster for one job, which ends with it, and with this process.
int run_application(const command_line& line);

/// Of a process that was started this way; one that was not has neither.
class started_process {
public:
  /// Writes and locks the pid file. Errors: storage_locked.
  explicit started_process(const command_line& line);
  ~started_process();
  started_process(const started_process&) = delete;
  /// The starter died before it had said that all is well.
  bool orphaned();

private:
  std::unique_ptr<file_lock> lock_;
  int starter_ = -1;
};

} // namespace dataflow::cli
