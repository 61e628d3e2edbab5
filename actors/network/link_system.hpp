/// What an actor system needs to have links, and the links as the configuration says.
///
/// Threading: one thread. Errors: as tls_files::from(); unsafe_configuration for listening beyond this machine without
/// TLS; what the constructor of data_links throws.
#pragma once

#include <dataflow/actors/network/data_links.hpp>
#include <dataflow/actors/network/tls.hpp>

#include <caf/fwd.hpp>

#include <chrono>
#include <memory>

namespace dataflow {
class configuration;
} // namespace dataflow

namespace dataflow::actors {

/// Message types, CAF's network layer, its heartbeats, and TLS. A peer that is silent for two seconds is lost, or
/// for `patience` if that is longer. Before the actor system is made.
void configure_links(caf::actor_system_config& config, const tls_files& tls = {},
                     std::chrono::milliseconds patience = {});

/// Of taskmanager.* and security.ssl.internal.*.
data_links_settings data_links_settings_of(const configuration& settings, const tls_files& tls, std::uint64_t seed);

} // namespace dataflow::actors
