#include <dataflow/state/broadcast_state.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow {

void detail::broadcast_state_base::fail_missing() const {
  throw error{errc::empty_state, "broadcast state \"" + name() + "\" has no value for this key",
              "ask contains() first, or read with value_or()"};
}

broadcast_states::broadcast_states(const std::vector<detail::broadcast_declaration>& declared) {
  for (auto& d : declared)
    states_.push_back(d.make(d.name));
}

void broadcast_states::open(state_registry& states) {
  for (auto& s : states_)
    states.declare(*s);
}

void broadcast_states::fail_undeclared(const std::string& name) const {
  std::string known;
  for (auto& s : states_)
    known += (known.empty() ? "\"" : ", \"") + s->name() + "\"";
  throw error{errc::invalid_argument,
              "broadcast state \"" + name + "\" with these types was not given to broadcast(); known are: " + known,
              "give the descriptor to broadcast(), with the same name and types"};
}

} // namespace dataflow
