// How an actor system with a network ends.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/network/guarded_connection.hpp>
#include <dataflow/actors/network/transport.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <tests/support/tcp_proxy.hpp>

using namespace dataflow;

namespace dataflow::test {

struct connected_config : caf::actor_system_config {
  explicit connected_config(std::chrono::milliseconds silence = std::chrono::milliseconds{0}) {
    actors::configure(*this, 1);
    actors::use_network(*this, silence);
  }
};

/// Who is behind a port of this machine.
inline caf::actor connected_to(caf::actor_system& system, std::uint16_t port) {
  std::promise<caf::actor> found;
  system.spawn([&](caf::event_based_actor* me) {
    actors::connect_to(
        *me, "127.0.0.1", port,
        [&found, me](const caf::actor& whom) {
          found.set_value(whom);
          me->quit();
        },
        [&found](const error& e) { found.set_exception(std::make_exception_ptr(e)); });
    return caf::behavior{[](caf::unit_t) {}};
  });
  return found.get_future().get();
}

} // namespace dataflow::test

TEST_CASE("a system ends also when an actor with a thread of its own tells others late that it has died") {
  test::connected_config config, other_config;
  auto system = actors::make_system(config);
  auto other = actors::make_system(other_config);
  auto echo =
      system->spawn<caf::detached>([](caf::event_based_actor*) -> caf::behavior { return {[](int i) { return i; }}; });
  const auto port = actors::listen(*system, echo, 0);
  {
    caf::scoped_actor self{*other};
    const auto proxy = test::connected_to(*other, port);
    self->request(proxy, caf::infinite, 7).receive([](int i) { CHECK(i == 7); }, [](caf::error&) { CHECK(false); });
  }
  // The broker watches it by now for the other system. It hears of its death late: when it has been stopped.
  std::promise<void> stopped;
  auto stopped_first = std::future_status::timeout;
  actors::basp_broker_of(*system)->attach_functor([&] { stopped.set_value(); });
  echo->attach_functor([&] { stopped_first = stopped.get_future().wait_for(std::chrono::seconds{30}); });
  caf::anon_send_exit(echo, caf::exit_reason::user_shutdown);
  echo = nullptr;
  system.reset();
  CHECK(stopped_first == std::future_status::ready);
}

TEST_CASE("a connection that stays open, but over which nothing comes for too long, is over") {
  test::connected_config config, impatient_config{std::chrono::milliseconds{1500}};
  auto system = actors::make_system(config);
  auto impatient = actors::make_system(impatient_config);
  auto echo = system->spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int i) { return i; }}; });
  test::tcp_proxy between{actors::listen(*system, echo, 0)};
  {
    caf::scoped_actor self{*impatient};
    const auto whom = test::connected_to(*impatient, between.port());
    self->request(whom, caf::infinite, 7).receive([](int i) { CHECK(i == 7); }, [](caf::error&) { CHECK(false); });
    self->monitor(whom);
    between.fall_silent();
    bool told = false;
    self->receive([&](const caf::down_msg&) { told = true; }, caf::after(std::chrono::seconds{30}) >> [] {});
    CHECK(told);
  }
  caf::anon_send_exit(echo, caf::exit_reason::user_shutdown);
  echo = nullptr;
  impatient.reset();
  system.reset();
}
