#include <dataflow/util/clock.hpp>
#include <dataflow/util/random.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <deque>
#include <list>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <tests/integration/faulty_link.hpp>
#include <thread>
#include <unistd.h>
#include <vector>

namespace dataflow::test {

namespace {

using dataflow::steady_time;

constexpr std::size_t most_buffered = 1 << 20; // then the sender waits, as with a real network
constexpr std::int64_t nanoseconds = 1'000'000'000;

sockaddr_in loopback_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

sockaddr* generic(sockaddr_in& a) { return reinterpret_cast<sockaddr*>(&a); }

/// What is under way in one direction.
struct stream {
  int from = -1, to = -1;
  struct piece {
    steady_time due{0};
    std::string bytes;
  };
  std::deque<piece> pieces;
  std::size_t buffered = 0;
  steady_time free_at{0}; // of the next byte, by the rate
  bool ended = false;     // the sender has closed
};

struct connection {
  int near = -1, far = -1;
  stream there, back;
};

} // namespace

struct faulty_link::impl {
  const std::uint16_t target;
  int listener = -1;
  std::uint16_t port = 0;
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> made{0};
  std::mutex mutex; // guards what follows
  std::list<connection> connections;
  unsigned delay = 0, jitter = 0;
  std::uint64_t rate = 0;
  bool hole_there = false, hole_back = false;
  steady_time hole_ends{0}; // 0: not by itself
  random_source random{1};
  std::thread thread;

  impl(std::uint16_t t, std::uint16_t listen_on) : target(t) {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    auto address = loopback_address(listen_on);
    socklen_t size = sizeof address;
    if (::bind(listener, generic(address), size) != 0 || ::listen(listener, 64) != 0 ||
        ::getsockname(listener, generic(address), &size) != 0)
      throw std::runtime_error{"no port for a faulty link"};
    port = ntohs(address.sin_port);
    thread = std::thread{[this] { run(); }};
  }
  ~impl() {
    stop = true;
    thread.join();
    for (auto& c : connections)
      close(c, false);
    ::close(listener);
  }
  static void close(connection& c, bool abruptly) {
    for (const int fd : {c.near, c.far}) {
      const linger now{1, 0};
      if (abruptly) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      ::close(fd);
    }
  }
  void run() {
    while (!stop) {
      std::vector<pollfd> waits{{listener, POLLIN, 0}};
      {
        std::lock_guard lock{mutex};
        for (auto& c : connections)
          for (const auto* s : {&c.there, &c.back})
            if (!s->ended && s->buffered < most_buffered) waits.push_back({s->from, POLLIN, 0});
      }
      ::poll(waits.data(), waits.size(), 2);
      std::lock_guard lock{mutex};
      if (waits[0].revents != 0) accept_one();
      const auto now = system_clock().now();
      if (hole_ends.count() > 0 && now >= hole_ends) fill();
      for (auto i = connections.begin(); i != connections.end();) {
        if (read(i->there, now) && read(i->back, now) && write(i->there, now, hole_there) &&
            write(i->back, now, hole_back)) {
          ++i;
          continue;
        }
        close(*i, false);
        i = connections.erase(i);
      }
    }
  }
  void fill() {
    hole_there = hole_back = false;
    hole_ends = steady_time{0};
  }
  void accept_one() {
    const int near = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (near < 0) return;
    const int far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto address = loopback_address(target);
    if (::connect(far, generic(address), sizeof address) != 0) {
      ::close(near);
      ::close(far);
      return;
    }
    const int on = 1;
    for (const int fd : {near, far})
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection c;
    c.near = near;
    c.far = far;
    c.there.from = c.back.to = near;
    c.there.to = c.back.from = far;
    connections.push_back(std::move(c));
    ++made;
  }
  /// False when the connection is broken.
  bool read(stream& s, steady_time now) {
    char buffer[65536];
    while (!s.ended && s.buffered < most_buffered) {
      const auto n = ::recv(s.from, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
      if (n == 0) {
        s.ended = true;
        break;
      }
      const auto later = std::int64_t{delay} + (jitter > 0 ? static_cast<std::int64_t>(random() % (jitter + 1)) : 0);
      auto due = now + steady_time{later * 1'000'000};
      if (!s.pieces.empty()) due = std::max(due, s.pieces.back().due); // in order
      s.pieces.push_back({due, std::string(buffer, static_cast<std::size_t>(n))});
      s.buffered += static_cast<std::size_t>(n);
    }
    return true;
  }
  bool write(stream& s, steady_time now, bool hole) {
    if (hole) return true;
    while (!s.pieces.empty() && s.pieces.front().due <= now && s.free_at <= now) {
      auto& bytes = s.pieces.front().bytes;
      // A slow link carries small packets.
      const auto size = rate > 0 ? std::min<std::size_t>(bytes.size(), 4096) : bytes.size();
      const auto n = ::send(s.to, bytes.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
      if (rate > 0)
        s.free_at = std::max(s.free_at, now) + steady_time{n * nanoseconds / static_cast<std::int64_t>(rate)};
      s.buffered -= static_cast<std::size_t>(n);
      bytes.erase(0, static_cast<std::size_t>(n));
      if (bytes.empty()) s.pieces.pop_front();
    }
    return !s.ended || !s.pieces.empty(); // the other side learns of an end when it has all
  }
};

faulty_link::faulty_link(std::uint16_t target, std::uint16_t listen_on)
    : impl_(std::make_unique<impl>(target, listen_on)) {}
faulty_link::~faulty_link() = default;
std::uint16_t faulty_link::port() const noexcept { return impl_->port; }
void faulty_link::delay(unsigned milliseconds, unsigned jitter) {
  std::lock_guard lock{impl_->mutex};
  impl_->delay = milliseconds;
  impl_->jitter = jitter;
}
void faulty_link::rate(std::uint64_t bytes_per_second) {
  std::lock_guard lock{impl_->mutex};
  impl_->rate = bytes_per_second;
}
void faulty_link::hole(way which, unsigned milliseconds) {
  std::lock_guard lock{impl_->mutex};
  if (milliseconds > 0) impl_->hole_ends = system_clock().now() + steady_time{milliseconds * 1'000'000ll};
  if (which != way::back) impl_->hole_there = true;
  if (which != way::there) impl_->hole_back = true;
}
void faulty_link::no_hole() {
  std::lock_guard lock{impl_->mutex};
  impl_->fill();
}
std::size_t faulty_link::reset() {
  std::lock_guard lock{impl_->mutex};
  const auto n = impl_->connections.size();
  for (auto& c : impl_->connections)
    impl::close(c, true);
  impl_->connections.clear();
  return n;
}
std::size_t faulty_link::connections() const { return impl_->made; }

} // namespace dataflow::test
