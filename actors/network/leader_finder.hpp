/// Where the leading job manager listens, for task managers and clients.
///
/// Threading: what is returned may be called from any thread; it blocks on the store. Errors: component_lost when
/// nobody leads; those of the store.
#pragma once

#include <dataflow/actors/network/remote_address.hpp>
#include <dataflow/config/configuration.hpp>

#include <functional>

namespace dataflow {
struct platform;
}

namespace dataflow::actors {

/// Null when high-availability.type is none.
std::function<remote_address()> leader_finder(const configuration& settings, const platform& world);

} // namespace dataflow::actors
