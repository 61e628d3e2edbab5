/// The door of the job manager: what other processes get when they connect.
///
/// Says hello to those of the same version, watches task managers by heartbeats, takes in submissions, gives out job
/// libraries. What jobs, slots and tasks are about goes past it, directly between the actors concerned.
/// Parent: whoever runs the process. Ends when the job manager's root does. Errors: see messages.hpp.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/network/heartbeats.hpp>
#include <dataflow/actors/network/job_submitter.hpp>
#include <dataflow/actors/network/messages.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include <map>
#include <optional>
#include <string>

namespace dataflow::actors {

/// Gateway -> itself, INTERNAL, delayed: the interval of heartbeats is over. Also of task managers.
struct heartbeat_tick {
  std::uint64_t round = 0; ///< of a registration; a tick of an earlier one comes too late
};

class job_manager_gateway_actor final : public caf::event_based_actor {
public:
  /// `leader`: the token of this job manager's life.
  job_manager_gateway_actor(caf::actor_config& config, cluster_context context,
                            std::shared_ptr<const job_intake> intake, heartbeat_settings beats, std::string leader,
                            caf::actor job_manager);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.job-manager-gateway"; }

private:
  struct member {
    caf::actor actor;
    std::uint32_t index = 0;
  };
  caf::result<welcome> greet(const hello& m);
  void heard(const heartbeat& m);
  void tick();
  /// `then`: answered when the jobs that had tasks there know why they are gone.
  void lost(const std::string& id, error why, std::optional<caf::response_promise> then = {});
  bool current(const std::string& leader);

  cluster_context context_;
  const std::shared_ptr<const job_intake> intake_;
  const std::string leader_;
  caf::actor job_manager_, artifacts_;
  heartbeat_monitor beats_;
  std::map<std::string, member> members_; // by id
  std::uint32_t next_index_ = 0;
  std::uint64_t refused_ = 0; // heartbeats of other leaders' times
};

} // namespace dataflow::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::heartbeat_tick)
