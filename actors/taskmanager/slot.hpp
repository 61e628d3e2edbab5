/// A slot: runs one subtask of each vertex of a slot sharing group, as children; tells the job master when one dies.
///
/// Parent: a task manager. When the slot dies it kills its tasks; the job masters that have it notice by themselves.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/taskmanager/task.hpp>
#include <dataflow/metrics/registry.hpp>

#include <caf/event_based_actor.hpp>

#include <map>
#include <mutex>
#include <set>

namespace dataflow::actors {

/// The tasks of one task manager, for whoever must reach them without waiting for their mailboxes.
/// Threading: safe from any thread.
class task_registry {
public:
  struct entry {
    metric_scope scope;
    std::shared_ptr<task_control> control;
    caf::actor task;
  };
  void add(const std::string& job, task_key key, entry e, steady_time now);
  void remove_job(const std::string& job);
  /// Nothing when another attempt has taken its place.
  void remove(const std::string& job, task_key key, const caf::actor_addr& task);
  /// Sets the pause flag; empty when the task is not known.
  caf::actor pause(const std::string& job, task_key key);
  /// What the tasks of a job have counted.
  metrics_snapshot metrics(const std::string& job, steady_time now) const { return metrics_.snapshot(now, job); }
  std::vector<task_event_time> event_times(const std::string& job, steady_time now) const {
    return metrics_.event_times(now, job);
  }
  void clear();

private:
  metric_registry metrics_;
  mutable std::mutex mutex_;
  std::map<std::string, std::map<task_key, entry>> jobs_;
};

class slot_actor final : public caf::event_based_actor {
public:
  slot_actor(caf::actor_config& config, std::uint64_t id, cluster_context context,
             std::shared_ptr<task_registry> registry, std::shared_ptr<local_state> local);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.slot"; }

private:
  struct child {
    task_key key;
    std::string job;
    caf::actor job_master;
    std::shared_ptr<task_control> control;
  };
  void deploy(const deploy_task& m);
  void await_code(const deploy_task& m);
  void spawn_task(const deploy_task& m, std::shared_ptr<const restored_operators> restored, task_disk disk);
  const caf::actor& state_keeper();
  caf::actor keeper_for(const job_description& job);
  void task_down(const caf::down_msg& m);
  void kill_tasks(const caf::actor_addr& job_master);

  const std::uint64_t id_;
  cluster_context context_;
  std::shared_ptr<task_registry> registry_;
  std::shared_ptr<local_state> local_;
  std::map<caf::actor_addr, child> tasks_;
  std::set<caf::actor_addr> masters_; // monitored job masters
  caf::actor state_keeper_;           // once a job with checkpoints was here
};

} // namespace dataflow::actors
