/// Making an actor_system ready to send and take the messages of a cluster; encoding them for tests and for what is
/// kept on disk.
///
/// A message goes over the wire as {handles of actors, bytes}; see wire_archive.hpp. Bytes that do not decode give an
/// error to CAF, which drops the message, and a line in the log: nothing is read out of bounds, nothing is thrown.
/// Threading: pure functions. Formats hold between processes of the same version only; hello::stamp sees to that.
#pragma once

#include <dataflow/actors/network/messages.hpp>

#include <caf/fwd.hpp>

#include <string>
#include <string_view>

namespace dataflow::actors {

/// Registers all messages that travel. Call before the actor_system is made.
void add_wire_types(caf::actor_system_config& config);

/// A job's origin as bytes, for whoever keeps it. Errors: malformed_record; those of configuration::set.
std::string encode(const job_origin& origin);
job_origin decode_job_origin(std::string_view bytes);
/// The same of a job's result.
std::string encode(const job_result& result);
job_result decode_job_result(std::string_view bytes);

} // namespace dataflow::actors
