#include <dataflow/high_availability/file_leader_election.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <tests/support/error_of.hpp>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using test::manual_clock;
using kind = election_change::kind;

namespace file_leader_election_test {

/// A JobManager as far as the election goes.
struct contender {
  contender(file_system& files, const dataflow::clock& time, std::uint64_t seed, std::string address)
      : log(files, "/ha/log"),
        election(std::make_unique<file_leader_election>(
            log, files, time, file_leader_election::settings{"/ha/leader", std::move(address), seed, 3s})) {}
  fenced_log log;
  std::unique_ptr<file_leader_election> election;
  election_change poll() { return election->poll(); }
};

} // namespace file_leader_election_test
using namespace file_leader_election_test;

TEST_CASE("the first contender leads, the others wait as long as it is alive") {
  memory_file_system disk;
  manual_clock time;
  contender a{disk, time, 1, "a:1"}, b{disk, time, 2, "b:1"};
  CHECK(!b.election->leader());
  const auto granted = a.poll();
  CHECK(granted.what == kind::granted);
  CHECK(granted.token > 0);
  for (int i = 0; i < 100; ++i) {
    time.advance(1s);
    CHECK(a.poll().what == kind::none);
    CHECK(b.poll().what == kind::none);
  }
  CHECK(b.election->leader() == leader_information{granted.token, "a:1"});
}

TEST_CASE("a leader whose process dies is replaced at the next poll") {
  memory_file_system disk;
  manual_clock time;
  contender a{disk, time, 1, "a:1"}, b{disk, time, 2, "b:1"}, c{disk, time, 3, "c:1"};
  const auto first = a.poll();
  CHECK(b.poll().what == kind::none);
  a.election.reset(); // the system gives its lock up
  const auto second = b.poll();
  CHECK(second.what == kind::granted);
  CHECK(second.token > first.token);
  CHECK(c.poll().what == kind::none);
  CHECK(c.election->leader() == leader_information{second.token, "b:1"});
}

TEST_CASE("a leader that is stopped is replaced after the lease time, and finds that out when it goes on") {
  memory_file_system disk;
  manual_clock time;
  contender a{disk, time, 1, "a:1"}, b{disk, time, 2, "b:1"};
  const auto first = a.poll();
  CHECK(b.poll().what == kind::none);
  time.advance(2s);
  CHECK(a.poll().what == kind::none);
  CHECK(b.poll().what == kind::none);
  time.advance(2999ms);
  CHECK(b.poll().what == kind::none);
  time.advance(1ms);
  const auto second = b.poll();
  CHECK(second.what == kind::granted);
  CHECK(test::error_of([&] { a.log.put(first.token, "x", "zombie"); }).code() == errc::stale_message);
  const auto lost = a.poll();
  CHECK(lost.what == kind::lost);
  CHECK(lost.token == first.token);
  CHECK(lost.why.code() == errc::stale_message);
  CHECK(lost.why.cause().find("b:1") != std::string::npos);
  // It is a contender again.
  CHECK(a.poll().what == kind::none);
  b.election.reset();
  const auto third = a.poll();
  CHECK(third.what == kind::granted);
  CHECK(third.token > second.token);
  CHECK(a.poll().what == kind::none);
}

TEST_CASE("a leader that resigns is replaced at once, and campaigns no more") {
  memory_file_system disk;
  manual_clock time;
  contender a{disk, time, 1, "a:1"}, b{disk, time, 2, "b:1"};
  a.poll();
  a.election->resign();
  CHECK(!b.election->leader());
  CHECK(a.poll().what == kind::none);
  CHECK(b.poll().what == kind::granted);
  b.election->resign();
  CHECK(a.poll().what == kind::none);
}

TEST_CASE("a leader that cannot read who leads goes on for the lease time and then stops") {
  memory_file_system disk;
  faulty_file_system faulty{disk};
  manual_clock time;
  contender a{faulty, time, 1, "a:1"}, b{disk, time, 2, "b:1"};
  const auto first = a.poll();
  b.poll();
  faulty.fail_from(1);
  time.advance(2999ms);
  CHECK(a.poll().what == kind::none);
  CHECK(b.poll().what == kind::none);
  time.advance(1ms);
  const auto lost = a.poll();
  CHECK(lost.what == kind::lost);
  CHECK(lost.why.code() == errc::io_failed);
  CHECK(b.poll().what == kind::granted);
  CHECK(a.poll().what == kind::none); // still no disk
  faulty.heal();
  CHECK(a.poll().what == kind::none);
  CHECK(a.election->leader()->token > first.token);
}

TEST_CASE("a contender that dies at its k-th access to the disk leaves a leader to be found, for every k") {
  for (const bool comes_back : {false, true})
    for (std::uint64_t k = 1; k < 60; ++k) {
      CAPTURE(comes_back);
      CAPTURE(k);
      memory_file_system disk;
      faulty_file_system faulty{disk};
      manual_clock time;
      contender a{faulty, time, 1, "a:1"}, b{disk, time, 2, "b:1"}, c{disk, time, 3, "c:1"};
      faulty.fail_from(k);
      leader_token of_a = 0;
      for (int i = 0; i < 5; ++i) {
        const auto change = a.poll();
        if (change.what == kind::granted) of_a = change.token;
        time.advance(100ms);
      }
      if (comes_back)
        faulty.heal();
      else
        a.election.reset();
      // Whatever a left: somebody leads in the end, one at a time, with a larger token.
      leader_token leader = comes_back ? of_a : 0, largest = of_a;
      int granted = 0;
      for (int i = 0; i < 100; ++i) {
        for (auto* who : {&a, &b, &c}) {
          if (!who->election) continue;
          const auto change = who->poll();
          if (change.what == kind::granted) {
            CHECK(change.token > largest);
            CHECK(leader == 0);
            leader = largest = change.token;
            ++granted;
          }
          if (change.what == kind::lost && change.token == leader) leader = 0;
        }
        time.advance(100ms);
      }
      CHECK(leader != 0);
      CHECK(granted <= 1);
      CHECK(b.election->leader()->token == leader);
    }
}

TEST_CASE("a contender whose disk fails once leads at one of the next polls, without waiting for itself") {
  for (std::uint64_t k = 1; k < 30; ++k) {
    CAPTURE(k);
    memory_file_system disk;
    faulty_file_system faulty{disk};
    manual_clock time;
    contender a{faulty, time, 1, "a:1"};
    faulty.fail_any(k);
    int granted = 0;
    for (int i = 0; i < 4; ++i)
      granted += a.poll().what == kind::granted ? 1 : 0;
    CHECK(granted == 1);
    faulty.heal();
    CHECK(a.election->leader().has_value());
  }
}

TEST_CASE("the election works on a real disk") {
  const test::temporary_directory d;
  auto& files = system_files();
  fenced_log log_a{files, d / "log"}, log_b{files, d / "log"};
  const auto settings = [&](std::uint64_t seed) {
    return file_leader_election::settings{d / "leader", "host:" + std::to_string(seed), seed, 1h};
  };
  auto a = std::make_unique<file_leader_election>(log_a, files, system_clock(), settings(1));
  file_leader_election b{log_b, files, system_clock(), settings(2)};
  const auto first = a->poll();
  CHECK(first.what == kind::granted);
  CHECK(b.poll().what == kind::none);
  log_a.put(first.token, "key", "value");
  a.reset();
  const auto second = b.poll();
  CHECK(second.what == kind::granted);
  CHECK(log_b.get("key") == "value");
  CHECK(test::error_of([&] { log_a.put(first.token, "key", "zombie"); }).code() == errc::stale_message);
}
