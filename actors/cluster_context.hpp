/// What every actor of a cluster is built with.
#pragma once

#include <dataflow/actors/network/task_manager_address.hpp>
#include <dataflow/exchange/element.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/util/platform.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <caf/spawn_options.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace dataflow {
struct provided_task_managers; // resources/task_manager_provider.hpp
}

namespace dataflow::actors {

class job_catalogue; // network/job_catalogue.hpp
class data_links;    // network/data_links.hpp
class job_journal;   // network/job_journal.hpp

/// What a task hands to its consumers, as whoever watches sees it.
struct sent_element {
  std::uint32_t task = 0, attempt = 0, gate = 0, channel = 0;
  std::uint64_t sequence = 0;
  const element* what = nullptr;
};

enum class actor_moment : std::uint8_t { constructor, handler, down_handler };

struct cluster_context {
  platform* world = nullptr; ///< outlives the cluster's actors
  /// The control plane's actors have threads of their own, so that busy tasks never delay a cancel or a heartbeat.
  /// Off in simulations, where everything runs in one thread.
  bool own_threads = true;
  /// Slots grow with what jobs ask for; off when their number was configured.
  bool elastic_slots = true;
  /// How long a job waits for slots before it fails with no_resources.
  std::chrono::milliseconds slot_timeout{std::chrono::minutes{5}};
  /// What the databases of each task manager may take of memory.
  rocksdb_options state_memory;
  // Of a task manager with a process of its own.
  task_manager_address where;
  std::string resource_id;             ///< under which a provider has started it; empty: it was started by hand
  std::shared_ptr<job_catalogue> jobs; ///< whose code is here; null: jobs come with their code
  std::shared_ptr<data_links> links;   ///< to other task managers; null: there are none
  /// Of a leading job manager: where jobs outlive it; null: they end with it.
  std::shared_ptr<job_journal> journal;
  /// Of a job manager: who starts task managers; null: they are started by hand.
  std::shared_ptr<provided_task_managers> provided;
  /// Restarts of a control-plane actor within supervision_window before its parent gives up, too.
  std::uint32_t max_restarts = 3;
  std::chrono::milliseconds restart_window{std::chrono::minutes{1}};
  /// Told of every actor right after it was spawned: "dispatcher", "resource manager", "task manager", "slot",
  /// "job master", "task". For tests and fault injection; called on the spawning actor's thread.
  std::function<void(std::string_view kind, const caf::actor& who)> spawned;
  /// Called by every actor of the kinds above but tasks at these moments, on its own thread. For fault injection: what
  /// it throws is thrown in the actor's constructor, in one of its handlers, in its down handler.
  std::function<void(std::string_view kind, actor_moment when)> reached;
  /// Told of every element before it leaves a task, on the task's thread. Simulations hash what is said.
  std::function<void(const sent_element&)> sent;
  /// Held by every actor until it has ended, so that whoever owns the cluster can wait for all of them.
  std::shared_ptr<const void> alive;

  void announce(std::string_view kind, const caf::actor& who) const {
    if (spawned) spawned(kind, who);
  }
  void reach(std::string_view kind, actor_moment when) const {
    if (reached) reached(kind, when);
  }
  /// At an actor's end.
  void release() {
    alive.reset();
    jobs.reset();
    links.reset();
    journal.reset();
    provided.reset();
    spawned = nullptr;
    reached = nullptr;
    sent = nullptr;
  }
};

} // namespace dataflow::actors
