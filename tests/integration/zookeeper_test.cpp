// Leader election and the store against a real ZooKeeper server on a loopback port.
#include <dataflow/high_availability/ha_store.hpp>
#include <dataflow/high_availability/zookeeper_election.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <functional>
#include <memory>
#include <poll.h>
#include <tests/integration/program.hpp>
#include <tests/integration/zookeeper_server.hpp>
#include <tests/support/error_of.hpp>

using namespace dataflow;
using namespace std::chrono_literals;
using kind = election_change::kind;
using dataflow::test::error_of;

namespace zookeeper_test {

void until(const std::function<bool()>& condition) {
  while (!condition())
    ::poll(nullptr, 0, 5);
}

using server = dataflow::test::zookeeper_server;

struct contender {
  contender(const server& zk, std::uint64_t seed, std::string address)
      : client(zk.client()), store(client, "/dataflow/test"),
        election(std::make_unique<zookeeper_leader_election>(client, system_clock(), "/dataflow/test",
                                                             std::move(address), seed)) {}
  /// Polls until something happens.
  election_change wait() {
    election_change change;
    until([&] { return (change = election->poll()).what != kind::none; });
    return change;
  }
  std::shared_ptr<zookeeper_client> client;
  zookeeper_store store;
  std::unique_ptr<zookeeper_leader_election> election;
};

} // namespace zookeeper_test
using namespace zookeeper_test;

TEST_CASE("zookeeper: one contender leads, its values are there for the next one, and it cannot write any more then") {
  server zk;
  auto a = std::make_unique<contender>(zk, 1, "a:1");
  contender b{zk, 2, "b:1"}, c{zk, 3, "c:1"};
  CHECK(!b.election->leader());
  const auto first = a->wait();
  CHECK(first.what == kind::granted);
  CHECK(b.election->poll().what == kind::none);
  CHECK(b.election->leader() == leader_information{first.token, "a:1"});

  a->store.put(first.token, "jobs/1/graph", std::string("\0g", 2));
  CHECK(a->store.put_if_absent(first.token, "jobs/2%/graph", "two"));
  CHECK(!a->store.put_if_absent(first.token, "jobs/2%/graph", "other"));
  a->store.put(first.token, "results/0", std::string(10'000, 'r'));
  a->store.put(first.token, "results/9", "x");
  a->store.remove(first.token, "results/9");
  a->store.remove(first.token, "results/8");
  CHECK(b.store.list("jobs/") == std::vector<std::string>{"jobs/1/graph", "jobs/2%/graph"});
  CHECK(b.store.list("results/") == std::vector<std::string>{"results/0"});
  CHECK(b.store.get("jobs/1/graph") == std::string("\0g", 2));
  CHECK(b.store.get("jobs/2%/graph") == "two");
  CHECK(b.store.get("results/0")->size() == 10'000);
  CHECK(!b.store.get("jobs/3/graph"));

  const auto clients = a->client; // its session outlives the election: it resigns by hand
  a->election->resign();
  const auto second = b.wait();
  CHECK(second.what == kind::granted);
  CHECK(second.token > first.token);
  CHECK(c.election->poll().what == kind::none);
  CHECK(c.election->leader() == leader_information{second.token, "b:1"});
  for (const auto& write : std::vector<std::function<void()>>{
           [&] { a->store.put(first.token, "jobs/1/graph", "zombie"); },
           [&] { a->store.put_if_absent(first.token, "new", "zombie"); },
           [&] { a->store.remove(first.token, "jobs/1/graph"); }, [&] { c.store.put(0, "new", "nobody"); }})
    CHECK(error_of(write).code() == errc::stale_message);
  CHECK(b.store.get("jobs/1/graph") == std::string("\0g", 2));
  CHECK(!b.store.get("new"));
}

TEST_CASE("zookeeper: a leader whose session expires finds that out, is replaced, and campaigns anew") {
  const server zk;
  contender a{zk, 1, "a:1"}, b{zk, 2, "b:1"};
  const auto first = a.wait();
  CHECK(b.election->poll().what == kind::none);
  const auto session = a.client->session();
  election_change second;
  until([&] {
    // Whoever takes a session over and closes it ends it, if its owner has not taken it back in between.
    try {
      zookeeper_client thief{zk.settings(), session};
      (void)thief.children("/dataflow/test");
    } catch (const error& e) {
      CHECK(e.code() == errc::connection_failed); // it has ended
    }
    return (second = b.election->poll()).what != kind::none;
  });
  CHECK(second.what == kind::granted);
  CHECK(second.token > first.token);
  CHECK(error_of([&] {
          for (int i = 0; i < 3; ++i) { // the first may only tell that the session has expired
            try {
              a.store.put(first.token, "key", "zombie");
            } catch (const error& e) {
              if (e.code() != errc::connection_failed) throw;
            }
          }
        }).code() == errc::stale_message);
  const auto lost = a.wait();
  CHECK(lost.what == kind::lost);
  CHECK(lost.token == first.token);
  CHECK(a.election->poll().what == kind::none);
  b.election->resign();
  const auto third = a.wait();
  CHECK(third.what == kind::granted);
  CHECK(third.token > second.token);
}

TEST_CASE("zookeeper: everything is there again after the server was killed and started again") {
  server zk;
  contender a{zk, 1, "a:1"};
  const auto first = a.wait();
  a.store.put(first.token, "key", "value");
  zk.kill();
  // Whether the session or the lease by our own clock ends first: it is lost or goes on, but never two lead.
  const auto change = a.wait();
  CHECK(change.what == kind::lost);
  CHECK(change.why.code() == errc::connection_failed);
  zk.start();
  const auto second = a.wait();
  CHECK(second.what == kind::granted);
  CHECK(second.token > first.token);
  CHECK(a.store.get("key") == "value");
  a.store.put(second.token, "key", "value 2");
  CHECK(error_of([&] { a.store.put(first.token, "key", "zombie"); }).code() == errc::stale_message);
  CHECK(a.store.get("key") == "value 2");
}

TEST_CASE("zookeeper: a store over it keeps large values in files and small ones in nodes") {
  const server zk;
  const ::test::scratch dir;
  contender a{zk, 1, "a:1"};
  const auto granted = a.wait();
  const auto values = std::make_shared<zookeeper_store>(a.client, "/dataflow/test");
  ha_store store{values, system_files(), dir.path("files")};
  CHECK(store.put_job(granted.token, "job-1", "small"));
  CHECK(store.put_job(granted.token, "job-2", std::string(3 << 20, 'l')));
  store.add_checkpoint(granted.token, "job-1", {7, "/c/chk-7"});
  CHECK(store.jobs() == std::vector<std::string>{"job-1", "job-2"});
  CHECK(store.job("job-2")->size() == 3 << 20);
  CHECK(store.checkpoints("job-1") == std::vector<checkpoint_pointer>{{7, "/c/chk-7"}});
  CHECK(system_files().list(dir.path("files")).size() == 1);
  store.remove_job(granted.token, "job-2");
  CHECK(store.jobs() == std::vector<std::string>{"job-1"});
  CHECK(system_files().list(dir.path("files")).empty());
}

TEST_CASE("zookeeper: without a server the calls fail in time and name the ensemble") {
  const auto port = system_network().listen(0)->port();
  zookeeper_client client{{"127.0.0.1:" + std::to_string(port), 500ms, 50ms}};
  const auto e = error_of([&] { client.get("/"); });
  CHECK(e.code() == errc::connection_failed);
  CHECK(e.cause().find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
}
