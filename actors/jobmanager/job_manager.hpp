/// The job manager: the root of the tree. Its children are the dispatcher, the resource manager and, in an embedded
/// cluster, the task managers; its strategy is one-for-one: what dies is started again,
/// within limits; beyond them it escalates by ending with the causes.
///
/// When it ends, everything below it ends; clients see it go.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/jobmanager/dispatcher.hpp>
#include <dataflow/actors/supervision/supervised_children.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace dataflow::actors {

class job_manager_actor final : public caf::event_based_actor {
public:
  /// slots: of each task manager.
  job_manager_actor(caf::actor_config& config, cluster_context context, std::uint32_t task_managers,
                    std::uint32_t slots);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.job-manager"; }

private:
  void start_children();
  void started(const std::string& id, const caf::actor& child);
  template <class Message>
  caf::response_promise to_dispatcher(const Message& m);
  caf::response_promise describe();
  void register_remote(const register_slots& m);
  caf::response_promise task_manager_gone(const task_manager_lost& m);
  template <class T, class... Args>
  caf::actor spawn_child(std::string_view kind, Args&&... args);

  cluster_context context_;
  const std::uint32_t task_manager_count_, slots_;
  std::shared_ptr<job_store> store_ = std::make_shared<job_store>();
  supervised_children children_;
  std::vector<std::function<void(const caf::actor&)>> waiting_; // requests that came while there was no dispatcher
  std::map<std::string, caf::actor> remote_managers_; // by id: those that have joined; null: without slots yet
  std::uint64_t refused_ = 0;                         // messages of lost task managers
  std::uint32_t next_task_manager_ = 0;               // ids of slots are never used twice
};

} // namespace dataflow::actors
