/// The task manager of a process, as a member of a cluster: connects to the job manager, registers, watches it by
/// heartbeats, and begins anew when one of the two has lost the other.
///
/// Each registration has an id and a task manager actor of its own. When it is over, for whatever reason, that actor
/// and all of its tasks are killed and gone before the next registration begins: what still comes for them reaches
/// nobody. Parent: whoever runs the process. Back-off: 100 ms, doubled up to 5 s. Ends on leave_cluster, or when the
/// job manager is of another version, with that as the reason.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/network/heartbeats.hpp>
#include <dataflow/actors/network/messages.hpp>
#include <dataflow/actors/network/remote_address.hpp>
#include <dataflow/util/random.hpp>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>

#include <functional>
#include <string>

namespace dataflow::actors {

struct member_settings {
  std::string host; ///< of the job manager
  std::uint16_t port = 0;
  /// Where the leading job manager listens, asked before each try; null: always at host and port. May block.
  std::function<remote_address()> leader;
  std::uint32_t slots = 1;
  std::uint64_t seed = 0; ///< of ids
  /// Told after each change, on the actor's thread: the id of the registration, or empty while there is none, with why.
  std::function<void(const std::string& id, const error& why)> changed;
};

/// anybody -> member: deregister, end all tasks, end.
struct leave_cluster {};
/// member -> itself, INTERNAL, delayed: try it (once more).
struct connect_now {};

class task_manager_member_actor final : public caf::event_based_actor {
public:
  /// `context.where`: where others find its data; the id is drawn here. REQUIRES: context.jobs is set.
  task_manager_member_actor(caf::actor_config& config, cluster_context context, member_settings settings);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.task-manager-member"; }

private:
  void connect();
  void greet(const caf::actor& gateway);
  void joined(const welcome& m);
  void left();
  void over(const error& why);
  void retry(const error& why);
  void down(const caf::down_msg& m);

  cluster_context context_;
  member_settings settings_;
  random_source random_;
  std::chrono::milliseconds pause_;
  caf::actor gateway_, task_manager_;
  caf::actor_addr ending_; // a task manager that was killed and is not gone yet
  std::string leader_;     // empty: not registered
  heartbeat_monitor beats_{{}};
  std::uint64_t round_ = 0; // of registrations: answers to an earlier one are void
  bool leaving_ = false;
};

} // namespace dataflow::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::leave_cluster)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::connect_now)
