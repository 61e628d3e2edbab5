// TLS over a pair of sockets in one thread: reads and writes as a loop of events makes them. What lies in a buffer
// above the socket is announced by no event, so that nothing may be left there.
#include <dataflow/actors/network/tls.hpp>
#include <dataflow/actors/network/tls_session.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <fcntl.h>
#include <poll.h>
#include <random>
#include <string>
#include <sys/socket.h>
#include <tests/integration/program.hpp>
#include <tests/support/effort.hpp>
#include <tests/support/tree_paths.hpp>
#include <unistd.h>

using dataflow::actors::tls_files;
using dataflow::actors::tls_session;

namespace tls_session_test {

struct socket_pair {
  int ends[2] = {-1, -1};
  explicit socket_pair(int room) {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    for (const int end : ends)
      REQUIRE(::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
  }
  socket_pair(const socket_pair&) = delete;
  ~socket_pair() {
    for (const int end : ends)
      if (end >= 0) ::close(end);
  }
  bool is_ready(int end, short what) const {
    pollfd one{ends[end], what, 0};
    return ::poll(&one, 1, 0) == 1;
  }
};

struct two_sides {
  dataflow::test::scratch directory;
  std::string where = directory.path("certificates");
  socket_pair sockets;
  tls_session client, server;

  explicit two_sides(int room)
      : sockets(room), client(made(), sockets.ends[0], tls_session::side::connects),
        server(files(), sockets.ends[1], tls_session::side::accepts) {
    for (int i = 0; i < 100 && !(client.established() && server.established()); ++i)
      for (auto* const side : {&client, &server})
        if (!side->established()) REQUIRE(side->shake_hands() != tls_session::state::failed);
    REQUIRE(client.established());
    REQUIRE(server.established());
  }
  tls_files made() const {
    REQUIRE(
        dataflow::test::program{{dataflow::test::source_path("tools/make-certificates"), where, "node"}}.wait().code ==
        0);
    return files();
  }
  tls_files files() const { return {where + "/node.pem", where + "/node.key", where + "/authority.pem"}; }
};

std::string random_bytes(std::size_t size) {
  std::mt19937_64 random{size};
  std::string bytes(size, '\0');
  for (auto& b : bytes)
    b = static_cast<char>(random());
  return bytes;
}

} // namespace tls_session_test
using namespace tls_session_test;

TEST_CASE("all that is written over TLS arrives, whatever is written and read at once and however full the socket is") {
  for (const int room : {4 << 10, 64 << 10, 1 << 20})
    for (std::uint64_t seed = 0; seed < dataflow::test::rounds(4); ++seed) {
      INFO(room << " bytes in the socket, seed " << seed);
      two_sides both{room};
      std::mt19937_64 random{seed};
      const auto sent = random_bytes(3'000'000 + random() % 1000);
      const auto random_size = [&]() -> std::size_t {
        const std::size_t most[] = {100, 16 << 10, 300'000, 4'000'000};
        return 1 + random() % most[random() % 4];
      };
      std::size_t offered = 0; // and not written: it is offered again
      std::string received(sent.size(), '\0');
      std::size_t written = 0, read = 0, message = 40; // the rest of it
      while (read < sent.size()) {
        const bool can_write = written < sent.size() && both.sockets.is_ready(0, POLLOUT);
        const bool can_read = both.sockets.is_ready(1, POLLIN);
        REQUIRE((can_write || can_read)); // else what was written is stuck
        if (can_write) {
          std::size_t n = 0;
          const auto size = std::min(sent.size() - written, std::max(offered, random_size()));
          const auto s = both.client.write(sent.data() + written, size, n);
          REQUIRE(s != tls_session::state::failed);
          REQUIRE(n <= size);
          written += n;
          offered = size - n;
        }
        if (!can_read || random() % 3 == 0) continue;
        for (int reads = 0; read < sent.size() && (reads < 3 || both.server.has_more(message)); ++reads) {
          std::size_t n = 0;
          const auto size = std::min(message, sent.size() - read);
          REQUIRE(both.server.read(received.data() + read, size, n) != tls_session::state::failed);
          if (n == 0) break;
          read += n;
          message -= n;
          if (message == 0) message = random_size();
        }
      }
      CHECK(received == sent);
    }
}

TEST_CASE("what is behind a whole record in the buffer of a TLS session is announced, a part of one is not") {
  two_sides both{1 << 20};
  const auto write = [&](const std::string& bytes) {
    std::size_t n = 0;
    REQUIRE(both.client.write(bytes.data(), bytes.size(), n) == tls_session::state::done);
    REQUIRE(n == bytes.size());
  };
  const auto read = [&](std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t n = 0;
    CHECK(both.server.read(bytes.data(), size, n) != tls_session::state::failed);
    return bytes.substr(0, n);
  };
  CHECK_FALSE(both.server.has_more(1));
  write("first");
  write("second");
  CHECK(read(100) == "first");
  CHECK_FALSE(both.sockets.is_ready(1, POLLIN)); // both have left the socket
  CHECK(both.server.has_more(100));
  CHECK(read(3) == "sec");
  CHECK(both.server.has_more(3));
  CHECK_FALSE(both.server.has_more(4));
  CHECK(read(100) == "ond");
  CHECK_FALSE(both.server.has_more(1));
  CHECK(read(100).empty());
}

TEST_CASE("what waits for room in the socket counts as not written") {
  two_sides both{4 << 10};
  const auto sent = random_bytes(1'000'000);
  std::string received(sent.size(), '\0');
  std::size_t read = 0, written = 0;
  REQUIRE(both.client.write(sent.data(), sent.size(), written) == tls_session::state::going_on);
  CHECK(written == 0);
  while (written == 0) {
    for (std::size_t n = 1; n > 0; read += n)
      REQUIRE(both.server.read(received.data() + read, received.size() - read, n) != tls_session::state::failed);
    REQUIRE(both.client.write(sent.data(), sent.size(), written) != tls_session::state::failed);
  }
  for (std::size_t n = 1; n > 0; read += n)
    REQUIRE(both.server.read(received.data() + read, received.size() - read, n) != tls_session::state::failed);
  CHECK(read >= written);
  CHECK(received.substr(0, read) == sent.substr(0, read));
}
