#include <dataflow/config/configuration.hpp>
#include <dataflow/high_availability/file_leader_election.hpp>
#include <dataflow/high_availability/ha_services.hpp>
#include <dataflow/high_availability/zookeeper_election.hpp>
#include <dataflow/util/platform.hpp>
#include <dataflow/util/random.hpp>

#include <utility>

namespace dataflow {

namespace {

using std::chrono::milliseconds;

milliseconds time_of(const configuration& config, std::string_view key) {
  return std::chrono::duration_cast<milliseconds>(config.duration(key));
}

std::string needed(const configuration& config, const std::string& key) {
  auto value = config.text(key);
  if (value.empty())
    throw error{errc::invalid_option,
                key + " is not set, and high-availability.type is " + config.text("high-availability.type"),
                "set it to the same value for all JobManagers and TaskManagers"};
  return value;
}

/// Keeps alive what the election stands on.
class owning_election final : public leader_election {
public:
  owning_election(std::shared_ptr<fenced_log> log, file_system& files, const clock& time,
                  file_leader_election::settings s)
      : log_(std::move(log)), election_(*log_, files, time, std::move(s)) {}
  election_change poll() override { return election_.poll(); }
  void resign() override { election_.resign(); }
  std::optional<leader_information> leader() override { return election_.leader(); }

private:
  const std::shared_ptr<fenced_log> log_;
  file_leader_election election_;
};

std::string directory_path(std::string path) {
  if (path.starts_with("file:")) path = path.substr(path.starts_with("file://") ? 7 : 5);
  return path;
}

} // namespace

ha_services make_ha_services(const configuration& config, const platform& world, const std::string& address) {
  ha_services out;
  const auto type = config.text("high-availability.type");
  if (type == "none") return out;
  out.poll_interval = time_of(config, "high-availability.poll-interval");
  const auto cluster = needed(config, "high-availability.cluster-id");
  const auto directory = join_path(directory_path(needed(config, "high-availability.storageDir")), cluster);
  const auto seed = random_source{world.seed ^ 0x6c656164ull}();
  std::shared_ptr<fenced_store> values;
  if (type == "filesystem") {
    auto log = std::make_shared<fenced_log>(*world.files, join_path(directory, "log"));
    out.election = std::make_unique<owning_election>(
        log, *world.files, *world.clock,
        file_leader_election::settings{join_path(directory, "leader"), address, seed,
                                       time_of(config, "high-availability.lease-timeout")});
    values = std::move(log);
  } else {
    zookeeper_client::settings s;
    s.quorum = needed(config, "high-availability.zookeeper.quorum");
    s.session_timeout = time_of(config, "high-availability.zookeeper.client.session-timeout");
    s.connection_timeout = time_of(config, "high-availability.zookeeper.client.connection-timeout");
    const auto client = std::make_shared<zookeeper_client>(std::move(s));
    auto root = config.text("high-availability.zookeeper.path.root");
    while (root.ends_with('/'))
      root.pop_back();
    const auto path = (root.starts_with('/') || root.empty() ? root : "/" + root) + "/" + cluster;
    out.election = std::make_unique<zookeeper_leader_election>(client, *world.clock, path, address, seed);
    values = std::make_shared<zookeeper_store>(client, path);
  }
  out.store = std::make_shared<ha_store>(std::move(values), *world.files, join_path(directory, "files"));
  return out;
}

} // namespace dataflow
