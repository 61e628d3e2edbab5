/// Reads and writes the state of one slot's tasks, so that neither the scheduler's workers nor the job master wait for
/// a disk.
///
/// Parent: a slot, which is linked to it: when one dies, so does the other. On a thread of its own where the cluster
/// has such. What goes wrong is said to whoever waits: a checkpoint is declined, a task fails.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/checkpoint/local_copies.hpp>

#include <caf/event_based_actor.hpp>

#include <map>
#include <memory>
#include <string>

namespace dataflow::actors {

class state_keeper_actor final : public caf::event_based_actor {
public:
  state_keeper_actor(caf::actor_config& config, std::shared_ptr<const void> alive, std::shared_ptr<local_state> local);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.state-keeper"; }

private:
  std::shared_ptr<const restored_operators> read(const deploy_task& task, task_disk& disk, checkpoint_objects& objects);
  void write(const write_snapshot& m);
  local_copies* copies_of(const std::string& job, const checkpoint_access& access);

  std::shared_ptr<const void> alive_; ///< see cluster_context
  std::shared_ptr<local_state> local_;
  std::map<std::string, std::unique_ptr<local_copies>> copies_; ///< by job
};

} // namespace dataflow::actors
