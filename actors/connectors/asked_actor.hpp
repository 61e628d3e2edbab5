/// What async::ask says of the actors that it asks. Not for users.
#pragma once

#include <dataflow/util/error.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>

namespace dataflow::actors::detail {

/// Throws what is wrong.
void check_asked_actor(const caf::actor& to);
/// What a failed request means.
error failed_request(const caf::error& e, std::chrono::milliseconds timeout);

} // namespace dataflow::actors::detail
