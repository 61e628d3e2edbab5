#include <dataflow/actors/network/leader_finder.hpp>
#include <dataflow/high_availability/ha_services.hpp>
#include <dataflow/util/error.hpp>

#include <memory>
#include <mutex>
#include <utility>

namespace dataflow::actors {

std::function<remote_address()> leader_finder(const configuration& settings, const platform& world) {
  struct finder {
    std::mutex mutex;
    ha_services services;
  };
  auto shared = std::make_shared<finder>();
  shared->services = make_ha_services(settings, world, {});
  if (!shared->services.election) return {};
  return [shared] {
    const std::lock_guard guard{shared->mutex};
    const auto found = shared->services.election->leader();
    if (!found)
      throw error{errc::component_lost, "no job manager leads at the moment",
                  "start one with `dataflow jobmanager` and the same high-availability.* keys"};
    return remote_address::parse(found->address);
  };
}

} // namespace dataflow::actors
