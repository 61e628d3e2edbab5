/// Stream sockets as the engine sees them: for connectors that talk text. (The cluster's own traffic is CAF's.)
///
/// Threading: a network is safe to use from any thread; a socket or listener belongs to one thread at a time, but for
/// interrupt(), which any thread may call. Ownership: sockets close when destroyed; they do not outlive their network.
/// Errors: errc::connection_failed with "host:port" in the cause.
/// Time-outs are upper bounds; the in-memory double never waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace dataflow {

struct read_result {
  enum class kind : std::uint8_t {
    data,        ///< `size` bytes, at least one
    nothing,     ///< the time-out passed
    closed,      ///< the peer has closed its side
    interrupted, ///< somebody called interrupt()
  };
  kind what = kind::nothing;
  std::size_t size = 0;
};

class stream_socket {
public:
  virtual ~stream_socket() = default;
  /// Waits for the connection that connect() began. False: not yet, call again. Throws when it was refused.
  virtual bool wait_connected(std::chrono::milliseconds timeout) = 0;
  /// REQUIRES: connected. Throws when the connection broke (closing in order is read_result::closed).
  virtual read_result read(char* to, std::size_t size, std::chrono::milliseconds timeout) = 0;
  /// Writes all bytes; blocks while the peer does not read.
  virtual void write(std::string_view bytes) = 0;
  /// From any thread: calls that wait return at once, now and from now on.
  virtual void interrupt() noexcept = 0;
};

class stream_listener {
public:
  virtual ~stream_listener() = default;
  virtual std::uint16_t port() const noexcept = 0;
  /// Null when nobody came in time.
  virtual std::unique_ptr<stream_socket> accept(std::chrono::milliseconds timeout) = 0;
};

class network {
public:
  virtual ~network() = default;
  /// Begins to connect, with the look-up of the name; does not wait. What goes wrong is thrown here or by
  /// wait_connected(), an unknown host there.
  virtual std::unique_ptr<stream_socket> connect(const std::string& host, std::uint16_t port) = 0;
  /// On 127.0.0.1; port 0: any free one.
  virtual std::unique_ptr<stream_listener> listen(std::uint16_t port) = 0;
};

/// The operating system's.
network& system_network();

} // namespace dataflow
