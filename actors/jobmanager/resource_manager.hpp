/// The resource manager: knows all slots, gives them to job masters, all that one asks for or none.
///
/// Parent: the job manager. Remembers nothing across its own death: task managers register their slots again, with who
/// has them, and job masters that wait ask again. A job master that dies gives back all it had.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>

#include <caf/event_based_actor.hpp>

#include <deque>
#include <map>
#include <set>

namespace dataflow::actors {

class resource_manager_actor final : public caf::event_based_actor {
public:
  resource_manager_actor(caf::actor_config& config, cluster_context context);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.resource-manager"; }

private:
  struct waiting {
    std::uint64_t id;
    request_slots what;
  };
  void serve();
  void take(slot_offer& slot, const std::string& job, const caf::actor& job_master);
  std::string missing(const request_slots& what) const;
  void watch(const caf::actor& job_master);
  void lost(const caf::actor_addr& who);

  cluster_context context_;
  std::map<std::uint64_t, slot_offer> slots_; // by id: slots are given out in order
  std::set<caf::actor_addr> task_managers_, job_masters_;
  std::vector<caf::actor> elastic_; // task managers in the order of registration
  std::deque<waiting> requests_;
  std::uint64_t next_request_ = 0;
  std::uint32_t on_the_way_ = 0; // slots that task managers were asked to add
};

} // namespace dataflow::actors
