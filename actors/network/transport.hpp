/// How processes reach each other: listening, and connecting without blocking anybody.
///
/// Threading: any thread; listen() blocks shortly. Errors: listen() throws io_failed with what is in the way of the
/// port.
#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace dataflow::actors {

/// Makes an actor what peers get that connect to the port; 0: any free one. Returns the port. Only on this machine:
/// CAF's wire protocol asks nobody who he is.
std::uint16_t listen(caf::actor_system& system, const caf::actor& who, std::uint16_t port);

/// Destroys an actor system with a network, when all its actors have ended or been told to: waits for them.
void end_system(std::unique_ptr<caf::actor_system>& system);

/// Connects to what listens there, then calls one of the two on the actor's own thread.
void connect_to(caf::event_based_actor& self, const std::string& host, std::uint16_t port,
                std::function<void(caf::actor)> connected, std::function<void(const caf::error&)> failed);

} // namespace dataflow::actors
