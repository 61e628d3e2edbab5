// A task manager that registers again and again has one chain of heartbeats, not one for each registration.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/network/wire.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <doctest/doctest.h>

#include <future>
#include <tests/actors/network/network_cluster.hpp>

using namespace dataflow;
using namespace dataflow::actors;

namespace heartbeat_rounds_test {

constexpr std::uint32_t times_given_up = 40;
constexpr std::chrono::milliseconds interval{200};

struct counting_is_over {};
struct give_up {
  caf::actor member;
  std::string task_manager;
};

struct system_config : caf::actor_system_config {
  system_config() {
    configure(*this, 1);
    add_wire_types(*this);
    load<caf::io::middleman>();
  }
};

/// Gives each registration up at once, but for the last: counts its heartbeats for four intervals.
caf::behavior gateway(caf::event_based_actor* self, std::promise<std::uint32_t>* counted) {
  self->set_default_handler(caf::drop); // slots are for the job manager, which this is, too
  auto registered = std::make_shared<std::uint32_t>(0), beats = std::make_shared<std::uint32_t>(0);
  return {
      [=](const hello& m) {
        ++*registered;
        if (*registered < times_given_up)
          self->send(self, give_up{m.member, m.task_manager}); // behind the answer
        else
          self->delayed_send(self, 4 * interval, counting_is_over{});
        const auto me = caf::actor_cast<caf::actor>(self);
        return welcome{"leader", *registered, interval, std::chrono::minutes{1}, me, me};
      },
      [=](const heartbeat&) {
        if (*registered == times_given_up) ++*beats;
      },
      [=](const give_up& m) {
        self->send(m.member, expelled{"leader", m.task_manager});
      },
      [=](counting_is_over) { counted->set_value(*beats); },
  };
}

} // namespace heartbeat_rounds_test
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(heartbeat_rounds_test::counting_is_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(heartbeat_rounds_test::give_up)

TEST_CASE("a task manager that was given up again and again sends one heartbeat in each interval") {
  using namespace heartbeat_rounds_test;
  std::promise<std::uint32_t> counted;
  system_config config;
  caf::actor_system system{config};
  auto leader = system.spawn(gateway, &counted);
  const auto port = system.middleman().publish(leader, 0, "127.0.0.1");
  REQUIRE(port);
  {
    task_manager_node node{dataflow::test::network_settings({{"jobmanager.rpc.address", "127.0.0.1"},
                                                             {"jobmanager.rpc.port", std::to_string(*port)}}),
                           dataflow::test::own_jobs(),
                           {}};
    const auto beats = counted.get_future().get();
    CHECK(beats > 0);
    CHECK(beats < times_given_up); // five or so
  }
  system.middleman().unpublish(leader, *port);
  caf::anon_send_exit(leader, caf::exit_reason::user_shutdown);
}
