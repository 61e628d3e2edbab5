/// How processes reach each other: listening, and connecting without blocking anybody.
///
/// With TLS when the actor system has certificates (use_tls). Connections are guarded (guarded_connection.hpp), but for
/// those of a middleman that has no sockets, as in a simulation.
/// Threading: any thread; listen() blocks shortly. Errors: listen() throws io_failed with what is in the way of the
/// port.
#pragma once

#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace dataflow::actors {

/// Loads CAF's network layer, with heartbeats in every half second. A connection of which nothing has come for
/// `silence` ends; zero: never. Before the actor system is made.
void use_network(caf::actor_system_config& config, std::chrono::milliseconds silence);
/// As given to use_network().
steady_time silence_of(const caf::actor_system& system);
/// What was sent and is not acknowledged for 20 s ends the connection: the other machine is gone.
void bound_waiting(int socket);

/// Makes an actor what peers get that connect to the port; 0: any free one. Returns the port.
std::uint16_t listen(caf::actor_system& system, const caf::actor& who, std::uint16_t port,
                     const std::string& bind = "127.0.0.1");
void stop_listening(caf::actor_system& system, std::uint16_t port);

/// An actor system with a network, which ends also when actors die late.
std::unique_ptr<caf::actor_system> make_system(caf::actor_system_config& config);

/// Connects to what listens there, then calls one of the two on the actor's own thread, within 15 s: looking up the
/// name, connecting and greeting have their time. Several may be under way at once.
void connect_to(caf::event_based_actor& self, const std::string& host, std::uint16_t port,
                std::function<void(caf::actor)> connected, std::function<void(const error&)> failed);

} // namespace dataflow::actors
