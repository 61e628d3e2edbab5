#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/network/guarded_connection.hpp>
#include <dataflow/actors/network/transport.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <set>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace dataflow::actors {

namespace {

constexpr std::chrono::seconds connect_deadline{5}, forget_deadline{20};
constexpr auto silence_key = "dataflow.silence";

struct open_socket {
  int fd = -1;
  explicit open_socket(int f) noexcept : fd(f) {}
  open_socket(open_socket&& o) noexcept : fd(std::exchange(o.fd, -1)) {}
  ~open_socket() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

[[noreturn]] void fail(const std::string& where, const std::string& why) {
  throw error{errc::connection_failed, where + " cannot be reached: " + why};
}

/// Waits for the connection until `end`. Its errno, 0 when it stands.
int finish(int fd, steady_time end) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - system_clock().now()).count();
    if (left <= 0) return ETIMEDOUT;
    pollfd one{fd, POLLOUT, 0};
    const int n = ::poll(&one, 1, static_cast<int>(left));
    if (n == 0) return ETIMEDOUT;
    if (n < 0 && errno == EINTR) continue;
    int why = 0;
    socklen_t size = sizeof why;
    if (n < 0 || ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) != 0) return errno;
    return why;
  }
}

/// Tries one address of the host after the other.
open_socket dial(const std::string& host, std::uint16_t port) {
  const auto where = host + ":" + std::to_string(port);
  const auto end = system_clock().now() + steady_time{connect_deadline};
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int e = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found); e != 0)
    fail(where, ::gai_strerror(e));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses{found, ::freeaddrinfo};
  int why = 0;
  for (const auto* a = found; a != nullptr; a = a->ai_next) {
    open_socket socket{::socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    why = errno;
    if (socket.fd < 0) continue;
    why = ::connect(socket.fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (why == EINPROGRESS) { // one that is never answered leaves time to the others
      int left = 1;
      for (const auto* b = a->ai_next; b != nullptr; b = b->ai_next)
        ++left;
      const auto now = system_clock().now();
      why = finish(socket.fd, now + (end - now) / left);
    }
    if (why == 0) return socket;
  }
  fail(where, std::strerror(why));
}

/// Lives for one connection: looking up a name and connecting block.
caf::behavior dialler(caf::event_based_actor* self, const std::string& host, std::uint16_t port) {
  return {[=](caf::connect_atom) -> caf::result<caf::actor> {
    const auto promise =
        std::make_shared<caf::typed_response_promise<caf::actor>>(self->make_response_promise<caf::actor>());
    const auto failed = [=](const error& e) {
      promise->deliver(to_caf(e));
      self->quit();
    };
    try {
      auto socket = dial(host, port);
      auto connection = guarded_client(self->system(), socket.fd);
      (void)socket.release();
      self->request(basp_broker_of(self->system()), connect_deadline, caf::connect_atom::value,
                    caf::io::scribe_ptr{connection}, port)
          .then(
              [=](const caf::node_id&, const caf::strong_actor_ptr& who, const std::set<std::string>&) {
                if (!who)
                  return failed(error{errc::connection_failed,
                                      host + ":" + std::to_string(port) + " cannot be reached: nobody is there"});
                promise->deliver(caf::actor_cast<caf::actor>(who));
                self->quit();
              },
              [=](const caf::error& e) {
                connection->end();
                failed(error{errc::connection_failed,
                             host + ":" + std::to_string(port) + " does not greet: " + self->system().render(e)});
              });
    } catch (...) {
      failed(current_error(errc::internal));
    }
    return *promise;
  }};
}

} // namespace

void use_network(caf::actor_system_config& config, std::chrono::milliseconds silence) {
  config.load<caf::io::middleman>();
  config.set("middleman.heartbeat-interval", caf::timespan{std::chrono::milliseconds{500}});
  // A message is read where it comes in: CAF's workers would copy it once more, and hand it to another thread.
  config.set("middleman.workers", std::size_t{0});
  // CAF's own watch drops connections that are being made, and those that are busy with one large message.
  config.set("middleman.connection-timeout", caf::timespan{0});
  caf::put(config.content, silence_key, caf::timespan{silence});
}

steady_time silence_of(const caf::actor_system& system) {
  return steady_time{caf::get_or(system.config(), silence_key, caf::timespan{0})};
}

void bound_waiting(int socket) {
  const auto limit = static_cast<unsigned>(std::chrono::milliseconds{forget_deadline}.count());
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit); // without it, it only takes longer
}

std::uint16_t listen(caf::actor_system& system, const caf::actor& who, std::uint16_t port, const std::string& bind) {
  if (has_sockets(system)) return guarded_listen(system, who, bind, port);
  auto door = system.middleman().backend().new_tcp_doorman(port, bind.c_str(), true);
  if (!door) throw error{errc::io_failed, "port " + std::to_string(port) + " of " + bind + " cannot be listened on"};
  port = (*door)->port();
  publish_at(system, std::move(*door), who, port);
  return port;
}

void stop_listening(caf::actor_system& system, std::uint16_t port) {
  caf::anon_send(system.middleman().actor_handle(), caf::close_atom::value, port);
}

namespace {

/// What a scheduled actor does at its end. On the actor's own thread.
void close_mailbox(caf::scheduled_actor& self) {
  self.mailbox().close();
  self.get_normal_queue().flush_cache();
  self.get_urgent_queue().flush_cache();
  caf::detail::sync_request_bouncer bounce{caf::exit_reason::user_shutdown};
  while (self.mailbox().queue().new_round(1000, bounce).consumed_items > 0) {
  }
}

} // namespace

/// CAF's broker hears of the deaths of actors that other processes watch. One that has been stopped does not close its
/// mailbox (abstract_broker::cleanup()): it keeps what it has not read, what comes later, and with it those who sent
/// it. The system then waits for ever for the threads of those among them that have one.
std::unique_ptr<caf::actor_system> make_system(caf::actor_system_config& config) {
  auto system = std::make_unique<caf::actor_system>(config);
  const auto broker = basp_broker_of(*system);
  auto* self = static_cast<caf::io::basp_broker*>(caf::actor_cast<caf::abstract_actor*>(broker));
  self->attach_functor([self] { close_mailbox(*self); });
  return system;
}

void connect_to(caf::event_based_actor& self, const std::string& host, std::uint16_t port,
                std::function<void(caf::actor)> connected, std::function<void(const error&)> failed) {
  auto& system = self.system();
  const auto refused = [failed](caf::error& e) { failed(from_caf(e, "connecting")); };
  if (has_sockets(system)) {
    self.request(system.spawn<caf::detached>(dialler, host, port), 3 * connect_deadline, caf::connect_atom::value)
        .then([connected](const caf::actor& who) { connected(who); }, refused);
    return;
  }
  self.request(system.middleman().actor_handle(), connect_deadline, caf::connect_atom::value, host, port)
      .then(
          [connected, failed](const caf::node_id&, const caf::strong_actor_ptr& who, const std::set<std::string>&) {
            if (who)
              connected(caf::actor_cast<caf::actor>(who));
            else
              failed(error{errc::connection_failed, "nobody is there"});
          },
          refused);
}

} // namespace dataflow::actors
