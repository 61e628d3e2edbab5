// The text socket as a task runs it: its reader on a thread of its own, on real sockets.
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/connectors/text_socket.hpp>
#include <dataflow/task/blocking_source.hpp>
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>

#include <semaphore>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

/// What a task would be to the reader.
struct task_double final : reader_context {
  explicit task_double(dataflow::platform& p) : world(p), info(p) {}
  runtime_context& runtime() noexcept override { return info; }
  dataflow::platform& platform() noexcept override { return world; }
  void request_split() override { asked.release(); } // on the reader's thread or ours
  std::function<void()> wake_up() override {
    return [this] { woken.release(); };
  }
  dataflow::platform& world;
  test::test_runtime_context info;
  std::counting_semaphore<> asked{0}, woken{0};
};

struct running_source {
  explicit running_source(const text_socket_source& source)
      : task(system_platform()),
        driver(make_blocking_source(std::make_unique<typed_source_driver<std::string>>(source.make_reader()),
                                    batch_pool::make(record_type_of<std::string>()), {}, system_platform())) {
    driver->reader().open(task);
    task.asked.acquire();
    driver->reader().add_splits({{"0", ""}});
    driver->reader().no_more_splits();
  }
  /// Polls until `n` lines are there.
  std::vector<std::string> lines(std::size_t n) {
    std::vector<std::string> out;
    batch<std::string> b{record_type_of<std::string>()};
    while (out.size() < n) {
      b.clear();
      last = driver->poll(b, {});
      for (auto& line : b.records)
        out.push_back(std::move(line));
      if (last.what == poll_result::kind::end) break;
      if (last.what == poll_result::kind::wait) task.woken.acquire();
    }
    return out;
  }
  task_double task;
  std::unique_ptr<source_driver> driver;
  poll_result last;
};

std::unique_ptr<stream_socket> accepted(stream_listener& listener) {
  auto socket = listener.accept(20s);
  REQUIRE(socket);
  return socket;
}

} // namespace

TEST_CASE("a socket's lines come through the reader's own thread, and closing it does not wait for the server") {
  auto listener = system_network().listen(0);
  running_source source{text_socket_source{"127.0.0.1", listener->port()}};
  auto server = accepted(*listener);
  server->write("one\ntwo\n");
  CHECK(source.lines(2) == std::vector<std::string>{"one", "two"});
  server->write("three\n");
  CHECK(source.lines(1) == std::vector<std::string>{"three"});
  source.driver->reader().close(); // the server says nothing and stays connected
}

TEST_CASE("a server that closes ends the thread's source with an error, after all its lines") {
  auto listener = system_network().listen(0);
  running_source source{text_socket_source{"127.0.0.1", listener->port()}};
  {
    auto server = accepted(*listener);
    std::string text;
    for (int i = 0; i < 5000; ++i)
      text += "line " + std::to_string(i) + "\n";
    server->write(text);
  }
  auto lines = source.lines(5000);
  CHECK(lines.front() == "line 0");
  CHECK(lines.back() == "line 4999");
  try {
    source.lines(1);
    FAIL("the source went on without a server");
  } catch (const error& e) {
    CHECK(e.code() == errc::connection_failed);
  }
}

TEST_CASE("a socket source whose server ended in order can end, too") {
  auto listener = system_network().listen(0);
  running_source source{text_socket_source{"127.0.0.1", listener->port(), {.end_when_closed = true}}};
  accepted(*listener)->write("only\n");
  CHECK(source.lines(2) == std::vector<std::string>{"only"});
  CHECK(source.last.what == poll_result::kind::end);
}
