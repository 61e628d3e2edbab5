/// A little HTTP server on loopback, and a client for it: the service that the asynchronous example asks. Everything of
/// cpp-httplib stays behind this header.
///
/// Threading: the server has threads of its own; a client belongs to one thread. Ownership: shared() gives the
/// process's one server, which stops with its last holder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace examples {

class http_shop {
public:
  /// Listens on a free port of 127.0.0.1. Throws dataflow::error when there is none.
  static std::shared_ptr<http_shop> shared();
  ~http_shop();
  http_shop(const http_shop&) = delete;
  std::uint16_t port() const noexcept;

private:
  http_shop();
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Asks GET /price/<item>, one request at a time over one connection.
class http_client {
public:
  explicit http_client(std::uint16_t port);
  http_client(http_client&&) noexcept;
  ~http_client();
  /// In cents. Throws dataflow::error with the status, or with what went wrong with the connection.
  std::int64_t price_of(const std::string& item);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace examples
