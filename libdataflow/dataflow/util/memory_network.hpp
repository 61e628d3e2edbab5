/// A network inside the process: for tests and simulations. Nothing waits: what is not there yet is "nothing".
///
/// Threading: safe from any thread. Ownership: as network. Host names are ignored; a port has at most one listener.
#pragma once

#include <dataflow/util/network.hpp>

#include <deque>
#include <map>
#include <mutex>

namespace dataflow {

class memory_network final : public network {
public:
  ~memory_network() override;
  std::unique_ptr<stream_socket> connect(const std::string& host, std::uint16_t port) override;
  std::unique_ptr<stream_listener> listen(std::uint16_t port) override;
  /// How many connections were begun so far, refused ones included.
  std::size_t attempts() const;

  struct pipe;
  struct backlog;

private:
  mutable std::mutex mutex_; // guards all below
  std::map<std::uint16_t, std::weak_ptr<backlog>> listeners_;
  std::uint16_t next_port_ = 1024;
  std::size_t attempts_ = 0;
};

} // namespace dataflow
