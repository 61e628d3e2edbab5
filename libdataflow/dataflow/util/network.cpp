// The operating system's sockets: not blocking, waited for with poll().
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/network.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace dataflow {

namespace {

class descriptor {
public:
  explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }

private:
  int fd_;
};

error connection_error(std::string_view peer, std::string_view what, std::string advice = {}) {
  return {errc::connection_failed, std::string{peer} + ": " + std::string{what}, std::move(advice)};
}

error connection_error(std::string_view peer, int number) {
  return connection_error(peer, std::generic_category().message(number),
                          number == ECONNREFUSED ? "check that a server listens on that host and port" : "");
}

struct address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// Waits for `events` on fd, or a signal on `wake`. Bits of what happened; 0 after the time-out.
enum : unsigned { fd_ready = 1, woken = 2 };
unsigned wait_for(int fd, short events, int wake, std::chrono::milliseconds timeout) {
  const auto deadline = system_clock().now() + timeout;
  pollfd fds[2] = {{fd, events, 0}, {wake, POLLIN, 0}};
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - system_clock().now());
    auto n = ::poll(fds, wake >= 0 ? 2 : 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    return (fds[0].revents != 0 ? fd_ready : 0u) | (wake >= 0 && fds[1].revents != 0 ? woken : 0u);
  }
}

std::vector<address> addresses_of(const addrinfo* found) {
  std::vector<address> out;
  for (auto* a = found; a != nullptr; a = a->ai_next) {
    address next;
    next.size = a->ai_addrlen;
    std::memcpy(&next.storage, a->ai_addr, a->ai_addrlen);
    out.push_back(next);
  }
  return out;
}

/// The look-up of a name, on a thread of the resolver's. It can take as long as its servers like, so nobody waits for
/// its end: one that is not needed any more is kept until it is over.
class name_lookup {
public:
  name_lookup(const std::string& host, std::uint16_t port) : request_(std::make_unique<request>()) {
    request_->host = host;
    request_->service = std::to_string(port);
    request_->hints.ai_socktype = SOCK_STREAM;
    request_->what.ar_name = request_->host.c_str();
    request_->what.ar_service = request_->service.c_str();
    request_->what.ar_request = &request_->hints;
#ifdef __SANITIZE_THREAD__ // it does not know the C library's own threads and crashes in them: looked up in place
    finished_ = true;
    started_ =
        ::getaddrinfo(request_->what.ar_name, request_->what.ar_service, &request_->hints, &request_->what.ar_result);
#else
    gaicb* list[] = {&request_->what};
    started_ = ::getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr);
#endif
  }
  name_lookup(const name_lookup&) = delete;
  ~name_lookup() {
    static std::mutex mutex;
    static std::vector<std::unique_ptr<request>> abandoned;
    if (finished_ || ::gai_cancel(&request_->what) != EAI_NOTCANCELED) return;
    std::lock_guard lock{mutex};
    std::erase_if(abandoned, [](auto& r) { return ::gai_error(&r->what) != EAI_INPROGRESS; });
    abandoned.push_back(std::move(request_));
  }

  /// Waits for at most so long.
  bool wait(std::chrono::milliseconds timeout) const {
    if (finished_ || started_ != 0) return true;
    const gaicb* list[] = {&request_->what};
    const timespec slice{timeout.count() / 1000, timeout.count() % 1000 * 1'000'000};
    ::gai_suspend(list, 1, &slice);
    return ::gai_error(&request_->what) != EAI_INPROGRESS;
  }
  /// 0, or what getaddrinfo() would have returned. REQUIRES: wait() has returned true.
  int failure() const { return finished_ || started_ != 0 ? started_ : ::gai_error(&request_->what); }
  const addrinfo* found() const { return request_->what.ar_result; }

private:
  struct request {
    ~request() {
      if (what.ar_result) ::freeaddrinfo(what.ar_result);
    }
    std::string host, service;
    addrinfo hints{};
    gaicb what{};
  };
  std::unique_ptr<request> request_;
  int started_ = 0;
  bool finished_ = false;
};

class os_socket final : public stream_socket {
public:
  os_socket(std::string peer, std::unique_ptr<name_lookup> lookup)
      : peer_(std::move(peer)), lookup_(std::move(lookup)) {}
  os_socket(std::string peer, std::vector<address> addresses) : peer_(std::move(peer)), left_(std::move(addresses)) {
    begin_next();
  }
  os_socket(std::string peer, descriptor connected) : peer_(std::move(peer)), fd_(std::move(connected)) {
    connected_ = true;
  }

  bool wait_connected(std::chrono::milliseconds timeout) override {
    if (connected_) return true;
    if (lookup_ && !look_up(timeout)) return false;
    if ((wait_for(fd_.get(), POLLOUT, wake_.get(), timeout) & fd_ready) == 0) return false;
    int number = 0;
    socklen_t size = sizeof number;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &number, &size);
    if (number == 0) return connected_ = true;
    last_error_ = number;
    begin_next();
    return false;
  }

  read_result read(char* to, std::size_t size, std::chrono::milliseconds timeout) override {
    auto ready = wait_for(fd_.get(), POLLIN, wake_.get(), timeout);
    if (ready & woken) return {read_result::kind::interrupted, 0};
    if (ready == 0) return {read_result::kind::nothing, 0};
    auto n = ::recv(fd_.get(), to, size, 0);
    if (n > 0) return {read_result::kind::data, static_cast<std::size_t>(n)};
    if (n == 0) return {read_result::kind::closed, 0};
    if (errno == EAGAIN || errno == EINTR) return {read_result::kind::nothing, 0};
    throw connection_error(peer_, errno);
  }

  void write(std::string_view bytes) override {
    while (!bytes.empty()) {
      auto n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        if (wait_for(fd_.get(), POLLOUT, wake_.get(), std::chrono::hours{1}) & woken)
          throw connection_error(peer_, "interrupted while writing");
      } else if (errno != EINTR) {
        throw connection_error(peer_, errno);
      }
    }
  }

  void interrupt() noexcept override {
    std::uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(wake_.get(), &one, sizeof one); // never read: it stays on
  }

private:
  /// Waits for the addresses, in small portions because an interrupt cannot reach the resolver.
  bool look_up(std::chrono::milliseconds timeout) {
    constexpr auto portion = std::chrono::milliseconds{5};
    const auto deadline = system_clock().now() + timeout;
    while (!lookup_->wait(std::min(portion, timeout))) {
      if (system_clock().now() >= deadline || (wait_for(wake_.get(), POLLIN, -1, std::chrono::milliseconds{0}) != 0))
        return false;
    }
    const auto done = std::move(lookup_);
    if (const int rc = done->failure(); rc != 0)
      throw connection_error(peer_, ::gai_strerror(rc), "check the name of the host");
    left_ = addresses_of(done->found());
    begin_next();
    return true;
  }

  /// Starts on the next address; throws when there is none.
  void begin_next() {
    while (next_ < left_.size()) {
      auto& a = left_[next_++];
      fd_ = descriptor{::socket(a.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
      if (fd_.get() < 0) {
        last_error_ = errno;
        continue;
      }
      int on = 1;
      ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&a.storage), a.size) == 0 || errno == EINPROGRESS) return;
      last_error_ = errno;
    }
    throw connection_error(peer_, last_error_);
  }

  std::string peer_;
  std::unique_ptr<name_lookup> lookup_; // until it has been answered
  std::vector<address> left_;
  std::size_t next_ = 0;
  int last_error_ = ECONNREFUSED;
  bool connected_ = false;
  descriptor fd_;
  descriptor wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

class os_listener final : public stream_listener {
public:
  explicit os_listener(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    auto name = "127.0.0.1:" + std::to_string(port);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t size = sizeof a;
    if (fd_.get() < 0 || ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 ||
        ::listen(fd_.get(), 16) != 0 || ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&a), &size) != 0)
      throw connection_error(name, errno);
    port_ = ntohs(a.sin_port);
  }
  std::uint16_t port() const noexcept override { return port_; }
  std::unique_ptr<stream_socket> accept(std::chrono::milliseconds timeout) override {
    if (wait_for(fd_.get(), POLLIN, -1, timeout) == 0) return nullptr;
    descriptor fd{::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd.get() < 0) return nullptr;
    return std::make_unique<os_socket>("a client of port " + std::to_string(port_), std::move(fd));
  }

private:
  descriptor fd_;
  std::uint16_t port_ = 0;
};

class os_network final : public network {
public:
  std::unique_ptr<stream_socket> connect(const std::string& host, std::uint16_t port) override {
    auto peer = host + ":" + std::to_string(port);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST; // nothing to look up
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
      return std::make_unique<os_socket>(std::move(peer), std::make_unique<name_lookup>(host, port));
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner{found, ::freeaddrinfo};
    return std::make_unique<os_socket>(std::move(peer), addresses_of(found));
  }
  std::unique_ptr<stream_listener> listen(std::uint16_t port) override { return std::make_unique<os_listener>(port); }
};

} // namespace

network& system_network() {
  static os_network instance;
  return instance;
}

} // namespace dataflow
