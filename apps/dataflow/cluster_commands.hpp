/// The commands that are processes of a cluster, and those that talk to one. Each returns the process's exit code.
#pragma once

#include <dataflow/api/executor.hpp>

#include <apps/dataflow/command_line.hpp>
#include <apps/dataflow/jobs.hpp>
#include <memory>

namespace dataflow::actors {
class remote_cluster;
struct job_origin;
} // namespace dataflow::actors

namespace dataflow::cli {

/// `dataflow jobmanager`
int run_job_manager(const command_line& line);
/// `dataflow taskmanager`
int run_task_manager(const command_line& line);

/// `dataflow list`, `cancel`, `stop`, `savepoint <job>`, `checkpoint`
int list_jobs(const command_line& line);
int cancel_job(const command_line& line);
int stop_job(const command_line& line);
int take_savepoint(const command_line& line);
int take_checkpoint(const command_line& line);

/// `dataflow upgrade`
int upgrade_job(const command_line& line);

/// `dataflow run -m host:port`: uploads the library and submits the job.
std::shared_ptr<job_client> submit_remotely(const command_line& line, const built_job& job);

/// The cluster that the command line names.
std::shared_ptr<actors::remote_cluster> cluster_of(const command_line& line);
/// Uploads the library; what the job is submitted with.
actors::job_origin origin_of(actors::remote_cluster& cluster, const command_line& line, const built_job& job);
/// Savepoints are written by the cluster's processes: what is relative here is meant from here.
std::string absolute(const std::string& directory);

} // namespace dataflow::cli
