/// The commands that are processes of a cluster, and those that talk to one. Each returns the process's exit code.
#pragma once

#include <dataflow/api/executor.hpp>

#include <apps/dataflow/command_line.hpp>
#include <apps/dataflow/jobs.hpp>
#include <memory>

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

/// `dataflow run -m host:port`: uploads the library and submits the job.
std::shared_ptr<job_client> submit_remotely(const command_line& line, const built_job& job);

} // namespace dataflow::cli
