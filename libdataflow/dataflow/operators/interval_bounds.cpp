#include <dataflow/operators/interval_bounds.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <limits>
#include <string>

namespace dataflow {

namespace {
constexpr auto least = std::numeric_limits<std::int64_t>::min();
constexpr auto greatest = std::numeric_limits<std::int64_t>::max();
} // namespace

interval_bounds::interval_bounds(std::chrono::milliseconds lower, std::chrono::milliseconds upper, bool lower_inclusive,
                                 bool upper_inclusive)
    : lower_(lower.count()), upper_(upper.count()) {
  const bool possible = (lower_inclusive || lower_ < greatest) && (upper_inclusive || upper_ > least);
  if (possible) {
    lower_ += lower_inclusive ? 0 : 1;
    upper_ -= upper_inclusive ? 0 : 1;
  }
  if (!possible || lower_ > upper_)
    throw error{errc::invalid_argument,
                "interval join: no timestamp lies between the bounds " + std::to_string(lower.count()) + " ms (" +
                    (lower_inclusive ? "inclusive" : "exclusive") + ") and " + std::to_string(upper.count()) + " ms (" +
                    (upper_inclusive ? "inclusive" : "exclusive") + ")",
                "give the lower bound first: between(-60s, 60s) joins what is at most a minute apart"};
  wait_[0] = std::max<std::int64_t>(upper_, 0);
  wait_[1] = lower_ == least ? greatest : std::max<std::int64_t>(-lower_, 0);
}

timestamp interval_bounds::clamped(wide t) noexcept {
  return timestamp{std::chrono::milliseconds{static_cast<std::int64_t>(std::clamp<wide>(t, least, greatest))}};
}

interval_bounds::range interval_bounds::between(timestamp t, wide lower, wide upper) noexcept {
  const wide at = t.time_since_epoch().count();
  if (at + lower > greatest || at + upper < least) return {};
  return std::pair{clamped(at + lower), clamped(at + upper)};
}

} // namespace dataflow
