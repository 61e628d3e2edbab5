// Every process of ours, and every actor_system in it, has a random node id.
//
// CAF makes the id from the process id and the addresses of the network cards. A container that starts again has the
// same of both, so messages to actors of its former life would reach those of the new one, and two such processes could
// not connect to each other. The linker prefers this definition to that of CAF's shared library. It is linked into our
// own programs only: what a user's program is called among its peers is the user's business.
#include <dataflow/util/random.hpp>

#include <caf/node_id.hpp>

namespace caf {

__attribute__((visibility("default"))) node_id node_id::default_data::local(const actor_system_config&) {
  dataflow::random_source random{dataflow::random_seed()};
  host_id_type host;
  for (auto& byte : host)
    byte = static_cast<std::uint8_t>(random());
  return make_node_id(static_cast<std::uint32_t>(random() | 1), host); // 0 would not be a process
}

} // namespace caf
