/// The children of an actor, under a supervisor: starts them, starts them again when they die, and gives up when that
/// happens too often.
///
/// A member of a class-based actor. Who is restarted when and with whom is decided by supervisor_state (pure, in
/// libdataflow); this class carries it out: it spawns, monitors, stops siblings and waits until they are really gone,
/// waits out the back-off, and escalates.
///
///   my_supervisor(caf::actor_config& c, cluster_context x)
///       : event_based_actor(c), children_(*this, *x.world->clock, "my supervisor", settings) {
///     set_down_handler([this](caf::down_msg& m) { children_.child_down(m); });
///   }
///   caf::behavior make_behavior() override {
///     children_.start({"worker"}, [this](std::uint32_t attempt) { return spawn<worker_actor>(attempt); });
///     return {[this](const respawn_child& m) { children_.respawn(m); }, ...};
///   }
///   void on_exit() override { children_.stop_all(); }
///
/// Threading: used by its actor only. Ownership: the actor owns it; children are held as handles and are killed by
/// stop_all(). REQUIRES: the actor hands in every down_msg and respawn_child.
/// Errors: an exception in a child's constructor counts as a failure of that child.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/recovery/supervisor_state.hpp>
#include <dataflow/util/clock.hpp>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/fwd.hpp>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow::actors {

class supervised_children {
public:
  /// Spawns a child, without monitoring or linking it. May throw.
  using spawner = std::function<caf::actor(std::uint32_t attempt)>;

  supervised_children(caf::event_based_actor& self, const clock& time, std::string name, supervisor_settings settings,
                      std::uint64_t seed = 0);

  /// Adds a child and spawns it at once. Errors: invalid_argument for an id that is taken.
  void start(child_spec spec, spawner spawn);
  /// Ends a child on purpose and forgets it.
  void stop(const std::string& id);
  /// Kills all children; from the owner's on_exit().
  void stop_all();
  /// The running child, or null while it is down.
  caf::actor child(std::string_view id) const;

  /// False: nobody's child, the owner's own business.
  bool child_down(const caf::down_msg& m);
  void respawn(const respawn_child& m);

  /// Called after every spawn, also the first: tell the others who the child is now.
  void on_started(std::function<void(const std::string& id, const caf::actor& child)> f) { started_ = std::move(f); }
  /// Called instead of ending the owner with the folded causes.
  void on_escalation(std::function<void(const std::vector<error>& causes)> f) { escalation_ = std::move(f); }

  const supervisor_state& state() const noexcept { return state_; }
  /// The children with their attempts and the last failure of each, a line each, indented by `indent` blanks.
  std::string describe(std::size_t indent = 2) const;

private:
  struct entry {
    spawner spawn;
    caf::actor actor;
    std::uint32_t attempt = 0; ///< of `actor`
  };
  /// Children that start again together, once those of `awaited` are gone and the delay has passed.
  struct pending_restart {
    std::set<std::string> awaited;
    std::vector<std::string> children;
    std::chrono::milliseconds delay;
  };

  void spawn(const std::string& id, std::uint32_t attempt);
  void failed(const std::string& id, std::uint32_t attempt, error why);
  void carry_out(const supervision_decision& d);
  void schedule(const pending_restart& r);
  std::chrono::milliseconds now() const;

  caf::event_based_actor& self_;
  const clock& time_;
  supervisor_state state_;
  std::map<std::string, entry, std::less<>> entries_;
  std::map<caf::actor_addr, std::string> stopping_; // told to end, not gone yet
  std::vector<pending_restart> pending_;
  std::function<void(const std::string&, const caf::actor&)> started_;
  std::function<void(const std::vector<error>&)> escalation_;
};

/// How the cluster's own actors are supervised: one for one, at once, within the context's limits.
supervisor_settings control_plane_supervision(const cluster_context& context);

/// A chain of causes as one error: the outermost code, all texts.
error folded(const std::vector<error>& causes);

} // namespace dataflow::actors
