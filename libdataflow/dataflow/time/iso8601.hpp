/// Timestamps as people write them: "2026-11-21T12:29:50.250Z".
///
/// Read: a date, or a date and a time with 'T' or a space between them; hours and minutes, or seconds, too, with any
/// number of decimals (digits beyond milliseconds are cut off); then 'Z', an offset (+01:00, +0100, +01), or nothing,
/// which means UTC. Years beyond four digits need a sign, as in Java: "+292278994-08-17T07:12:55.807Z".
/// Threading: pure functions. Errors: errc::malformed_record with the text for anything else, also for dates that do
/// not exist and for times that 64 bits of milliseconds cannot hold.
#pragma once

#include <dataflow/time/timestamp.hpp>

#include <string>
#include <string_view>

namespace dataflow {

timestamp parse_iso8601(std::string_view text);

/// In UTC; milliseconds are left out when they are zero: "2026-11-21T12:29:50Z".
std::string format_iso8601(timestamp t);

/// For messages: "none" for min_timestamp, "end of input" for max_timestamp, else format_iso8601().
std::string describe_watermark(timestamp t);

} // namespace dataflow
