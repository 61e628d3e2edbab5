#include <dataflow/actors/network/link_messages.hpp>
#include <dataflow/actors/network/link_system.hpp>
#include <dataflow/actors/network/transport.hpp>
#include <dataflow/config/configuration.hpp>

#include <caf/actor_system_config.hpp>
#include <caf/all.hpp>

#include <algorithm>

namespace dataflow::actors {

void configure_links(caf::actor_system_config& config, const tls_files& tls, std::chrono::milliseconds patience) {
  add_link_types(config);
  constexpr std::chrono::milliseconds usual{2000}; // four of CAF's heartbeats
  use_network(config, std::max(usual, patience));
  if (tls.enabled()) use_tls(config, tls);
}

data_links_settings data_links_settings_of(const configuration& settings, const tls_files& tls, std::uint64_t seed) {
  auto milliseconds = [&](std::string_view key) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(settings.duration(key));
  };
  data_links_settings s;
  s.bind = settings.text("taskmanager.bind-host");
  check_listener(s.bind, "taskmanager.bind-host", tls);
  const auto bind_port = settings.integer("taskmanager.data.bind-port");
  s.port = static_cast<std::uint16_t>(bind_port != 0 ? bind_port : settings.integer("taskmanager.data.port"));
  s.links = {milliseconds("taskmanager.network.backoff.initial"), milliseconds("taskmanager.network.backoff.max"),
             milliseconds("taskmanager.network.connect-timeout")};
  const auto codec = settings.text("taskmanager.network.compression.codec");
  s.compress = codec == "lz4" ? compression::lz4 : codec == "zstd" ? compression::zstd : compression::none;
  s.seed = seed;
  return s;
}

} // namespace dataflow::actors
