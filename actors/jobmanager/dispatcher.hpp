/// The dispatcher: accepts jobs, starts a job master for each, keeps results, and stands between clients and jobs.
///
/// Parent: the job manager. A job master that dies is started again, within limits that each job has for itself; then
/// the job begins anew. Too many deaths fail the job, never the dispatcher. When the dispatcher itself dies, the next
/// one finds jobs and job masters in the store and goes on: running jobs notice nothing, but their job masters' deaths
/// are counted from 0 again.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/messages.hpp>
#include <dataflow/actors/supervision/supervised_children.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dataflow::actors {

struct job_history;

/// What must outlive a dispatcher. Kept by the job manager, but touched by one dispatcher at a time only: the next one
/// is started when the one before is gone.
struct job_store {
  struct record {
    std::shared_ptr<const job_submission> job;
    std::vector<caf::actor> clients; ///< who waits for it
    caf::actor master;
    job_status status = job_status::initializing;
    std::shared_ptr<const job_result> result; ///< once it has ended
    std::vector<failure_report> master_failures;
    bool cancel_requested = false;
    std::chrono::milliseconds submitted{0}, ended{0}; ///< wall time
    std::string waits_for;                            ///< resources that are missing
    std::shared_ptr<job_history> history;             ///< for its next job master
  };
  std::map<std::string, record> jobs;
};

/// dispatcher -> itself, INTERNAL, delayed: the question for which there was no job master.
struct query_again {
  query_job query;
  caf::typed_response_promise<job_report> promise;
  int left = 200; ///< times to ask
};

class dispatcher_actor final : public caf::event_based_actor {
public:
  dispatcher_actor(caf::actor_config& config, cluster_context context, std::shared_ptr<job_store> store,
                   caf::actor root, caf::actor resource_manager);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.dispatcher"; }

private:
  void adopt();
  void supervise(job_store::record& r);
  caf::actor start_master(job_store::record& r);
  void query(query_again what);
  void master_down(const caf::down_msg& m);
  void add_client(job_store::record& r, const caf::actor& client);
  bool client_down(const caf::down_msg& m);
  void ended(job_store::record& r, std::shared_ptr<const job_result> result);
  void forget_ended();
  std::string describe() const;
  jobs_listed list() const;

  cluster_context context_;
  std::shared_ptr<job_store> store_;
  caf::actor root_, resource_manager_;
  std::map<std::string, std::unique_ptr<supervised_children>> masters_; // by job, while it runs
};

/// The result of a job that ended without its job master's word.
std::shared_ptr<const job_result> lost_result(const job_store::record& r, error why);

} // namespace dataflow::actors
