#include <dataflow/connectors/line_buffer.hpp>
#include <dataflow/connectors/text_socket.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <tests/support/source_harness.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using harness = test::source_harness<std::string>;
using lines = std::vector<std::string>;

namespace {

constexpr std::uint16_t port = 9999;

/// Polls until the reader says that nothing is there.
void drain(harness& h) {
  do
    h.poll(0);
  while (h.last().what == poll_result::kind::more);
}

} // namespace

TEST_CASE("bytes in pieces become lines") {
  line_buffer b{"\n"};
  auto add = [&](std::string_view text) {
    std::copy(text.begin(), text.end(), b.space(text.size()));
    b.commit(text.size());
  };
  add("one\ntw");
  CHECK(b.next() == "one");
  CHECK_FALSE(b.next());
  add("o\r");
  CHECK_FALSE(b.next());
  add("\n\nrest");
  CHECK(b.next() == "two");
  CHECK(b.next() == "");
  CHECK_FALSE(b.next());
  CHECK(b.pending() == 4);
  CHECK(b.rest() == "rest");
  CHECK(b.rest() == "");

  b = line_buffer{"||"};
  add("a|b|");
  CHECK_FALSE(b.next());
  add("|c\r||");
  CHECK(b.next() == "a|b");
  CHECK(b.next() == "c\r");
}

TEST_CASE("lines of a socket come out as they arrive") {
  test::test_platform world;
  auto listener = world.net.listen(port);
  text_socket_source source{"localhost", port};
  CHECK(source.blocking());
  CHECK(source.bounds() == boundedness::unbounded);
  harness h{source, 2, world};
  drain(h);
  auto server = listener->accept(0ms);
  REQUIRE(server);
  CHECK(h.last().what == poll_result::kind::wait_until);
  server->write("hello\nwor");
  drain(h);
  CHECK(h.records() == lines{"hello"});
  server->write("ld\r\n\n");
  drain(h);
  CHECK(h.records() == lines{"hello", "world", ""});
  h.poll(1);
  CHECK(h.last().what == poll_result::kind::end); // only one reader connects
  CHECK(world.net.attempts() == 1);
}

TEST_CASE("a closed socket is an error that says so, after the lines and the rest") {
  test::test_platform world;
  auto listener = world.net.listen(port);
  text_socket_source source{"localhost", port};
  harness h{source, 1, world};
  drain(h);
  auto server = listener->accept(0ms);
  server->write("one\ntwo");
  server.reset();
  try {
    h.run();
    FAIL("the source ended without an error");
  } catch (const error& e) {
    CHECK(e.code() == errc::connection_failed);
    CHECK(e.cause() == "localhost:9999: the server has closed the connection");
    CHECK_FALSE(e.advice().empty());
  }
  CHECK(h.records() == lines{"one", "two"});
}

TEST_CASE("the end of the connection can be the end of the input") {
  test::test_platform world;
  auto listener = world.net.listen(port);
  text_socket_source source{"localhost", port, {.end_when_closed = true}};
  harness h{source, 1, world};
  drain(h);
  auto server = listener->accept(0ms);
  server->write("one\ntwo");
  server.reset();
  h.run();
  CHECK(h.records() == lines{"one", "two"});
}

TEST_CASE("a server that nobody started is tried again as often and as late as asked for") {
  test::test_platform world;
  text_socket_source source{"localhost", port, {.max_retries = 3, .retry_delay = 200ms}};
  harness h{source, 1, world};
  h.poll(0);
  CHECK(h.last().what == poll_result::kind::wait_until);
  CHECK(h.last().time == 200ms);
  h.poll(0);
  CHECK(world.net.attempts() == 1); // not before its time
  try {
    h.run();
    FAIL("the source ended without an error");
  } catch (const error& e) {
    CHECK(e.code() == errc::connection_failed);
    CHECK(e.cause().find("localhost:9999") != std::string::npos);
    CHECK(e.cause().find("gave up after 3 retries") != std::string::npos);
  }
  CHECK(world.net.attempts() == 4);
  CHECK(world.time.now() == 600ms);
}

TEST_CASE("a connection that brings data starts the retries anew") {
  test::test_platform world;
  auto listener = world.net.listen(port);
  text_socket_source source{"localhost", port, {.max_retries = 1, .retry_delay = 10ms}};
  harness h{source, 1, world};
  lines expected;
  for (int round = 0; round < 5; ++round) {
    drain(h);
    world.time.advance(20ms);
    drain(h);
    auto server = listener->accept(0ms);
    REQUIRE(server);
    server->write("round " + std::to_string(round) + "\nhalf");
    drain(h);
    expected.push_back("round " + std::to_string(round));
    expected.push_back("half");
  }
  drain(h);
  CHECK(h.records() == expected);
}

TEST_CASE("a socket's line above the limit is an error") {
  test::test_platform world;
  auto listener = world.net.listen(port);
  text_socket_source source{"localhost", port, {.max_line_size = 10}};
  harness h{source, 1, world};
  drain(h);
  auto server = listener->accept(0ms);
  server->write("0123456789\n");
  drain(h);
  CHECK(h.records() == lines{"0123456789"});
  server->write("0123456789x");
  try {
    drain(h);
    FAIL("a line that is too long went through");
  } catch (const error& e) {
    CHECK(e.code() == errc::record_too_large);
  }
}

TEST_CASE("a socket source refuses what cannot work") {
  CHECK_THROWS_AS(text_socket_source("localhost", 0), error);
  CHECK_THROWS_AS(text_socket_source("", 1), error);
  CHECK_THROWS_AS(text_socket_source("localhost", 1, {.delimiter = ""}), error);
}

TEST_CASE("a poll on a real socket returns when it is interrupted") {
  test::test_platform world;
  world.sockets = &system_network();
  auto listener = system_network().listen(0);
  text_socket_source source{"127.0.0.1", listener->port()};
  harness h{source, 1, world};
  std::unique_ptr<stream_socket> server;
  for (int i = 0; i < 1000 && !server; ++i) {
    h.poll(0);
    server = listener->accept(0ms);
  }
  REQUIRE(server);
  server->write("line\n");
  for (int i = 0; i < 1000 && h.records().empty(); ++i)
    h.poll(0);
  CHECK(h.records() == lines{"line"});
  h.reader(0).interrupt();
  server->write("another\n");
  h.poll(0);
  CHECK(h.records() == lines{"line"}); // nothing is read after an interruption
}
