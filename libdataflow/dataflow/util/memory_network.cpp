#include <dataflow/util/error.hpp>
#include <dataflow/util/memory_network.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace dataflow {

/// One direction of a connection.
struct memory_network::pipe {
  std::mutex mutex; // guards all below
  std::string bytes;
  bool closed = false;
};

/// Connections that nobody has accepted yet: their server sides.
struct memory_network::backlog {
  std::mutex mutex; // guards waiting
  std::deque<std::unique_ptr<stream_socket>> waiting;
  std::uint16_t port = 0;
};

namespace {

using pipe = memory_network::pipe;

class memory_socket final : public stream_socket {
public:
  /// Without pipes: a connection that is refused.
  memory_socket(std::string peer, std::shared_ptr<pipe> in, std::shared_ptr<pipe> out)
      : peer_(std::move(peer)), in_(std::move(in)), out_(std::move(out)) {}
  ~memory_socket() override {
    for (auto& side : {in_, out_}) {
      if (!side) continue;
      std::lock_guard lock{side->mutex};
      side->closed = true;
    }
  }
  bool wait_connected(std::chrono::milliseconds) override {
    if (!in_) throw error{errc::connection_failed, peer_ + ": nobody listens", "start the server first"};
    return true;
  }
  read_result read(char* to, std::size_t size, std::chrono::milliseconds) override {
    if (interrupted_.load(std::memory_order_relaxed)) return {read_result::kind::interrupted, 0};
    std::lock_guard lock{in_->mutex};
    if (in_->bytes.empty()) return {in_->closed ? read_result::kind::closed : read_result::kind::nothing, 0};
    auto n = std::min(size, in_->bytes.size());
    std::memcpy(to, in_->bytes.data(), n);
    in_->bytes.erase(0, n);
    return {read_result::kind::data, n};
  }
  void write(std::string_view bytes) override {
    std::lock_guard lock{out_->mutex};
    if (out_->closed) throw error{errc::connection_failed, peer_ + ": the peer has closed the connection"};
    out_->bytes.append(bytes);
  }
  void interrupt() noexcept override { interrupted_.store(true, std::memory_order_relaxed); }

private:
  std::string peer_;
  std::shared_ptr<pipe> in_, out_;
  std::atomic<bool> interrupted_{false};
};

class memory_listener final : public stream_listener {
public:
  explicit memory_listener(std::shared_ptr<memory_network::backlog> b) : backlog_(std::move(b)) {}
  std::uint16_t port() const noexcept override { return backlog_->port; }
  std::unique_ptr<stream_socket> accept(std::chrono::milliseconds) override {
    std::lock_guard lock{backlog_->mutex};
    if (backlog_->waiting.empty()) return nullptr;
    auto socket = std::move(backlog_->waiting.front());
    backlog_->waiting.pop_front();
    return socket;
  }

private:
  std::shared_ptr<memory_network::backlog> backlog_;
};

} // namespace

memory_network::~memory_network() = default;

std::unique_ptr<stream_socket> memory_network::connect(const std::string& host, std::uint16_t port) {
  auto peer = host + ":" + std::to_string(port);
  std::shared_ptr<backlog> listener;
  {
    std::lock_guard lock{mutex_};
    ++attempts_;
    if (auto found = listeners_.find(port); found != listeners_.end()) listener = found->second.lock();
  }
  if (!listener) return std::make_unique<memory_socket>(std::move(peer), nullptr, nullptr);
  auto up = std::make_shared<pipe>(), down = std::make_shared<pipe>();
  std::lock_guard lock{listener->mutex};
  listener->waiting.push_back(std::make_unique<memory_socket>("a client of port " + std::to_string(port), up, down));
  return std::make_unique<memory_socket>(std::move(peer), down, up);
}

std::unique_ptr<stream_listener> memory_network::listen(std::uint16_t port) {
  std::lock_guard lock{mutex_};
  if (port == 0) port = next_port_++;
  auto& entry = listeners_[port];
  if (!entry.expired())
    throw error{errc::connection_failed, "127.0.0.1:" + std::to_string(port) + ": the port is in use"};
  auto fresh = std::make_shared<backlog>();
  fresh->port = port;
  entry = fresh;
  return std::make_unique<memory_listener>(std::move(fresh));
}

std::size_t memory_network::attempts() const {
  std::lock_guard lock{mutex_};
  return attempts_;
}

} // namespace dataflow
