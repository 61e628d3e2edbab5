#include <dataflow/operators/process.hpp>

namespace dataflow::detail {

event_time_wait wait_for_timer(timestamp next, std::size_t timers) {
  if (timers == 0) return {next, "the first of its timers fires then"};
  return {next, timers == 1 ? std::string{"the only timer fires then"}
                            : "the first of " + std::to_string(timers) + " timers fires then"};
}

} // namespace dataflow::detail
