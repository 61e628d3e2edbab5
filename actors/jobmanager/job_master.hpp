/// The job master: runs one job. Gets slots, deploys and connects tasks, hosts the sources' enumerators, restarts what
/// fails, collects results, and reports to the dispatcher.
///
/// Thin: what happens when is decided by dataflow::job_execution. Parent: the dispatcher, but it outlives one that
/// dies; it ends with the job manager.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/jobmanager/checkpoint_actor.hpp>
#include <dataflow/actors/jobmanager/job_history.hpp>
#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/jobmanager/source_coordinator.hpp>
#include <dataflow/actors/supervision/supervised_children.hpp>
#include <dataflow/metrics/registry.hpp>
#include <dataflow/recovery/job_execution.hpp>
#include <dataflow/recovery/poisoned_records.hpp>
#include <dataflow/resources/adaptive_parallelism.hpp>
#include <dataflow/time/watermark_group.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/message_handler.hpp>
#include <caf/response_promise.hpp>
#include <caf/typed_response_promise.hpp>

#include <map>
#include <optional>
#include <set>

namespace dataflow::actors {

class job_master_actor final : public caf::event_based_actor {
public:
  job_master_actor(caf::actor_config& config, cluster_context context, std::shared_ptr<const job_submission> job,
                   std::shared_ptr<job_history> history, caf::actor root, caf::actor dispatcher,
                   caf::actor resource_manager);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.job-master"; }

private:
  struct deployed_task {
    caf::actor actor; ///< of the present attempt
    std::map<std::string, std::int64_t> accumulators;
    std::vector<std::pair<std::uint64_t, std::string>> results;
    std::map<std::uint64_t, std::size_t> results_at; ///< by checkpoint: how many came before its barrier
    std::uint64_t last_checkpoint = 0;               ///< of a task at its end: whose barrier it has seen
    std::uint64_t last_word = 0;                     ///< the last checkpoint that it has acknowledged or declined
    bool awaits_last = false;                        ///< its input has ended, and it waits for one more checkpoint
    std::uint64_t records_read = 0;                  ///< by the attempt before, of a source
  };

  void start();
  void build();
  void request_missing_slots();
  void apply(job_actions actions);
  void deploy(region_index r);
  void deploy_waiting();
  void prepare_task_managers(region_index r);
  void deploy_region(region_index r, const restore_from& from);
  void connect_if_ready(region_index r);
  void prepare_sources(region_index r, const restore_from& from);
  void watermark_reported(const watermark_report& m);
  void announce(vertex_index source);
  const source_factories& source_of(task_index t) const;
  void task_deployed_at(const task_deployed& m);
  void task_changed(const task_update& m);
  void slots_lost(const std::vector<caf::actor_addr>& who, const error& why);
  void fail_job(const error& e);
  void set_status(job_status s);
  void end();
  void finish(job_report report);
  void fail_unbuilt(error why);
  void give_back(const std::vector<slot_offer>& slots);
  bool current(task_key key) const;
  task_key key_of(task_index t) const { return {t, execution_->attempt_of(t)}; }
  caf::actor slot_of(task_index t) const;
  std::string title(task_index t) const;
  std::chrono::milliseconds now() const;
  std::uint32_t restarts() const { return history_->restarts + (execution_ ? execution_->restarts() : 0); }

  // job_master_report.cpp
  void gather(std::function<void(job_report)> then);
  void add_unheard(metrics_snapshot& metrics) const;
  job_report basic_report() const;

  // job_master_scaling.cpp
  void build_scaling(const configuration& settings);
  void watch_slots_of(const caf::actor& resource_manager);
  void slots_changed();
  void look_at_scaling();
  void arm_scaling(std::chrono::milliseconds at);
  void rescale(std::uint32_t limit);
  void replan(std::uint32_t limit);
  std::chrono::milliseconds replans_at(std::chrono::milliseconds now) const;
  bool may_grow() const;
  std::uint32_t limit() const;

  // job_master_records.cpp
  void look_for_record(const task_update& m);
  source_trace trace_of(task_index t);

  // job_master_checkpoints.cpp
  void build_checkpoints(const configuration& settings, std::uint64_t seed);
  void start_coordinator();
  void end_checkpoints();
  caf::actor coordinator() const;
  void coordinator_started(const caf::actor& who);
  void tell_coordinator(task_key key, checkpoint_task_changed::change what);
  void finished_for_coordinator(task_index t);
  template <class Word>
  void pass_word(const Word& m);
  caf::message_handler checkpoint_behavior();
  const std::string& source_uid(vertex_index v);
  void release_sources();
  void choose_restore_point();
  void cut_results(task_index t, std::uint64_t checkpoint);
  std::vector<operator_restore> restore_of(task_index t, const restore_from& from) const;
  caf::response_promise take_checkpoint(const request_checkpoint& m);
  void stopping_at(const checkpoint_done& m);
  void stop_failed(const error& why);
  void answer_stop();
  void answer_all();

  cluster_context context_;
  const std::shared_ptr<const job_submission> job_;
  const caf::actor_addr root_;
  caf::actor dispatcher_, resource_manager_;
  std::shared_ptr<const execution_plan> plan_;
  std::shared_ptr<const job_description> description_;
  std::optional<job_execution> execution_;
  poisoned_records poisoned_;
  std::vector<deployed_task> tasks_;
  std::vector<std::optional<slot_offer>> slots_; // by slot of the plan
  std::vector<region_index> waiting_regions_;    // for slots
  bool slots_requested_ = false;
  std::optional<adaptive_parallelism> scaling_; // of an adaptive job
  std::uint32_t free_slots_ = 0;                // that it could have
  std::optional<std::chrono::milliseconds> scaling_armed_;
  bool rescaling_ = false;  // a checkpoint is taken for it
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
  bool told_ = false;                        // it was sent to a dispatcher
  std::uint32_t stale_ = 0;

  const std::shared_ptr<job_history> history_;

  // Checkpoints; without work there are none.
  std::shared_ptr<const checkpoint_work> checkpoint_work_;
  std::shared_ptr<const checkpoint_access> checkpoint_access_;
  bool coordinated_ = false;                             // a coordinator was started
  std::map<std::uint64_t, caf::response_promise> asked_; // for savepoints that end the job
  std::map<std::uint64_t, caf::response_promise> asked_for_reports_;
  std::uint64_t next_asked_ = 0;
  /// Whoever asked for a stop, and waits for its end.
  struct {
    std::optional<caf::response_promise> promise;
    checkpoint_taken taken;
    bool complete = false; // the savepoint is; tasks come to their ends
  } stop_;
  supervised_children children_;       // the coordinator
  std::vector<region_index> choosing_; // regions that wait for the word from where they go on
  bool choosing_asked_ = false;
  bool doubted_ = false;              // what a task has read was damaged
  std::set<std::uint64_t> under_way_; // checkpoints that tasks may know of
  std::map<vertex_index, std::string> source_uids_;
  checkpoint_statistics checkpoints_;
  struct {
    std::shared_ptr<counter_cell> completed, failed, in_progress, last_bytes, last_duration;
  } checkpoint_cells_;
};

} // namespace dataflow::actors
