/// What a node of a cluster stands on: the outside world, and who runs its actors.
///
/// By default the operating system and threads. A simulation puts its own world below, and a scheduler and a network
/// that it steps: then nothing of a node waits, neither when it is made nor when it is destroyed.
/// Threading: a value. Ownership: borrows the world, which outlives the node.
#pragma once

#include <dataflow/util/platform.hpp>

#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <functional>

namespace dataflow::actors {

struct sent_element; // cluster_context.hpp

struct node_ground {
  platform* world = nullptr; ///< null: the operating system's
  /// Changes the configuration of the node's actor system; set: whoever did so steps its actors, in one thread.
  std::function<void(caf::actor_system_config&)> adapt = {};
  /// Told of every element before it leaves a task.
  std::function<void(const sent_element&)> sent = {};
  /// Of clients on a stepped system: runs everything until the condition holds, or for so long; false: it does not.
  std::function<bool(const std::function<bool()>& done, std::chrono::milliseconds longest)> run_until = {};

  bool stepped() const noexcept { return adapt != nullptr; }
  platform& outside() const noexcept { return world ? *world : system_platform(); }
  /// For ids: of the world that was given, else the operating system's.
  std::uint64_t seed() const;
};

} // namespace dataflow::actors
