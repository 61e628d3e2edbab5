/// TLS on a socket that does not block, for guarded_connection.
///
/// CAF's own is not used: while a peer is slow to shake hands it keeps a processor busy, what is wrong with one peer
/// stays in OpenSSL's queue of errors and breaks the next connection of the thread, and a file that it cannot read ends
/// the process.
/// Threading: one thread at a time. Ownership: the socket is the caller's. Errors: the constructor throws
/// unsafe_configuration when the files cannot be used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct ssl_st;

namespace dataflow::actors {

struct tls_files;

class tls_session {
public:
  enum class side : std::uint8_t { accepts, connects };
  enum class state : std::uint8_t {
    going_on, ///< nothing more can be done now
    done,
    failed, ///< failure() says why
  };
  /// Reads the files.
  tls_session(const tls_files& files, int socket, side which);

  bool established() const noexcept;
  /// Of the handshake. When it waits for room in the socket, wants_write() is true.
  state shake_hands();
  bool wants_write() const noexcept;
  /// REQUIRES: established. `n`: bytes that were read or written; 0 with going_on. What was written has left for the
  /// socket; with going_on, call again with the same bytes and perhaps more.
  state read(void* to, std::size_t size, std::size_t& n);
  state write(const void* from, std::size_t size, std::size_t& n);
  /// read() would give as many bytes, or at least some, and the socket does not say so: they have left it.
  bool has_more(std::size_t size) const noexcept;
  const std::string& failure() const noexcept { return failure_; }

private:
  state after(int result);
  state flush();

  struct freed {
    void operator()(ssl_st* s) const noexcept;
  };
  std::unique_ptr<ssl_st, freed> ssl_;
  std::string failure_;
  std::size_t unsent_ = 0; // bytes that were taken from the caller, and wait for room in the socket
};

} // namespace dataflow::actors
