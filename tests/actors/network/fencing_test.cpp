// What a job manager says to those who are of another version, of another time, or taken for dead.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/wire.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <doctest/doctest.h>

#include <tests/actors/network/network_cluster.hpp>

using namespace dataflow;
using namespace dataflow::actors;

namespace {

struct peer_config : caf::actor_system_config {
  peer_config() {
    configure(*this, 1);
    add_wire_types(*this);
    load<caf::io::middleman>();
  }
};

/// Somebody who speaks to a job manager by hand.
struct peer {
  peer_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  caf::actor gateway;
  explicit peer(std::uint16_t port) {
    auto found = system.middleman().remote_actor("127.0.0.1", port);
    REQUIRE(found);
    gateway = *found;
  }
  ~peer() { gateway = nullptr; }
  error refusal;
  welcome greet(const std::string& stamp, const std::string& id = {}) {
    welcome met;
    refusal = {};
    self->request(gateway, std::chrono::seconds{10}, hello{stamp, id, self})
        .receive([&](welcome& w) { met = std::move(w); }, [&](caf::error& e) { refusal = from_caf(e, "it"); });
    return met;
  }
};

constexpr std::chrono::seconds soon{10};

} // namespace

TEST_CASE("a process of another version is refused with both versions") {
  job_manager_node node{test::network_settings()};
  peer p{node.port()};
  p.greet("dataflow 99.0, another compiler", "some id");
  CHECK(p.refusal.code() == errc::incompatible_library);
  CHECK(p.refusal.cause().find("dataflow 99.0, another compiler") != std::string::npos);
  CHECK(p.refusal.cause().find(process_stamp()) != std::string::npos);
  CHECK(p.greet(process_stamp()).leader == node.leader());
  CHECK_FALSE(p.refusal);
}

TEST_CASE("one that is silent is expelled, and what it says afterwards is refused") {
  job_manager_node node{
      test::network_settings(
          {{"heartbeat.interval", "20 ms"}, {"heartbeat.timeout", "100 ms"}, {"slot.request.timeout", "100 ms"}}),
      test::own_jobs()};
  peer p{node.port()};
  const auto met = p.greet(process_stamp(), "zombie");
  CHECK(met.interval == std::chrono::milliseconds{20});
  CHECK(met.timeout == std::chrono::milliseconds{100});
  bool heard = false, out = false;
  while (!out)
    p.self->receive(
        [&](const heartbeat& m) {
          heard = true;
          CHECK(m.leader == met.leader);
          CHECK(m.task_manager == "zombie");
        },
        [&](const expelled& m) {
          out = true;
          CHECK(m.task_manager == "zombie");
        },
        caf::after(soon) >> [] { FAIL("nothing came"); });
  CHECK(heard);
  // It does not know yet: told again.
  p.self->send(p.gateway, heartbeat{met.leader, "zombie"});
  p.self->receive([&](const expelled& m) { CHECK(m.leader == met.leader); },
                  caf::after(soon) >> [] { FAIL("nothing came"); });
  // Its slots are nobody's: a job does not get them.
  p.self->send(met.job_manager, register_slots{p.self, {"zombie", "127.0.0.1", 1}, {{1, p.self, p.self, {}, {}, {}}}});
  const auto client = remote_cluster::connect({"127.0.0.1", node.port()});
  const auto result = client->submit(test::origin_of("network_finite"))->wait();
  CHECK(result.failure.code() == errc::no_resources);
  CHECK(result.failure.cause().find("needs 1 slots, 0 of 0 are free") != std::string::npos);
  CHECK(p.greet(process_stamp(), "anew").index > met.index);
}

TEST_CASE("a heartbeat for another leader is nobody's") {
  job_manager_node node{test::network_settings({{"heartbeat.interval", "20 ms"}, {"heartbeat.timeout", "100 ms"}})};
  peer p{node.port()};
  const auto met = p.greet(process_stamp(), "misled");
  bool out = false;
  while (!out) { // it speaks all the time, to the wrong one
    p.self->send(p.gateway, heartbeat{"another leader", "misled"});
    p.self->receive([&](const heartbeat&) {}, [&](const expelled&) { out = true; },
                    caf::after(soon) >> [] { FAIL("nothing came"); });
  }
  CHECK(out);
}
