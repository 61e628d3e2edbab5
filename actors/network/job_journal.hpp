/// What of jobs outlives the leading job manager, over the store of high availability: submissions with their libraries
/// before they run, results when they have ended.
///
/// Checkpoints need no entry: they lie in the job's directory below execution.checkpointing.dir, and the next leader
/// goes on from the newest. A job without such a directory begins anew.
/// Threading: safe from any thread; calls block on the store. Ownership: shares the store.
/// Errors: stale_message once another leader has come; those of the store.
/// Source: Flink's JobGraphStore, JobResultStore.
#pragma once

#include <dataflow/actors/network/artifact_store.hpp>
#include <dataflow/actors/network/messages.hpp>
#include <dataflow/api/executor.hpp>
#include <dataflow/high_availability/ha_store.hpp>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace dataflow::actors {

class job_journal {
public:
  job_journal(std::shared_ptr<ha_store> store, leader_token token, file_system& files);

  leader_token token() const noexcept { return token_; }
  /// Before the job runs; durable on return. `library`: its path; empty: a job of the program's own.
  void accepted(const std::string& id, const job_origin& origin, const std::string& library);
  /// The job has not been taken on after all.
  void refused(const std::string& id);
  /// The job is not recovered any more. Saying so again changes nothing.
  void ended(const job_result& result);

  struct unfinished_job {
    std::string id;
    std::shared_ptr<const job_origin> origin;
  };
  /// Of earlier leaders, with their libraries brought into `libraries`. One that cannot be read is logged and stays.
  std::vector<unfinished_job> unfinished(artifact_store& libraries);
  /// Of jobs that have ended under earlier leaders.
  std::vector<std::shared_ptr<const job_result>> results();

private:
  const std::shared_ptr<ha_store> store_;
  const leader_token token_;
  file_system& files_;
  std::mutex mutex_;            // guards all below
  std::set<std::string> ended_; // by id
};

} // namespace dataflow::actors
