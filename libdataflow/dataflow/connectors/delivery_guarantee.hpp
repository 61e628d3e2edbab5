/// How often a record that a sink was given is in its output, after any failure.
///
/// Threading: values. Source: Flink's DeliveryGuarantee.
#pragma once

#include <cstdint>
#include <string_view>

namespace dataflow {

enum class delivery_guarantee : std::uint8_t {
  none,          ///< perhaps not at all, perhaps several times; the cheapest
  at_least_once, ///< nothing is lost, records may be there several times
  exactly_once,  ///< nothing is lost or doubled; shown only when a checkpoint is complete
};

constexpr std::string_view to_string(delivery_guarantee g) noexcept {
  switch (g) {
  case delivery_guarantee::none:
    return "none";
  case delivery_guarantee::at_least_once:
    return "at-least-once";
  case delivery_guarantee::exactly_once:
    return "exactly-once";
  }
  return "unknown";
}

} // namespace dataflow
