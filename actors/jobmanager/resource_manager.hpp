/// The resource manager: knows all slots, gives them to job masters, all that one asks for or none.
///
/// Parent: the job manager. Remembers nothing across its own death: task managers register their slots again, with who
/// has them, and job masters that wait ask again. A job master that dies gives back all it had.
/// With a provider it has task managers started and stopped, as their pool says (task_manager_pool.hpp); those and
/// their pool outlive it.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/resources/task_manager_provider.hpp>

#include <caf/event_based_actor.hpp>

#include <deque>
#include <map>
#include <optional>
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
    std::string until = {}; // when it is given up, for people
    std::string told = {};  // of trouble with task managers that are to be started
  };
  /// Somebody to tell how many slots an adaptive job could have.
  struct watcher {
    watch_slots who;
    std::optional<std::uint32_t> told;
  };
  void serve();
  void grant();
  void tell_watchers();
  void add(const register_slots& m);
  std::vector<slot_offer*> free_for(const std::string& job, bool own_only);
  const std::string& resource_of(const slot_offer& slot) const;
  std::vector<task_manager_pool::demand> demands();
  void provide();
  void tell(waiting& request);
  std::optional<error> never_enough(const request_slots& what) const;
  void take(slot_offer& slot, const std::string& job, const caf::actor& job_master);
  std::string missing(const request_slots& what);
  void watch(const caf::actor& job_master);
  void lost(const caf::actor_addr& who);

  cluster_context context_;
  std::map<std::uint64_t, slot_offer> slots_;            // by id: slots are given out in order
  std::map<caf::actor_addr, std::string> task_managers_; // with their resource ids
  std::set<caf::actor_addr> job_masters_;
  std::vector<caf::actor> elastic_; // task managers in the order of registration
  std::deque<waiting> requests_;
  std::map<caf::actor_addr, watcher> watchers_; // by job master
  std::uint64_t next_request_ = 0;
  std::uint32_t on_the_way_ = 0; // slots that task managers were asked to add
  bool looking_after_ = false;   // a look is due
};

} // namespace dataflow::actors
