/// CAF's connections, with a guard: what a peer sends is looked at before CAF's wire protocol (BASP) sees it.
///
/// CAF takes the word of whoever connects: a header of 32 bytes makes it allocate 4 GiB, or read what is not there; a
/// peer that never says anything holds its socket for ever. Here a peer has to greet first, in a short message, and in
/// time; every header is checked; who breaks a rule loses its connection, and is named in the log, once per host.
/// With TLS both sides show certificates; a handshake that fails leaves nothing behind that could break another
/// connection (OpenSSL's queue of errors belongs to the thread), and a certificate file that cannot be read ends that
/// connection, not the process.
/// Threading: the thread of CAF's multiplexer, but for the functions here and end(): any thread.
/// Ownership: connections belong to CAF's broker. Errors: see transport.hpp.
#pragma once

#include <dataflow/util/clock.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <caf/io/doorman.hpp>
#include <caf/io/scribe.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace dataflow::actors {

inline constexpr std::size_t largest_greeting = 16 * 1024;       ///< bytes; before a peer has said who it is
inline constexpr std::size_t largest_message = 64 * 1024 * 1024; ///< bytes; afterwards
inline constexpr std::size_t most_strangers = 64;                ///< that have not greeted yet; the oldest goes
inline constexpr std::size_t most_connections = 4096;            ///< of one port
inline constexpr std::chrono::seconds time_to_greet{5};

/// A header of BASP, as far as the guard looks at it.
struct basp_header {
  std::uint8_t operation = 0;
  std::uint32_t payload = 0; ///< bytes
  /// REQUIRES: 32 bytes.
  static basp_header read(const void* bytes) noexcept;
};
/// Which side of a connection sent it.
enum class basp_sender : std::uint8_t { client, server };
/// Nothing is wrong: null.
const char* what_is_wrong(const basp_header& header, basp_sender sender, bool greeted) noexcept;

/// One end of a connection.
class guarded_connection : public caf::io::scribe {
public:
  using scribe::scribe;
  /// Ends the connection; CAF learns of it from the socket. Any thread.
  virtual void end() = 0;
};

/// The broker that speaks BASP.
caf::actor basp_broker_of(caf::actor_system& system);
/// Its connections are sockets, which are guarded.
bool has_sockets(caf::actor_system& system);
/// Makes an actor what those get that come through the door.
void publish_at(caf::actor_system& system, caf::io::doorman_ptr door, const caf::actor& who, std::uint16_t port);

/// Takes over a socket that connects, or has connected, to a listener of ours. TLS when the system has certificates.
/// Throws error{errc::unsafe_configuration} when these cannot be read.
caf::intrusive_ptr<guarded_connection> guarded_client(caf::actor_system& system, int socket);

/// Listens, and hands connections to `who`. Returns the port. Throws error{errc::io_failed}.
std::uint16_t guarded_listen(caf::actor_system& system, const caf::actor& who, const std::string& host,
                             std::uint16_t port);

} // namespace dataflow::actors
