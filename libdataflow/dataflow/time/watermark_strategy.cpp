#include <dataflow/time/watermark_strategy.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow::detail {

namespace {
std::string in_ms(std::chrono::milliseconds d) { return std::to_string(d.count()) + " ms"; }
} // namespace

void check_bound(std::chrono::milliseconds bound) {
  if (bound.count() >= 0) return;
  throw error{errc::invalid_argument, "watermarks with the negative bound " + in_ms(bound),
              "say by how much records may be late: 0 or more"};
}

void check_idleness(std::chrono::milliseconds timeout) {
  if (timeout.count() > 0) return;
  throw error{errc::invalid_argument, "watermarks with the idle time-out " + in_ms(timeout),
              "choose a time above 0, longer than the usual gap between records"};
}

void check_alignment(const watermark_alignment& alignment) {
  if (alignment.group.empty())
    throw error{errc::invalid_argument, "watermark alignment with an empty group", "name the group"};
  if (alignment.max_drift.count() < 0)
    throw error{errc::invalid_argument,
                "watermark alignment in group \"" + alignment.group + "\" with the negative drift " +
                    in_ms(alignment.max_drift),
                "say how far a source may be ahead: 0 or more"};
  if (alignment.update_interval.count() <= 0)
    throw error{errc::invalid_argument,
                "watermark alignment in group \"" + alignment.group + "\" with the update interval " +
                    in_ms(alignment.update_interval),
                "choose a time above 0; the default is 1 s"};
}

} // namespace dataflow::detail
