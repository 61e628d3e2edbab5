/// A TCP proxy on this machine, to cut connections that two parties believe in.
///
/// Threading: has a thread of its own; members are safe from any thread. Ownership: connections end with it.
#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace dataflow::test {

class tcp_proxy {
public:
  /// Passes on to a port of this machine.
  explicit tcp_proxy(std::uint16_t target) : target_(target), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    auto address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, as_any(address), size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, as_any(address), &size) != 0)
      throw std::runtime_error{"no port for a proxy"};
    if (::pipe(wake_) != 0) throw std::runtime_error{"no pipe for a proxy"};
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { run(); }};
  }
  ~tcp_proxy() {
    stop_ = true;
    wake();
    thread_.join();
    cut();
    for (const int end : {listener_, wake_[0], wake_[1]})
      ::close(end);
  }
  tcp_proxy(const tcp_proxy&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  /// Ends all connections that there are; returns how many.
  std::size_t cut() {
    std::lock_guard lock{mutex_};
    const auto n = pairs_.size();
    for (auto& [a, b] : std::exchange(pairs_, {})) {
      ::close(a);
      ::close(b);
    }
    wake(); // whoever polls them does not notice
    return n;
  }
  /// New connections are taken (true, as at the start) or ended at once.
  void allow(bool allowed) { allowed_ = allowed; }
  /// Nothing is passed on any more; connections stay as they are.
  void fall_silent() {
    silent_ = true;
    wake();
  }

private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static sockaddr* as_any(sockaddr_in& a) { return reinterpret_cast<sockaddr*>(&a); }

  void wake() {
    const char word = 0;
    [[maybe_unused]] const auto n = ::write(wake_[1], &word, 1);
  }
  void run() {
    while (!stop_) {
      std::vector<pollfd> waits{{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
      {
        std::lock_guard lock{mutex_};
        for (const auto& [a, b] : silent_ ? none_ : pairs_) {
          waits.push_back({a, POLLIN, 0});
          waits.push_back({b, POLLIN, 0});
        }
      }
      ::poll(waits.data(), waits.size(), -1);
      if (waits[1].revents != 0) {
        char words[64];
        [[maybe_unused]] const auto n = ::read(wake_[0], words, sizeof words);
      }
      std::lock_guard lock{mutex_};
      if (waits[0].revents != 0) accept_one();
      for (std::size_t i = 0; i < pairs_.size() && !silent_;) {
        if (pass(pairs_[i].first, pairs_[i].second) && pass(pairs_[i].second, pairs_[i].first)) {
          ++i;
          continue;
        }
        ::close(pairs_[i].first);
        ::close(pairs_[i].second);
        pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }
  void accept_one() {
    const int near = ::accept(listener_, nullptr, nullptr);
    if (near < 0) return;
    const int far = ::socket(AF_INET, SOCK_STREAM, 0);
    auto address = loopback(target_);
    if (allowed_ && ::connect(far, as_any(address), sizeof address) == 0) {
      pairs_.emplace_back(near, far);
    } else {
      ::close(near);
      ::close(far);
    }
  }
  /// False when one side has ended.
  static bool pass(int from, int to) {
    char buffer[65536];
    for (;;) {
      const auto n = ::recv(from, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n == 0) return false;
      if (n < 0) return true;
      for (ssize_t sent = 0; sent < n;) {
        const auto m = ::send(to, buffer + sent, static_cast<std::size_t>(n - sent), MSG_NOSIGNAL);
        if (m <= 0) return false;
        sent += m;
      }
    }
  }

  const std::uint16_t target_;
  const int listener_;
  int wake_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false}, allowed_{true}, silent_{false};
  std::mutex mutex_;
  std::vector<std::pair<int, int>> pairs_;
  const std::vector<std::pair<int, int>> none_;
  std::thread thread_;
};

} // namespace dataflow::test
