/// A session with a ZooKeeper ensemble: the few calls that leader election and the store need.
///
/// Threading: safe from any thread, one call at a time; calls block until the ensemble answers, at most about the
/// session time-out. ZooKeeper's library starts two threads of its own. Ownership: the session ends, and its ephemeral
/// nodes with it, when the client is destroyed; after an expiry the next call begins another one.
/// Errors: connection_failed when the ensemble does not answer or the session has expired: then a change may or may not
/// have been made; permission_denied. What is asked for may not be there, or be there already: that is in the results.
/// Source: ZooKeeper's C client; Hunt et al., "ZooKeeper: Wait-free coordination for Internet-scale systems", 2010.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

class zookeeper_client {
public:
  struct settings {
    std::string quorum; ///< "host:port,host:port"
    std::chrono::milliseconds session_timeout{4000};
    std::chrono::milliseconds connection_timeout{3000};
  };
  /// Of a session: who has it can take it over. For tests of expiry.
  struct identity {
    std::int64_t id = 0;
    std::string password;
  };
  explicit zookeeper_client(settings s, std::optional<identity> known = {});
  ~zookeeper_client();

  struct node {
    std::string data;
    std::int32_t version = 0;
    std::int64_t created = 0; ///< the transaction that made it: grows over the whole ensemble, and never repeats
    bool ephemeral = false;
  };
  std::optional<node> get(const std::string& path);
  /// Names without the path, sorted; none when the node is not there.
  std::vector<std::string> children(const std::string& path);
  /// Makes the node and those above it; one that is there stays.
  void make_path(const std::string& path);
  /// Ephemeral, with a number appended to the path. Returns the whole path. REQUIRES: its parent is there.
  std::string create_ephemeral_sequential(const std::string& path, std::string_view data);
  /// One that is not there is fine.
  void remove(const std::string& path);

  /// All or nothing.
  struct change {
    enum class kind : std::uint8_t { check, create, set, remove };
    kind what = kind::check;
    std::string path;
    std::string data;
    std::int32_t version = -1; ///< of check, set and remove: what it must have; -1: any
  };
  enum class outcome : std::uint8_t { done, other_version, no_node, node_exists };
  struct result {
    outcome what = outcome::done;
    std::size_t at = 0; ///< when it is not done: the change that could not be made
  };
  result change_all(const std::vector<change>& changes);

  /// Grows when a session ends: ephemeral nodes of earlier ones are gone, or will be.
  std::uint64_t incarnation() const;
  /// What the ensemble granted. REQUIRES: some call has succeeded.
  std::chrono::milliseconds session_timeout() const;
  identity session() const;

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace dataflow
