#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/memory_network.hpp>
#include <dataflow/util/platform.hpp>

#include <doctest/doctest.h>

#include <functional>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

/// Long enough that only a broken socket runs into it.
constexpr auto long_time = 20s;

std::string read_all(stream_socket& socket) {
  std::string text;
  char part[5];
  for (;;) {
    auto r = socket.read(part, sizeof part, long_time);
    if (r.what != read_result::kind::data) {
      CHECK(r.what == read_result::kind::closed);
      return text;
    }
    text.append(part, r.size);
  }
}

void check_behaviour(network& sockets) {
  auto listener = sockets.listen(0);
  auto client = sockets.connect("127.0.0.1", listener->port());
  while (!client->wait_connected(long_time)) {
  }
  auto server = listener->accept(long_time);
  REQUIRE(server);
  char part[8];
  CHECK(client->read(part, sizeof part, 0ms).what == read_result::kind::nothing);
  server->write("hello, ");
  server->write("world");
  client->write("back");
  CHECK(server->read(part, sizeof part, long_time).size == 4);
  server.reset();
  CHECK(read_all(*client) == "hello, world");

  auto port = listener->port();
  listener.reset();
  auto refused = [&] {
    auto late = sockets.connect("127.0.0.1", port);
    while (!late->wait_connected(long_time)) {
    }
  };
  try {
    refused();
    FAIL("connected to a port where nobody listens");
  } catch (const error& e) {
    CHECK(e.code() == errc::connection_failed);
    CHECK(e.cause().find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
  }
}

} // namespace

TEST_CASE("the real network does what the interface says") { check_behaviour(system_network()); }

TEST_CASE("the network in memory does what the interface says") {
  memory_network sockets;
  check_behaviour(sockets);
  CHECK(sockets.attempts() == 2);
}

TEST_CASE("a read that waits returns when another thread interrupts it") {
  auto listener = system_network().listen(0);
  auto client = system_network().connect("localhost", listener->port());
  while (!client->wait_connected(long_time)) {
  }
  auto what = read_result::kind::data;
  auto thread = system_platform().threads->start("reader", [&] {
    char byte;
    what = client->read(&byte, 1, 1h).what;
  });
  client->interrupt();
  thread.reset(); // joins
  CHECK(what == read_result::kind::interrupted);
  char byte;
  CHECK(client->read(&byte, 1, 1h).what == read_result::kind::interrupted);
}

TEST_CASE("nobody waits for the look-up of a name: it can be interrupted, and abandoned") {
  for (int i = 0; i < 20; ++i) {
    auto socket = system_network().connect("no-such-host-" + std::to_string(i) + ".invalid", 1);
    if (i % 2 == 0) continue; // gone at once
    socket->interrupt();
    try {
      const bool connected = socket->wait_connected(1h);
      CHECK_FALSE(connected);
    } catch (const error& e) { // the answer was faster
      CHECK(e.code() == errc::connection_failed);
    }
  }
}

TEST_CASE("an unknown host is a clear error") {
  try {
    auto socket = system_network().connect("no-such-host.invalid", 1);
    while (!socket->wait_connected(long_time)) {
    }
    FAIL("found a host that cannot exist");
  } catch (const error& e) {
    CHECK(e.code() == errc::connection_failed);
    CHECK(e.cause().find("no-such-host.invalid:1") != std::string::npos);
  }
}

TEST_CASE("the system's platform is complete") {
  auto& p = system_platform();
  CHECK(p.clock == &system_clock());
  CHECK(p.files == &system_files());
  CHECK(p.sockets == &system_network());
  CHECK(p.threads != nullptr);
  CHECK(p.out != nullptr);
  CHECK(p.err != nullptr);
  bool ran = false;
  p.threads->start("a name that is longer than the system allows", [&] { ran = true; }).reset();
  CHECK(ran);
}
