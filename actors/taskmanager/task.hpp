/// The task actor: one subtask of a job, with one mailbox.
///
/// Data handlers only enqueue; a run_step message to itself runs the subtask for a slice of time. All logic is in
/// dataflow::subtask; this actor carries elements, credit and splits, and reports state to the job master.
/// Parent: a slot. Ends: FINISHED, CANCELED or FAILED are reported; any other death is seen by the slot.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/link_messages.hpp>
#include <dataflow/metrics/task_metrics.hpp>
#include <dataflow/task/subtask.hpp>
#include <dataflow/util/platform.hpp>

#include <caf/event_based_actor.hpp>

namespace dataflow::actors {

/// What others in the process may touch while the task runs.
struct task_control {
  std::shared_ptr<task_metrics> metrics = std::make_shared<task_metrics>();
  /// Set from any thread: the task stops after the record at hand and looks into its mailbox.
  std::shared_ptr<std::atomic<bool>> pause = std::make_shared<std::atomic<bool>>(false);
  std::atomic<task_status> status{task_status::deploying};
};

struct task_arguments {
  std::shared_ptr<const job_description> job;
  task_key key;
  caf::actor job_master;
  platform* world = nullptr;
  std::shared_ptr<task_control> control;
  std::shared_ptr<const void> alive;                  ///< see cluster_context
  std::function<void(const sent_element&)> sent;      ///< see cluster_context
  std::shared_ptr<const restored_operators> restored; ///< null: it begins
  caf::actor state_keeper;                            ///< of the slot; null where there are no checkpoints
  task_disk disk;
  source_trace trace = {};           ///< see deploy_task
  std::shared_ptr<data_links> links; ///< see cluster_context
};

class task_actor final : public caf::event_based_actor, public subtask_host {
public:
  task_actor(caf::actor_config& config, task_arguments arguments);
  ~task_actor() override;
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.task"; }

private:
  // subtask_host
  void send(std::uint32_t gate, std::uint32_t channel, std::uint64_t sequence, std::uint64_t bytes, element e) override;
  void grant(std::uint32_t channel, std::uint32_t batches, std::uint64_t bytes) override;
  void request_split() override;
  void record_skipped(const record_origin& record) override;
  void report_result(std::uint64_t collector, std::string bytes) override;
  void report_watermark(timestamp watermark) override;
  void barrier_passed(std::int64_t checkpoint) override;
  void snapshot_taken(subtask_snapshot snapshot) override;
  void awaits_checkpoint() override;
  std::function<void()> wake_up() override;

  void start(start_task& m);
  void reach_peers(const std::vector<task_manager_address>& places);
  void receive(const element_received& m);
  void step();
  void schedule_step();
  void arm_timer(steady_time at);
  void report(task_status status, error failure = {}, std::shared_ptr<const record_origin> failed_at = {});
  void fail(error e, std::shared_ptr<const record_origin> failed_at = {});
  bool current(task_key key) const noexcept { return key == arguments_.key; }
  bool current(std::uint32_t attempt);
  template <class F>
  void guarded(F&& f);

  task_arguments arguments_;
  std::unique_ptr<subtask> subtask_;
  std::vector<std::vector<channel_peer>> outputs_;
  std::vector<channel_peer> inputs_;
  bool running_ = false, step_pending_ = false, ended_ = false, stale_logged_ = false;
  std::string log_name_; ///< the task with its subtask and attempt
  steady_time armed_ = step_result::never;
  std::uint64_t last_checkpoint_ = 0; // whose barrier has passed
};

} // namespace dataflow::actors
