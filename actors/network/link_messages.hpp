/// Messages of the links between task managers. Those between two links go over the network: link_hello, link_welcome,
/// link_reset, link_frame; link_version (dataflow/network/link_frames.hpp) changes with them. All others stay within
/// the process.
#pragma once

#include <dataflow/network/link_frames.hpp>
#include <dataflow/util/error.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace dataflow::actors {

// ---- between a task and a link of its process

/// task -> link: it has a channel over this link.
struct use_link {
  std::uint64_t address = 0; ///< link_address of the task
  caf::actor task;
};
/// task -> link: to be sent on.
struct send_element {
  link_element what;
};
struct send_credit {
  link_credit what;
};
/// link -> task: the next element of one of its channels, as bytes.
struct element_received {
  link_element what;
};
/// link -> task, urgent: what was under way on the link is lost.
struct link_broken {
  error why;
};
/// link -> itself, INTERNAL: send what has come together.
struct flush_link {};
/// link -> itself, INTERNAL, delayed: an attempt or the end of patience may be due.
struct link_timer {
  std::int64_t at = 0; ///< nanoseconds; an earlier one may have replaced it
};

// ---- between links

/// connecting link -> door of the other task manager -> link there (request, answered with link_welcome).
struct link_hello {
  std::uint32_t version = 0; ///< link_version
  std::string from, to;      ///< ids of the task managers
  std::uint64_t epoch = 0;   ///< of the connection that begins
  caf::actor link;           ///< where frames go
};
struct link_welcome {
  std::uint64_t epoch = 0;
  caf::actor link;
};
/// link -> link: frames of this epoch are not read any more.
struct link_reset {
  std::uint64_t epoch = 0;
  std::string why;
};
/// link -> link. Written from its parts, so that they need not be joined; `whole` is what arrived.
struct link_frame {
  link_frame_parts parts;
  shared_bytes whole;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, link_hello& x) {
  return f(x.version, x.from, x.to, x.epoch, x.link);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, link_welcome& x) {
  return f(x.epoch, x.link);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, link_reset& x) {
  return f(x.epoch, x.why);
}
caf::error inspect(caf::serializer& to, link_frame& x);
/// A frame that is larger than frames may be is refused before memory is asked for.
caf::error inspect(caf::deserializer& from, link_frame& x);

/// Before an actor system is made that has links.
void add_link_types(caf::actor_system_config& config);

} // namespace dataflow::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::use_link)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::send_element)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::send_credit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::element_received)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::link_broken)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::flush_link)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::link_timer)
