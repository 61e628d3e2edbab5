#include <dataflow/api/supervision.hpp>
#include <dataflow/config/units.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow::detail {

std::map<std::string, std::string> configuration_of(const job_supervision& how) {
  if (how.strategy == restart::none || how.max_restarts == 0) return {{"restart-strategy.type", "none"}};
  if (how.within.count() < 1)
    throw error{errc::invalid_argument, "supervise: restarts counted within " + format_duration(how.within),
                "choose at least a millisecond"};
  const std::pair<const std::string, std::string> who{"jobmanager.execution.failover-strategy",
                                                      how.strategy == restart::all ? "full" : "region"};
  if (auto* fixed = std::get_if<fixed_backoff>(&how.backoff)) {
    const std::string prefix = "restart-strategy.failure-rate.";
    return {who,
            {"restart-strategy.type", "failure-rate"},
            {prefix + "max-failures-per-interval", std::to_string(how.max_restarts)},
            {prefix + "failure-rate-interval", format_duration(how.within)},
            {prefix + "delay", format_duration(fixed->delay)}};
  }
  const auto& growing = std::get<exponential>(how.backoff);
  const std::string prefix = "restart-strategy.exponential-delay.";
  return {who,
          {"restart-strategy.type", "exponential-delay"},
          {prefix + "initial-backoff", format_duration(growing.first)},
          {prefix + "max-backoff", format_duration(growing.most)},
          {prefix + "backoff-multiplier", std::to_string(growing.multiplier)},
          {prefix + "jitter-factor", std::to_string(growing.jitter.factor)},
          {prefix + "reset-backoff-threshold", format_duration(how.within)},
          {prefix + "attempts-before-reset-backoff", std::to_string(how.max_restarts)}};
}

} // namespace dataflow::detail
