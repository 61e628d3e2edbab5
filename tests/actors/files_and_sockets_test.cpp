// Jobs that read and write files and sockets, and what they say when the outside world is not as it should be.
#include <dataflow/api/environment.hpp>
#include <dataflow/connectors/text_file.hpp>
#include <dataflow/connectors/text_file_sink.hpp>
#include <dataflow/connectors/text_socket.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/error_of.hpp>
#include <tests/support/temporary_directory.hpp>
#include <unistd.h>

using namespace dataflow;
using dataflow::test::error_of;
using namespace std::chrono_literals;
using lines = std::vector<std::string>;

namespace {

lines sorted(lines l) {
  std::sort(l.begin(), l.end());
  return l;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// An environment whose jobs do not start again.
environment no_restarts(std::int64_t parallelism) {
  environment env;
  env.set_parallelism(parallelism);
  env.configure("restart-strategy.type", "none");
  return env;
}

error reading(const std::string& path, const text_file_options& options = {}) {
  return error_of([&] {
    auto env = no_restarts(2);
    env.text_file(path, options).discard();
    env.execute();
  });
}

} // namespace

TEST_CASE("a job reads all files of a directory, links followed, bytes untouched, one file by several readers") {
  test::temporary_directory directory;
  auto& files = system_files();
  files.create_directories(directory / "in/sub");
  std::string large;
  lines expected{"", "not UTF-8: \xff\xfe\xc3", "windows", "no end"};
  while (large.size() < (3u << 20)) {
    expected.push_back("line at " + std::to_string(large.size()));
    large += expected.back() + "\n";
  }
  files.write_file(directory / "in/large", large);
  files.write_file(directory / "in/empty", "");
  files.write_file(directory / "elsewhere", "\nnot UTF-8: \xff\xfe\xc3\nwindows\r\nno end");
  REQUIRE(::symlink((directory / "elsewhere").c_str(), (directory / "in/sub/link").c_str()) == 0);

  environment env;
  env.set_parallelism(3);
  CHECK(sorted(env.text_file(directory / "in").collect()) == sorted(expected));
}

TEST_CASE("empty input gives empty output") {
  test::temporary_directory directory;
  system_files().create_directories(directory / "in");
  environment env;
  env.set_parallelism(2);
  CHECK(env.text_file(directory / "in").collect().empty());
  system_files().write_file(directory / "in/empty", "");
  CHECK(env.text_file(directory / "in/empty").collect().empty());
}

TEST_CASE("a file that is missing, is a directory, or has a line without end fails the job with its name") {
  log_capture log;
  test::temporary_directory directory;
  auto e = reading(directory / "missing");
  CHECK(e.code() == errc::file_not_found);
  CHECK(contains(e.cause(), directory / "missing"));
  CHECK_FALSE(e.advice().empty());

  e = reading(directory.path(), {.directories = false});
  CHECK(e.code() == errc::not_a_file);
  CHECK(contains(e.cause(), directory.path()));

  system_files().write_file(directory / "long", "short\n" + std::string(100'000, 'x'));
  e = reading(directory / "long", {.max_line_size = 50'000});
  CHECK(e.code() == errc::record_too_large);
  CHECK(contains(e.cause(), "byte 6 of '" + (directory / "long") + "'"));

  e = error_of([&] {
    auto env = no_restarts(1);
    env.configure("taskmanager.record.max-bytes", "90 kb");
    env.text_file(directory / "long").discard();
    env.execute();
  });
  CHECK(e.code() == errc::record_too_large);
  CHECK(contains(e.cause(), "is longer than 92160 bytes"));
}

TEST_CASE("a text file sink writes one part per subtask; an existing or full file fails the job with its name") {
  log_capture log;
  test::temporary_directory directory;
  auto& files = system_files();
  auto write = [&](const std::string& to, text_file_sink_options options = {}) {
    return error_of([&] {
      auto env = no_restarts(2);
      env.sequence(1, 1000).sink_to(text_file_sink<std::int64_t>{to, options});
      env.execute();
    });
  };
  CHECK(write(directory / "out").code() == errc::none);
  auto both = files.read_file(directory / "out/part-0") + files.read_file(directory / "out/part-1");
  CHECK(std::count(both.begin(), both.end(), '\n') == 1000);
  CHECK(contains(both, "\n777\n"));

  auto e = write(directory / "out");
  CHECK(contains(e.cause(), directory / "out/part-"));

  if (!files.exists("/dev/full")) return;
  files.create_directories(directory / "full");
  REQUIRE(::symlink("/dev/full", (directory / "full/part-1").c_str()) == 0);
  e = write(directory / "full", {.overwrite = true});
  CHECK(e.code() == errc::disk_full);
  CHECK(contains(e.cause(), directory / "full/part-1"));
  CHECK_FALSE(e.advice().empty());
}

TEST_CASE("a job reads lines from a socket until the server closes") {
  auto listener = system_network().listen(0);
  environment env;
  env.set_parallelism(2);
  auto seen = std::make_shared<std::vector<std::string>>();
  env.socket_text("127.0.0.1", listener->port(), {.end_when_closed = true})
      .map([](const std::string& line) { return line + "!"; })
      .set_parallelism(1)
      .sink_to([seen](const std::string& line) { seen->push_back(line); })
      .set_parallelism(1);
  auto job = env.execute_async();
  auto server = listener->accept(60s);
  REQUIRE(server);
  server->write("one\ntwo\r\nthree");
  server.reset();
  job->wait().raise();
  CHECK(*seen == lines{"one!", "two!", "three!"});
}

TEST_CASE("a closed socket fails the job after the retries") {
  log_capture log;
  std::uint16_t port = 0;
  {
    auto listener = system_network().listen(0);
    port = listener->port();
  }
  auto e = error_of([&] {
    auto env = no_restarts(1);
    env.socket_text("127.0.0.1", port, {.max_retries = 2, .retry_delay = 1ms}).discard();
    env.execute();
  });
  CHECK(e.code() == errc::connection_failed);
  CHECK(contains(e.cause(), "127.0.0.1:" + std::to_string(port)));
  CHECK(contains(e.cause(), "gave up after 2 retries"));
}

TEST_CASE("a job on a silent socket can be cancelled") {
  auto listener = system_network().listen(0);
  environment env;
  env.socket_text("127.0.0.1", listener->port()).discard();
  auto job = env.execute_async();
  auto server = listener->accept(60s);
  REQUIRE(server);
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
}

TEST_CASE("a generator's records come out once each, over all readers") {
  environment env;
  env.set_parallelism(3);
  auto squares = env.generate([](std::int64_t i) { return i * i; }, {.count = 10'000}).collect();
  std::sort(squares.begin(), squares.end());
  REQUIRE(squares.size() == 10'000);
  for (std::int64_t i = 0; i < 10'000; ++i)
    REQUIRE(squares[static_cast<std::size_t>(i)] == i * i);
}
