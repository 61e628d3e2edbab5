#include <dataflow/actors/network/link_messages.hpp>
#include <dataflow/network/frame_buffers.hpp>

#include <caf/actor_system_config.hpp>
#include <caf/all.hpp>

#include <algorithm>

namespace dataflow::actors {

namespace {
/// The interface asks for a pointer to bytes that may be written, also where it reads them.
void* readable(std::string_view bytes) { return const_cast<char*>(bytes.data()); } // NOLINT
} // namespace

caf::error inspect(caf::serializer& to, link_frame& x) {
  const bool joined = x.whole.owner != nullptr;
  const std::string_view pieces[] = {joined ? x.whole.bytes : std::string_view{x.parts.head},
                                     joined ? std::string_view{} : x.parts.tail.bytes};
  auto size = pieces[0].size() + pieces[1].size();
  if (auto failure = to.begin_sequence(size)) return failure;
  for (auto piece : pieces)
    if (!piece.empty())
      if (auto failure = to.apply_raw(piece.size(), readable(piece))) return failure;
  return to.end_sequence();
}

caf::error inspect(caf::deserializer& from, link_frame& x) {
  std::size_t size = 0;
  if (auto failure = from.begin_sequence(size)) return failure;
  if (size > largest_frame) return caf::sec::invalid_argument;
  auto bytes = take_buffer(size);
  bytes.resize(size);
  if (size > 0)
    if (auto failure = from.apply_raw(size, bytes.data())) return failure;
  x.whole = shared_bytes{std::move(bytes)};
  return from.end_sequence();
}

void add_link_types(caf::actor_system_config& config) {
  config.add_message_type<link_hello>("dataflow.link_hello")
      .add_message_type<link_welcome>("dataflow.link_welcome")
      .add_message_type<link_reset>("dataflow.link_reset")
      .add_message_type<link_frame>("dataflow.link_frame");
}

} // namespace dataflow::actors
