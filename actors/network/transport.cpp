#include <dataflow/actors/network/transport.hpp>
#include <dataflow/util/error.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <caf/io/basp_broker.hpp>

#include <set>

namespace dataflow::actors {

namespace {
constexpr std::chrono::seconds connect_deadline{5};
constexpr auto loopback = "127.0.0.1";
constexpr bool reuse = true; // of a port whose last connections are not forgotten yet; not of one that is listened on
} // namespace

std::uint16_t listen(caf::actor_system& system, const caf::actor& who, std::uint16_t port) {
  const auto bound = system.middleman().publish(who, port, loopback, reuse);
  if (bound) return *bound;
  throw error{errc::io_failed,
              "port " + std::to_string(port) + " of " + loopback +
                  " cannot be listened on: " + system.render(bound.error()),
              "another process may use it: stop that, or choose another port (0: any)"};
}

/// CAF's broker hears of the deaths of actors that other processes watch. A broker that is stopped keeps what it has
/// not read yet (abstract_broker::cleanup() does not close its mailbox), and with it those who sent it; the system then
/// waits for ever for the threads of those among them that have one. So it reads first.
void end_system(std::unique_ptr<caf::actor_system>& system) {
  if (!system) return;
  system->await_all_actors_done();
  if (system->has_middleman()) {
    caf::scoped_actor self{*system, true};
    const auto broker = system->middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP"));
    self->request(broker, connect_deadline, caf::get_atom::value, caf::node_id{})
        .receive([](const caf::node_id&, const std::string&, std::uint16_t) {}, [](caf::error&) {});
  }
  system.reset();
}

void connect_to(caf::event_based_actor& self, const std::string& host, std::uint16_t port,
                std::function<void(caf::actor)> connected, std::function<void(const caf::error&)> failed) {
  self.request(self.system().middleman().actor_handle(), connect_deadline, caf::connect_atom::value, host, port)
      .then(
          [connected, failed](const caf::node_id&, const caf::strong_actor_ptr& who, const std::set<std::string>&) {
            if (who)
              connected(caf::actor_cast<caf::actor>(who));
            else
              failed(caf::make_error(caf::sec::cannot_connect_to_node));
          },
          [failed](caf::error& e) { failed(e); });
}

} // namespace dataflow::actors
