/// Our errors as CAF's and back: exit reasons keep code, cause and advice.
#pragma once

#include <dataflow/util/error.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

namespace dataflow::actors {

/// As an exit reason or response.
caf::error to_caf(const error& e);
/// From an exit reason or response of whatever origin; `subject` says who it was about. Never an empty error: an actor
/// that ended without a reason has still ended.
error from_caf(const caf::error& e, std::string_view subject);

/// Makes exceptions end the actor with their text as reason, instead of CAF's bare runtime_error.
void keep_exception_texts(caf::scheduled_actor& self);

} // namespace dataflow::actors
