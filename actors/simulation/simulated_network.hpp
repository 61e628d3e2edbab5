/// A network between actor systems of one thread: hosts, connections, bytes under way, in virtual time.
///
/// It stands below CAF's middleman, in the place of sockets: CAF's wire protocol, and all that is built on it, runs as
/// it does between processes. A connection is two pipes. Bytes that a host has written arrive after a while that the
/// seed chooses, in order, in pieces of any size. Faults are those of a network of TCP: a path that lets nothing
/// through, in one direction or both (what was sent waits, as TCP sends again); one that is slow; a connection that is
/// reset, with what is under way; a host that is gone, or that stands still with its connections open.
/// Nobody listens, or the path is cut: a connect fails at once.
/// Threading: one thread. Ownership: borrows hosts; a host outlives its actor system and leaves with remove().
#pragma once

#include <dataflow/util/clock.hpp>
#include <dataflow/util/random.hpp>

#include <caf/actor_addr.hpp>
#include <caf/fwd.hpp>
#include <caf/io/network/test_multiplexer.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dataflow::actors {

class simulated_network;

/// One process: an actor system whose scheduler and network are stepped.
struct simulated_host {
  simulated_host(simulated_network& n, std::string called, std::uint64_t node_seed)
      : network(n), name(std::move(called)), seed(node_seed) {}
  simulated_host(const simulated_host&) = delete;

  /// Before the host's actor system is made.
  void adapt(caf::actor_system_config& config);

  simulated_network& network;
  const std::string name;   ///< what others connect to
  const std::uint64_t seed; ///< of CAF's node id
  bool stopped = false;     ///< stands still; its connections stay open
  bool gone = false;        ///< what it still does reaches nobody
  // While the actor system lives.
  caf::actor_system* system = nullptr;
  caf::scheduler::test_coordinator* scheduler = nullptr;
  caf::io::network::test_multiplexer* backend = nullptr;
};

class simulated_network {
public:
  /// `now` is read whenever a time is needed.
  simulated_network(std::uint64_t seed, const steady_time& now) : now_(now), random_(seed) {}

  // ---- faults

  /// Nothing gets from one to the other, until it is let through again. Names of hosts: it also holds for hosts of that
  /// name that come later.
  void cut(const std::string& from, const std::string& to, bool is_cut);
  /// Everything from one to the other takes up to so much longer, as the seed chooses.
  void delay(const std::string& from, const std::string& to, steady_time longer);
  /// Resets a connection that the seed chooses; false: there is none.
  bool reset_one();
  /// The host is gone: who is connected to it learns so.
  void remove(simulated_host& host);

  // ---- steps

  struct event {
    enum class kind : std::uint8_t { accept, bytes, end } what;
    std::uint64_t connection = 0;
    int side = 0; ///< of the connection, whose host it happens at
    simulated_host* host = nullptr;
  };
  /// Appends what can happen now.
  void events(std::vector<event>& out);
  void run(const event& e);
  /// When the next thing can happen, if nothing else does; after now.
  std::optional<steady_time> next() const;
  /// After a host has done something: takes what it has written, and sees what it has closed.
  void collect(simulated_host& host);

  // ---- the side of the backends

  std::optional<caf::io::connection_handle> connect(simulated_host& from, const std::string& to, std::uint16_t port);
  /// Nothing: the port is taken. 0: any.
  std::optional<std::pair<caf::io::accept_handle, std::uint16_t>> listen(simulated_host& host, std::uint16_t port);
  void arrived(simulated_host& host); ///< its actor system lives

private:
  struct segment {
    steady_time ready{};
    std::vector<char> bytes;
  };
  struct connection_end {
    simulated_host* host = nullptr; ///< null: gone
    std::string name;               ///< of the host
    caf::io::connection_handle handle;
    bool accepted = false;   ///< its host knows it
    bool attached = false;   ///< CAF reads and writes it
    bool closed = false;     ///< by its host
    bool peer_ended = false; ///< nothing will come behind what is under way
    std::deque<segment> incoming;
  };
  struct connection {
    connection_end ends[2]; ///< client, server
    caf::io::accept_handle door;
  };
  struct listener {
    simulated_host* host;
    std::uint16_t port;
    caf::io::accept_handle handle;
    bool attached = false;
  };
  struct path {
    bool cut = false;
    steady_time longer{};
  };

  bool is_cut(const std::string& from, const std::string& to) const;
  steady_time arrival(const connection_end& from, const connection_end& to);
  bool readable(connection_end& e) const;
  void end(connection& c, int side);
  void forget_ended();
  static void settle(simulated_host& host);

  const steady_time& now_;
  random_source random_;
  std::vector<listener> listeners_;
  std::map<std::uint64_t, connection> connections_;
  std::map<std::pair<std::string, std::string>, path> paths_; // those with a fault, now or before
  std::int64_t next_handle_ = 1;
  std::uint64_t next_connection_ = 1;
  std::uint16_t next_port_ = 40000;
};

} // namespace dataflow::actors
