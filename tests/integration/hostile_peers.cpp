#include <arpa/inet.h>
#include <cerrno>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <tests/integration/hostile_peers.hpp>
#include <unistd.h>
#include <utility>

namespace dataflow::test {

hostile_peer::hostile_peer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error{"nobody listens"};
}
hostile_peer::hostile_peer(hostile_peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
hostile_peer::~hostile_peer() {
  if (fd_ >= 0) ::close(fd_);
}

void hostile_peer::say(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

void hostile_peer::wait_for_end() {
  char buffer[4096];
  for (;;) {
    const auto n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n == 0 || (n < 0 && errno != EINTR)) return;
  }
}

bool hostile_peer::ends_within(std::chrono::milliseconds time) {
  char buffer[4096]; // for its greeting
  pollfd one{fd_, POLLIN, 0};
  while (::poll(&one, 1, static_cast<int>(time.count())) > 0)
    if (::recv(fd_, buffer, sizeof buffer, 0) <= 0) return true;
  return false;
}

std::string basp_bytes(std::uint8_t operation, std::uint32_t payload) {
  std::string header(32, '\0');
  header[0] = static_cast<char>(operation);
  for (int i = 0; i < 4; ++i)
    header[static_cast<std::size_t>(4 + i)] = static_cast<char>(payload >> (24 - 8 * i));
  return header;
}

std::vector<std::string> hostile_words() {
  constexpr std::uint8_t server_greets = 0, client_greets = 1, message = 2, heartbeat = 6;
  std::string garbage(1 << 20, '\0');
  for (std::size_t i = 0; i < garbage.size(); ++i)
    garbage[i] = static_cast<char>(i * 2654435761u >> 13);
  return {
      garbage,
      "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: everything that there is\r\n\r\n",
      std::string(64, '\xff'),
      basp_bytes(client_greets, 0xffffffff),                           // would make CAF allocate 4 GiB
      basp_bytes(client_greets, 1 << 20),                              // a greeting of a megabyte
      basp_bytes(client_greets, 0),                                    // would make CAF read what is not there
      basp_bytes(message, 0xfffffff0),                                 // without a greeting
      basp_bytes(server_greets, 100) + std::string(100, 'x'),          // from the wrong side
      basp_bytes(heartbeat, 0),                                        // without a greeting
      basp_bytes(heartbeat, 5) + "12345",                              // with something in it
      basp_bytes(client_greets, 100) + std::string(100, '\xff'),       // a greeting that cannot be read
      basp_bytes(client_greets, 16) + std::string(16, '\0') + garbage, // and so on
  };
}

std::uint64_t peak_memory(pid_t process) {
  std::ifstream status{"/proc/" + std::to_string(process) + "/status"};
  std::string word;
  std::uint64_t kibibytes = 0;
  while (status >> word)
    if (word == "VmHWM:") {
      status >> kibibytes;
      return kibibytes / 1024;
    }
  throw std::runtime_error{"nothing is known of the memory of process " + std::to_string(process)};
}

} // namespace dataflow::test
