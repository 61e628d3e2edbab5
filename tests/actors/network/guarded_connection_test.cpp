// The rules of CAF's wire protocol that a peer must keep to.
#include <dataflow/actors/network/guarded_connection.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace dataflow::actors;

TEST_CASE("headers of the wire protocol are read, and those that nobody may send are told apart") {
  std::string bytes(32, '\0');
  bytes[0] = 2;
  bytes[4] = 1;
  bytes[7] = '\xff';
  CHECK(basp_header::read(bytes.data()).operation == 2);
  CHECK(basp_header::read(bytes.data()).payload == 0x010000ff);

  const auto fine = [](std::uint8_t operation, std::uint32_t payload, bool greeted,
                       basp_sender sender = basp_sender::client) {
    return what_is_wrong({operation, payload}, sender, greeted) == nullptr;
  };
  constexpr std::uint8_t server_greets = 0, client_greets = 1, heartbeat = 6;
  CHECK(fine(client_greets, 50, false));
  CHECK(fine(client_greets, 50, true)); // it selects this connection among several
  CHECK(fine(server_greets, 50, false, basp_sender::server));
  CHECK(fine(heartbeat, 0, true));
  CHECK_FALSE(fine(server_greets, 50, false));
  CHECK_FALSE(fine(client_greets, 50, false, basp_sender::server));
  CHECK_FALSE(fine(client_greets, 0, false));
  CHECK_FALSE(fine(client_greets, largest_greeting + 1, false));
  CHECK_FALSE(fine(heartbeat, 0, false));
  CHECK_FALSE(fine(heartbeat, 1, true));
  for (std::uint8_t message = 2; message < heartbeat; ++message) {
    CHECK(fine(message, largest_message, true));
    CHECK_FALSE(fine(message, largest_message + 1, true));
    CHECK_FALSE(fine(message, 0, true));
    CHECK_FALSE(fine(message, 50, false));
  }
  CHECK_FALSE(fine(heartbeat + 1, 50, true));
  CHECK_FALSE(fine(255, 0, true));
}
