/// What a window operator waits for, in words: for whoever asks why no window fires.
///
/// Threading: pure functions.
#pragma once

#include <dataflow/operators/operator.hpp>
#include <dataflow/windows/window.hpp>

namespace dataflow::detail {

/// The window's end.
event_time_wait wait_until_fired(const time_window& w);
/// The window has fired; it goes when records for it would be too late. `lateness`: milliseconds.
event_time_wait wait_until_cleaned(const time_window& w, std::int64_t lateness);
/// A time that a trigger has asked for.
event_time_wait wait_for_trigger(const time_window& w, timestamp at);

} // namespace dataflow::detail
