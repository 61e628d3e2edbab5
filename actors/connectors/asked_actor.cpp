#include <dataflow/actors/connectors/asked_actor.hpp>
#include <dataflow/actors/errors.hpp>

#include <caf/actor_system.hpp>
#include <caf/sec.hpp>

namespace dataflow::actors::detail {

void check_asked_actor(const caf::actor& to) {
  if (!to) throw error{errc::invalid_argument, "async::ask needs an actor"};
  if (to.node() != to.home_system().node())
    throw error{errc::invalid_argument, "the actor of async::ask must be one of this process",
                "ask an actor of one's own that passes the requests on"};
}

error failed_request(const caf::error& e, std::chrono::milliseconds timeout) {
  if (e == caf::sec::request_timeout)
    return {errc::timed_out,
            "the actor that was asked did not answer within " + std::to_string(timeout.count()) + " ms",
            "answer every record, or give async::ask a longer timeout"};
  if (e == caf::sec::request_receiver_down)
    return {errc::component_lost, "the actor that was asked has ended",
            "keep the actor of async::ask alive until its jobs have ended"};
  if (e == caf::sec::unexpected_message)
    return {errc::invalid_argument, "the actor that was asked has no handler for the record",
            "handle the stream's record type"};
  if (e == caf::sec::unexpected_response)
    return {errc::invalid_argument, "the actor that was asked answered with another type than async::ask was told",
            "name the type of its answers: async::ask<answer>(stream, actor, timeout)"};
  const auto why = from_caf(e, "the actor that was asked");
  return {why.code(), "the actor that was asked answered with an error: " + why.cause(), why.advice()};
}

} // namespace dataflow::actors::detail
