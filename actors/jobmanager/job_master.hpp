/// The job master: runs one job. Gets slots, deploys and connects tasks, hosts the sources' enumerators, restarts what
/// fails, collects results, and reports to the dispatcher.
///
/// Thin: what happens when is decided by dataflow::job_execution. Parent: the dispatcher, but it outlives one that
/// dies; it ends with the job manager.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/jobmanager/source_coordinator.hpp>
#include <dataflow/metrics/registry.hpp>
#include <dataflow/recovery/job_execution.hpp>
#include <dataflow/time/watermark_group.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <map>
#include <optional>
#include <set>

namespace dataflow::actors {

class job_master_actor final : public caf::event_based_actor {
public:
  job_master_actor(caf::actor_config& config, cluster_context context, std::shared_ptr<const job_submission> job,
                   caf::actor root, caf::actor dispatcher, caf::actor resource_manager);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.job-master"; }

private:
  struct deployed_task {
    caf::actor actor; ///< of the present attempt
    std::map<std::string, std::int64_t> accumulators;
    std::vector<std::pair<std::uint64_t, std::string>> results;
  };

  void start();
  void build();
  void request_missing_slots();
  void apply(job_actions actions);
  void deploy(region_index r);
  void deploy_waiting();
  void connect_if_ready(region_index r);
  void prepare_sources(region_index r);
  void watermark_reported(const watermark_report& m);
  void announce(vertex_index source);
  const source_factories& source_of(task_index t) const;
  void task_deployed_at(const task_deployed& m);
  void task_changed(const task_update& m);
  void slot_lost(const caf::actor_addr& who);
  void fail_job(const error& e);
  void set_status(job_status s);
  void end();
  void finish(job_report report);
  void fail_unbuilt(error why);
  void give_back(const std::vector<slot_offer>& slots);
  void gather(std::function<void(job_report)> then);
  void add_unheard(metrics_snapshot& metrics) const;
  job_report basic_report() const;
  bool current(task_key key) const;
  task_key key_of(task_index t) const { return {t, execution_->attempt_of(t)}; }
  caf::actor slot_of(task_index t) const;
  std::string title(task_index t) const;
  std::chrono::milliseconds now() const;

  cluster_context context_;
  const std::shared_ptr<const job_submission> job_;
  const caf::actor_addr root_;
  caf::actor dispatcher_, resource_manager_;
  std::shared_ptr<const execution_plan> plan_;
  std::shared_ptr<const job_description> description_;
  std::optional<job_execution> execution_;
  std::vector<deployed_task> tasks_;
  std::vector<std::optional<slot_offer>> slots_; // by slot of the plan
  std::vector<region_index> waiting_regions_;    // for slots
  bool slots_requested_ = false;
  metric_registry metrics_; // of the job's own scope
  const std::shared_ptr<counter_cell> restarts_;
  std::map<vertex_index, source_coordinator> sources_;
  std::map<std::string, watermark_group> alignment_; // by group
  std::set<vertex_index> announcing_;                // sources whose readers are told their limit at the interval
  std::vector<failure_report> failures_;
  job_status reported_ = job_status::initializing;
  std::chrono::milliseconds started_{0};
  bool cancel_requested_ = false; // before there was something to cancel
  bool ended_ = false;
  std::shared_ptr<const job_result> result_; // kept until the dispatcher has it
  std::uint32_t stale_ = 0;
};

/// The graph as it will run under these settings; throws invalid_graph and the like. Used by clients before they
/// submit, so that mistakes are thrown where they were made.
std::shared_ptr<const execution_plan> plan_of(const job_submission& job);

} // namespace dataflow::actors
