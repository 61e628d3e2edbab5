#include <dataflow/actors/network/guarded_connection.hpp>
#include <dataflow/actors/network/tls.hpp>
#include <dataflow/actors/network/tls_session.hpp>
#include <dataflow/actors/network/transport.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
#include <caf/io/network/stream_impl.hpp>
#include <caf/policy/tcp.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace dataflow::actors {

namespace {

using caf::io::network::default_multiplexer;
using caf::io::network::native_socket;
using caf::io::network::rw_state;
using message_type = caf::io::basp::message_type;

const log_fields here{"network", {}, {}};

/// What reads and writes the bytes of a socket, and remembers when something came.
struct plain_bytes {
  steady_time* heard;
  rw_state read_some(std::size_t& n, native_socket fd, void* to, std::size_t size) {
    const auto result = caf::policy::tcp::read_some(n, fd, to, size);
    if (n > 0) *heard = system_clock().now();
    return result;
  }
  rw_state write_some(std::size_t& n, native_socket fd, const void* from, std::size_t size) {
    return caf::policy::tcp::write_some(n, fd, from, size);
  }
  static constexpr bool must_read_more(native_socket, std::size_t) { return false; }
};

/// The same behind TLS. Reading drives the handshake; nothing is written before it is over (connection_of::flush).
struct tls_bytes {
  steady_time* heard;
  std::shared_ptr<tls_session> session;
  std::function<void()> established;

  rw_state read_some(std::size_t& n, native_socket, void* to, std::size_t size) {
    n = 0;
    if (const auto s = shake_hands(); s != rw_state::success || !session->established()) return s;
    const auto s = session->read(to, size, n);
    if (n > 0) *heard = system_clock().now();
    return s == tls_session::state::failed ? rw_state::failure : rw_state::success;
  }
  rw_state write_some(std::size_t& n, native_socket, const void* from, std::size_t size) {
    n = 0;
    if (const auto s = shake_hands(); s != rw_state::success) return s;
    if (size == 0) return rw_state::indeterminate; // it was only for the handshake
    if (!session->established()) return rw_state::success;
    return session->write(from, size, n) == tls_session::state::failed ? rw_state::failure : rw_state::success;
  }
  bool must_read_more(native_socket, std::size_t threshold) { return session->has_more(threshold); }

private:
  rw_state shake_hands() {
    if (session->established()) return rw_state::success;
    const auto s = session->shake_hands();
    if (s == tls_session::state::done) established();
    return s == tls_session::state::failed ? rw_state::failure : rw_state::success;
  }
};

/// One that has come in and has not greeted yet.
class stranger {
public:
  virtual ~stranger() = default;
  virtual steady_time made() const noexcept = 0;
  virtual void send_away(default_multiplexer& loop) = 0;
};

/// What all connections of a port have in common.
class door_keeper {
public:
  explicit door_keeper(std::string where) : where_(std::move(where)) {}
  void refuse(const std::string& host, std::uint16_t port, const std::string& why) {
    if (hosts_.size() < most_strangers && hosts_.insert(host).second)
      log_warn(here, "the peer " + host + ":" + std::to_string(port) + " of " + where_ + " is refused: " + why +
                         "; further ones from there are not logged");
  }
  void came(stranger* who) { strangers_.push_back(who); }
  void known(stranger* who) { std::erase(strangers_, who); }
  /// Those who take too long, or are too many, go.
  void make_room(default_multiplexer& loop) {
    const auto now = system_clock().now();
    while (!strangers_.empty() &&
           (strangers_.size() >= most_strangers || now - strangers_.front()->made() > steady_time{time_to_greet})) {
      auto* const oldest = strangers_.front();
      strangers_.erase(strangers_.begin());
      oldest->send_away(loop);
    }
  }
  std::size_t connections = 0;

private:
  std::vector<stranger*> strangers_; // the oldest first
  const std::string where_;
  std::set<std::string> hosts_;
};

std::atomic<std::int64_t> connections_made{0};

/// Never the number of another connection. CAF uses the socket's, which the system gives to the next one at once.
caf::io::connection_handle next_handle() {
  return caf::io::connection_handle::from_int((std::int64_t{1} << 40) + ++connections_made);
}

template <class Bytes>
class connection_of final : public guarded_connection, public stranger {
public:
  /// `keeper`: of the port that it came in by; null: it goes out.
  connection_of(default_multiplexer& loop, native_socket fd, std::shared_ptr<door_keeper> keeper, steady_time silence,
                std::shared_ptr<tls_session> tls)
      : guarded_connection(next_handle()), keeper_(std::move(keeper)), silence_(silence), made_(system_clock().now()),
        heard_(made_), tls_(std::move(tls)), stream_(loop, fd, bytes()) {
    if (!keeper_) return;
    ++keeper_->connections;
    keeper_->came(this);
    host_ = addr();
    port_ = port();
  }
  ~connection_of() override {
    if (!keeper_) return;
    --keeper_->connections;
    keeper_->known(this);
  }
  void configure_read(caf::io::receive_policy::config config) override {
    stream_.configure_read(config);
    if (std::exchange(launched_, true)) return;
    stream_.start(this);
    if (tls_ && tls_->shake_hands() == tls_session::state::failed) end(); // who connects begins
    if (tls_ && tls_->wants_write()) stream_.force_empty_write(this);
  }
  void ack_writes(bool enable) override { stream_.ack_writes(enable); }
  std::vector<char>& wr_buf() override { return stream_.wr_buf(); }
  std::vector<char>& rd_buf() override { return stream_.rd_buf(); }
  void graceful_shutdown() override {
    stream_.graceful_shutdown();
    detach(&stream_.backend(), false);
  }
  /// CAF sends something in every interval of its heartbeats, and comes here.
  void flush() override {
    if (silence_.count() > 0 && greeted_ && system_clock().now() - heard_ > silence_) end();
    if (!tls_ || tls_->established()) stream_.flush(this);
  }
  std::string addr() const override {
    const auto x = caf::io::network::remote_addr_of_fd(stream_.fd());
    return x ? *x : std::string{};
  }
  std::uint16_t port() const override {
    const auto x = caf::io::network::remote_port_of_fd(stream_.fd());
    return x ? *x : std::uint16_t{0};
  }
  void add_to_loop() override { stream_.activate(this); }
  void remove_from_loop() override { stream_.passivate(); }
  void end() override { caf::io::network::shutdown_both(stream_.fd()); }

  bool consume(caf::execution_unit* ctx, const void* bytes, std::size_t size) override {
    if (detached()) return false;
    if (!payload_expected_) {
      const auto header = basp_header::read(bytes);
      const auto* wrong = size != caf::io::basp::header_size
                              ? "a header is cut short"
                              : what_is_wrong(header, keeper_ ? basp_sender::client : basp_sender::server, greeted_);
      if (wrong != nullptr) {
        refuse(wrong);
        io_failure(ctx, caf::io::network::operation::read);
        return false; // nobody holds it any more: the socket is closed
      }
      payload_expected_ = header.payload > 0;
    } else {
      payload_expected_ = false;
      if (!std::exchange(greeted_, true) && keeper_) keeper_->known(this);
    }
    const auto more = scribe::consume(ctx, bytes, size);
    if (!detached()) return more;
    refuse("its message cannot be read");
    return false; // CAF would wait until the peer closes its side, too
  }

  steady_time made() const noexcept override { return made_; }
  void send_away(default_multiplexer& loop) override {
    const caf::intrusive_ptr<connection_of> self{this};
    refuse("it did not greet");
    io_failure(&loop, caf::io::network::operation::read);
  }
  void refuse(const std::string& why) {
    if (keeper_ && !std::exchange(refused_, true)) keeper_->refuse(host_, port_, why);
  }

protected:
  caf::message detach_message() override {
    if (tls_ && !tls_->failure().empty() && !greeted_) refuse("its TLS handshake failed: " + tls_->failure());
    return scribe::detach_message();
  }

private:
  Bytes bytes() {
    if constexpr (std::is_same_v<Bytes, tls_bytes>)
      return {&heard_, tls_, [this] { flush(); }};
    else
      return {&heard_};
  }

  const std::shared_ptr<door_keeper> keeper_;
  const steady_time silence_, made_;
  steady_time heard_;
  const std::shared_ptr<tls_session> tls_; // null: without
  std::string host_;
  std::uint16_t port_ = 0;
  bool launched_ = false, payload_expected_ = false, greeted_ = false, refused_ = false;
  caf::io::network::stream_impl<Bytes> stream_;
};

bool has_tls(const caf::actor_system& system) { return !system.config().openssl_certificate.empty(); }

/// Null: without.
std::shared_ptr<tls_session> tls_of(const caf::actor_system& system, native_socket fd, tls_session::side which) {
  if (!has_tls(system)) return nullptr;
  const auto& config = system.config();
  return std::make_shared<tls_session>(tls_files{config.openssl_certificate, config.openssl_key, config.openssl_cafile},
                                       fd, which);
}

default_multiplexer& loop_of(caf::actor_system& system) {
  return static_cast<default_multiplexer&>(system.middleman().backend());
}

/// Accepts for a port.
template <class Bytes>
class door_of final : public caf::io::network::doorman_impl {
public:
  using connection = connection_of<Bytes>;
  door_of(default_multiplexer& loop, native_socket fd, std::string where, steady_time silence)
      : doorman_impl(loop, fd), keeper_(std::make_shared<door_keeper>(std::move(where))), silence_(silence) {}

  bool new_connection() override {
    if (detached()) return false;
    auto& loop = acceptor_.backend();
    const auto fd = acceptor_.accepted_socket();
    keeper_->make_room(loop);
    caf::intrusive_ptr<connection> made;
    try {
      made = connect(loop, fd);
    } catch (const error& e) {
      log_warn(here, "a connection is refused: " + e.cause());
    }
    if (!made) return true; // the door stays open
    const auto handle = made->hdl();
    parent()->add_scribe(caf::io::scribe_ptr{made});
    return doorman::new_connection(&loop, handle);
  }

private:
  caf::intrusive_ptr<connection> connect(default_multiplexer& loop, native_socket fd) {
    const auto peer = [&] {
      const auto host = caf::io::network::remote_addr_of_fd(fd);
      const auto port = caf::io::network::remote_port_of_fd(fd);
      return std::pair{host ? *host : std::string{"?"}, port ? *port : std::uint16_t{0}};
    };
    socket_holder socket{fd};
    if (keeper_->connections >= most_connections) {
      const auto [host, port] = peer();
      keeper_->refuse(host, port, "there are " + std::to_string(most_connections) + " connections");
      return nullptr;
    }
    bound_waiting(fd);
    caf::io::network::nonblocking(fd, true);
    auto tls = tls_of(parent()->system(), fd, tls_session::side::accepts);
    socket.fd = caf::io::network::invalid_native_socket;
    return caf::make_counted<connection>(loop, fd, keeper_, silence_, std::move(tls));
  }
  struct socket_holder {
    native_socket fd;
    ~socket_holder() {
      if (fd != caf::io::network::invalid_native_socket) caf::io::network::close_socket(fd);
    }
  };

  const std::shared_ptr<door_keeper> keeper_;
  const steady_time silence_;
};

} // namespace

basp_header basp_header::read(const void* bytes) noexcept {
  const auto* b = static_cast<const unsigned char*>(bytes);
  basp_header h;
  h.operation = b[0];
  for (int i = 4; i < 8; ++i) // big-endian
    h.payload = h.payload << 8 | b[i];
  return h;
}

const char* what_is_wrong(const basp_header& header, basp_sender sender, bool greeted) noexcept {
  const auto what = static_cast<message_type>(header.operation);
  const auto greeting = sender == basp_sender::client ? message_type::client_handshake : message_type::server_handshake;
  if (what > message_type::heartbeat) return "it does not speak the protocol";
  if (!greeted && what != greeting) return "it did not greet first";
  if (what != greeting && (what == message_type::client_handshake || what == message_type::server_handshake))
    return "it greets from the wrong side";
  if (what == message_type::heartbeat) return header.payload == 0 ? nullptr : "a heartbeat with something in it";
  if (header.payload == 0) return "a message without content";
  if (header.payload > (greeted ? largest_message : largest_greeting)) return "it announces too large a message";
  return nullptr;
}

caf::actor basp_broker_of(caf::actor_system& system) {
  return system.middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP"));
}

bool has_sockets(caf::actor_system& system) {
  return dynamic_cast<default_multiplexer*>(&system.middleman().backend()) != nullptr;
}

void publish_at(caf::actor_system& system, caf::io::doorman_ptr door, const caf::actor& who, std::uint16_t port) {
  caf::anon_send(basp_broker_of(system), caf::publish_atom::value, std::move(door), port,
                 caf::actor_cast<caf::strong_actor_ptr>(who), std::set<std::string>{});
}

caf::intrusive_ptr<guarded_connection> guarded_client(caf::actor_system& system, int socket) {
  const steady_time silence = silence_of(system);
  bound_waiting(socket);
  if (!has_tls(system))
    return caf::make_counted<connection_of<plain_bytes>>(loop_of(system), socket, nullptr, silence, nullptr);
  auto tls = tls_of(system, socket, tls_session::side::connects);
  return caf::make_counted<connection_of<tls_bytes>>(loop_of(system), socket, nullptr, silence, std::move(tls));
}

std::uint16_t guarded_listen(caf::actor_system& system, const caf::actor& who, const std::string& host,
                             std::uint16_t port) {
  constexpr bool reuse = true; // of a port whose last connections are not forgotten yet; not of one that is listened on
  const auto socket = caf::io::network::new_tcp_acceptor_impl(port, host.c_str(), reuse);
  if (!socket)
    throw error{errc::io_failed,
                "port " + std::to_string(port) + " of " + host +
                    " cannot be listened on: " + system.render(socket.error()),
                "another process may use it: stop that, or choose another port (0: any)"};
  const steady_time silence = silence_of(system);
  caf::io::doorman_ptr door;
  const auto make = [&](auto* kind) {
    using door_kind = std::remove_pointer_t<decltype(kind)>;
    const auto bound = caf::io::network::local_port_of_fd(*socket);
    port = bound ? *bound : port;
    door = caf::make_counted<door_kind>(loop_of(system), *socket, "port " + std::to_string(port), silence);
  };
  if (has_tls(system))
    make(static_cast<door_of<tls_bytes>*>(nullptr));
  else
    make(static_cast<door_of<plain_bytes>*>(nullptr));
  // It waits until the door is in the loop: CAF forgets one that is closed before, and keeps it in memory.
  caf::scoped_actor self{system, true};
  self->request(basp_broker_of(system), caf::infinite, caf::publish_atom::value, std::move(door), port,
                caf::actor_cast<caf::strong_actor_ptr>(who), std::set<std::string>{})
      .receive([] {}, [](caf::error&) {});
  return port;
}

} // namespace dataflow::actors
