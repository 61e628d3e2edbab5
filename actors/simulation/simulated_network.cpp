#include <dataflow/actors/simulation/simulated_network.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <algorithm>
#include <limits>

namespace dataflow::actors {

namespace {

/// CAF's simulated backend with peers: it finds them itself, where CAF's has to be told each of them before.
class network_backend final : public caf::io::network::test_multiplexer {
public:
  network_backend(caf::actor_system* system, simulated_host& host) : test_multiplexer(system), host_(host) {}

  using test_multiplexer::new_doorman;
  using test_multiplexer::new_scribe;
  caf::expected<caf::io::scribe_ptr> new_tcp_scribe(const std::string& host, std::uint16_t port) override {
    const auto handle = host_.network.connect(host_, host, port);
    if (!handle) return caf::sec::cannot_connect_to_node;
    return new_scribe(*handle);
  }
  caf::expected<caf::io::doorman_ptr> new_tcp_doorman(std::uint16_t port, const char*, bool) override {
    const auto bound = host_.network.listen(host_, port);
    if (!bound) return caf::sec::cannot_open_port;
    return new_doorman(bound->first, bound->second);
  }

private:
  simulated_host& host_;
};

class network_middleman final : public caf::io::middleman {
public:
  network_middleman(caf::actor_system& system, simulated_host& host)
      : middleman(system), host_(host), backend_(&system, host) {}
  caf::io::network::multiplexer& backend() override { return backend_; }
  void init(caf::actor_system_config& config) override {
    middleman::init(config);
    // CAF makes the id from the process and the machine, which all hosts here share: no two could connect. It is set
    // where CAF sets it, before anybody has read it.
    random_source random{host_.seed};
    caf::node_id::default_data::host_id_type id;
    for (auto& byte : id)
      byte = static_cast<std::uint8_t>(random());
    const_cast<caf::node_id&>(system().node()) = caf::make_node_id(static_cast<std::uint32_t>(random() | 1), id);
  }
  void start() override {
    host_.system = &system();
    host_.scheduler = &dynamic_cast<caf::scheduler::test_coordinator&>(system().scheduler());
    host_.backend = &backend_;
    host_.network.arrived(host_);
    middleman::start();
  }
  void stop() override {
    middleman::stop();
    host_.network.remove(host_);
    host_.system = nullptr;
    host_.scheduler = nullptr;
    host_.backend = nullptr;
  }

private:
  simulated_host& host_;
  network_backend backend_;
};

} // namespace

void simulated_host::adapt(caf::actor_system_config& config) {
  config.set("scheduler.policy", caf::atom("testing"));
  config.set("middleman.network-backend", caf::atom("testing"));
  config.set("middleman.workers", std::size_t{0});
  // Silence is watched where the sockets are; here by CAF itself.
  config.set("middleman.connection-timeout", caf::get_or(config, "dataflow.silence", caf::timespan{0}));
  config.module_factories.emplace_back(
      [this](caf::actor_system& system) -> caf::actor_system::module* { return new network_middleman(system, *this); });
}

void simulated_network::arrived(simulated_host& host) {
  host.gone = false; // a client that tries again has the same host
  host.scheduler->clock().current_time = caf::actor_clock::time_point{now_};
}

// ---- faults

bool simulated_network::is_cut(const std::string& from, const std::string& to) const {
  if (paths_.empty()) return false;
  const auto p = paths_.find({from, to});
  return p != paths_.end() && p->second.cut;
}
void simulated_network::cut(const std::string& from, const std::string& to, bool is_cut) {
  paths_[{from, to}].cut = is_cut;
}
void simulated_network::delay(const std::string& from, const std::string& to, steady_time longer) {
  paths_[{from, to}].longer = longer;
}

bool simulated_network::reset_one() {
  if (connections_.empty()) return false;
  auto c = std::next(connections_.begin(), static_cast<std::ptrdiff_t>(random_.below(connections_.size())));
  for (auto& e : c->second.ends) {
    e.incoming.clear();
    if (e.host && e.accepted && !e.closed) e.peer_ended = true;
    if (!e.accepted) e.closed = true;
  }
  forget_ended();
  return true;
}

void simulated_network::remove(simulated_host& host) {
  host.gone = true;
  std::erase_if(listeners_, [&](auto& l) { return l.host == &host; });
  for (auto& [id, c] : connections_)
    for (int side = 0; side < 2; ++side) {
      auto& e = c.ends[side];
      if (e.host != &host) continue;
      end(c, side);
      if (random_.below(2) == 0) c.ends[1 - side].incoming.clear(); // it had not left the host
      e.host = nullptr;
    }
  forget_ended();
}

// ---- steps

void simulated_network::events(std::vector<event>& out) {
  for (auto& [id, c] : connections_)
    for (int side = 0; side < 2; ++side) {
      auto& e = c.ends[side];
      if (!e.host || e.closed || e.host->stopped) continue;
      if (!e.accepted) {
        const auto l = std::find_if(listeners_.begin(), listeners_.end(), [&](auto& x) { return x.handle == c.door; });
        if (l != listeners_.end() && l->attached) out.push_back({event::kind::accept, id, side, e.host});
        continue;
      }
      if (!readable(e) || is_cut(c.ends[1 - side].name, e.name)) continue;
      if (!e.incoming.empty()) {
        if (e.incoming.front().ready <= now_) out.push_back({event::kind::bytes, id, side, e.host});
      } else if (e.peer_ended) {
        out.push_back({event::kind::end, id, side, e.host});
      }
    }
}

std::optional<steady_time> simulated_network::next() const {
  std::optional<steady_time> soonest;
  for (auto& [id, c] : connections_)
    for (int side = 0; side < 2; ++side) {
      auto& e = c.ends[side];
      if (!e.host || e.closed || e.host->stopped || e.incoming.empty()) continue;
      if (is_cut(c.ends[1 - side].name, e.name)) continue;
      const auto ready = e.incoming.front().ready;
      if (ready > now_ && (!soonest || ready < *soonest)) soonest = ready;
    }
  return soonest;
}

/// A backend runs what was left for later right after each event, as CAF's own does.
void simulated_network::settle(simulated_host& host) {
  while (host.backend->try_exec_runnable()) {
  }
}

void simulated_network::run(const event& e) {
  auto& c = connections_.at(e.connection);
  auto& at = c.ends[e.side];
  auto& backend = *e.host->backend;
  switch (e.what) {
  case event::kind::accept:
    at.accepted = true;
    backend.add_pending_connect(c.door, at.handle);
    backend.accept_connection(c.door);
    break;
  case event::kind::bytes: {
    auto& first = at.incoming.front();
    auto& to = backend.virtual_network_buffer(at.handle);
    auto n = first.bytes.size();
    if (n > 1 && random_.below(8) == 0) n = 1 + random_.below(n - 1);
    to.insert(to.end(), first.bytes.begin(), first.bytes.begin() + static_cast<std::ptrdiff_t>(n));
    first.bytes.erase(first.bytes.begin(), first.bytes.begin() + static_cast<std::ptrdiff_t>(n));
    if (first.bytes.empty()) at.incoming.pop_front();
    const auto handle = at.handle; // the connection may end meanwhile
    while (backend.try_read_data(handle))
      settle(*e.host);
    break;
  }
  case event::kind::end:
    at.closed = true;
    if (auto servant = backend.impl_ptr(at.handle)) servant->io_failure(&backend, caf::io::network::operation::read);
    break;
  }
  settle(*e.host);
  collect(*e.host);
}

/// CAF has given it a reader.
bool simulated_network::readable(connection_end& e) const {
  auto& servant = e.host->backend->impl_ptr(e.handle);
  return servant && servant->parent() && !e.host->backend->passive_mode(e.handle);
}

steady_time simulated_network::arrival(const connection_end& from, const connection_end& to) {
  auto at = now_ + std::chrono::microseconds{20 + random_.below(200)};
  if (const auto p = paths_.find({from.name, to.name}); p != paths_.end() && p->second.longer.count() > 0)
    at += steady_time{random_.below(static_cast<std::uint64_t>(p->second.longer.count())) + 1};
  return to.incoming.empty() ? at : std::max(at, to.incoming.back().ready);
}

void simulated_network::collect(simulated_host& host) {
  if (!host.backend) return;
  settle(host);
  auto& backend = *host.backend;
  for (auto& l : listeners_)
    if (l.host == &host) {
      auto& door = backend.impl_ptr(l.handle);
      if (door && door->parent()) l.attached = true;
    }
  std::erase_if(listeners_, [&](auto& l) {
    if (l.host != &host || !l.attached) return false;
    auto& door = backend.impl_ptr(l.handle);
    return !door || !door->parent();
  });
  for (auto& [id, c] : connections_)
    for (int side = 0; side < 2; ++side) {
      auto& e = c.ends[side];
      if (e.host != &host) continue;
      if (!e.accepted) { // its door may be closed
        if (std::none_of(listeners_.begin(), listeners_.end(), [&](auto& l) { return l.handle == c.door; }))
          end(c, side);
        continue;
      }
      auto& servant = backend.impl_ptr(e.handle);
      auto& peer = c.ends[1 - side];
      if (auto& written = backend.output_buffer(e.handle); !written.empty()) {
        if (peer.host && !peer.closed && !peer.peer_ended)
          peer.incoming.push_back({arrival(e, peer), std::exchange(written, {})});
        written.clear();
      }
      if (servant && servant->parent())
        e.attached = true;
      else if (e.attached)
        end(c, side);
    }
  forget_ended();
}

/// By its host.
void simulated_network::end(connection& c, int side) {
  auto& e = c.ends[side];
  if (std::exchange(e.closed, true)) return;
  e.incoming.clear();
  c.ends[1 - side].peer_ended = true;
}

void simulated_network::forget_ended() {
  std::erase_if(connections_, [](auto& entry) {
    auto& ends = entry.second.ends;
    return (!ends[0].host || ends[0].closed) && (!ends[1].host || ends[1].closed);
  });
}

// ---- the side of the backends

std::optional<caf::io::connection_handle> simulated_network::connect(simulated_host& from, const std::string& to,
                                                                     std::uint16_t port) {
  const auto l =
      std::find_if(listeners_.begin(), listeners_.end(), [&](auto& x) { return x.host->name == to && x.port == port; });
  if (from.gone || l == listeners_.end() || is_cut(from.name, to) || is_cut(to, from.name)) return {};
  connection c;
  c.door = l->handle;
  c.ends[0].host = &from;
  c.ends[0].name = from.name;
  c.ends[0].handle = caf::io::connection_handle::from_int(next_handle_++);
  c.ends[0].accepted = true;
  c.ends[1].host = l->host;
  c.ends[1].name = l->host->name;
  c.ends[1].handle = caf::io::connection_handle::from_int(next_handle_++);
  const auto handle = c.ends[0].handle;
  connections_.emplace(next_connection_++, std::move(c));
  return handle;
}

std::optional<std::pair<caf::io::accept_handle, std::uint16_t>> simulated_network::listen(simulated_host& host,
                                                                                          std::uint16_t port) {
  const auto taken = [&](std::uint16_t p) {
    return std::any_of(listeners_.begin(), listeners_.end(), [&](auto& l) { return l.host == &host && l.port == p; });
  };
  if (host.gone) return {};
  if (port == 0) {
    port = next_port_;
    next_port_ = next_port_ == std::numeric_limits<std::uint16_t>::max() ? 40000 : next_port_ + 1;
  }
  if (taken(port)) return {};
  const auto handle = caf::io::accept_handle::from_int(next_handle_++);
  listeners_.push_back({&host, port, handle});
  return std::pair{handle, port};
}

} // namespace dataflow::actors
