/// Leader election and the store as the configuration says (high-availability.*).
///
/// Threading: making them is for one thread; see the parts. Ownership: the parts share what they stand on, and keep it.
/// Errors: invalid_option when a key that the type needs is not set, naming it.
/// Source: Flink's HighAvailabilityServicesUtils.
#pragma once

#include <dataflow/high_availability/ha_store.hpp>
#include <dataflow/high_availability/leader_election.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace dataflow {

class configuration;
struct platform;

struct ha_services {
  /// Of JobManagers, and of who looks for the leader (leader() only). Destroy it before the store.
  std::unique_ptr<leader_election> election;
  std::shared_ptr<ha_store> store;
  std::chrono::milliseconds poll_interval{100};
};

/// Nothing but null parts when high-availability.type is none. `address`: "host:port" where this JobManager listens;
/// empty for those who only look. `world` outlives what is made.
ha_services make_ha_services(const configuration& config, const platform& world, const std::string& address);

} // namespace dataflow
