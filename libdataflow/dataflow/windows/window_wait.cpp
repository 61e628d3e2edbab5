#include <dataflow/time/iso8601.hpp>
#include <dataflow/time/saturating.hpp>
#include <dataflow/windows/window_wait.hpp>

namespace dataflow::detail {

namespace {
std::string text_of(const time_window& w) {
  return "the window [" + format_iso8601(w.start) + ", " + format_iso8601(w.end) + ")";
}
} // namespace

event_time_wait wait_until_fired(const time_window& w) { return {w.max_timestamp(), text_of(w) + " fires then"}; }

event_time_wait wait_until_cleaned(const time_window& w, std::int64_t lateness) {
  return {saturating_add(w.max_timestamp(), std::chrono::milliseconds{lateness}),
          text_of(w) + " has fired and is kept until then for late records"};
}

event_time_wait wait_for_trigger(const time_window& w, timestamp at) {
  return {at, "the trigger of " + text_of(w) + " has asked for it"};
}

} // namespace dataflow::detail
