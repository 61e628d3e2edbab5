/// The task manager: offers slots, restarts those that die, and stops tasks on request.
///
/// Parent: the job manager. Strategy one-for-one: a slot that dies is replaced by a new one; too many deaths end the
/// task manager. When it dies its slots and their tasks die with it.
#pragma once

#include <dataflow/actors/supervision/supervised_children.hpp>
#include <dataflow/actors/taskmanager/slot.hpp>

namespace dataflow::actors {

class task_manager_actor final : public caf::event_based_actor {
public:
  /// index: never used twice in a cluster; ids of slots are made from it.
  task_manager_actor(caf::actor_config& config, cluster_context context, std::uint32_t index, std::uint32_t slots,
                     caf::actor resource_manager);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.task-manager"; }

private:
  void add_new_slots(std::uint32_t count);
  caf::actor spawn_slot(const std::string& name);
  void offer(std::vector<slot_offer> slots);

  cluster_context context_;
  const std::uint32_t index_;
  const std::uint32_t initial_slots_;
  caf::actor resource_manager_;
  std::shared_ptr<task_registry> registry_ = std::make_shared<task_registry>();
  std::shared_ptr<local_state> local_;
  supervised_children children_;
  std::map<std::string, slot_offer> slots_; // by child
  std::vector<slot_offer> new_slots_;       // not offered yet
  bool adding_ = false;                     // several at once
  std::uint64_t next_slot_ = 0;
};

} // namespace dataflow::actors
