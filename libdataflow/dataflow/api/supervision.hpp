/// How a job recovers, as its author says it: environment::supervise.
///
///   env.supervise({.strategy = restart::region, .max_restarts = 3, .within = 10min,
///                  .backoff = exponential{1s, 60s, 1.5, jitter{0.1}}});
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <variant>

namespace dataflow {

/// What is restarted together with a failed task.
enum class restart : std::uint8_t {
  none,   ///< nothing: the job fails
  region, ///< what is connected with it by pipelined edges
  all,    ///< every task of the job
};

/// A part of the delay that is random, 0 to 1.
struct jitter {
  double factor = 0.1;
};
/// The delay grows by `multiplier` with every failure, up to `most`.
struct exponential {
  std::chrono::milliseconds first{1000};
  std::chrono::milliseconds most{60000};
  double multiplier = 1.5;
  dataflow::jitter jitter{};
};
/// Always the same delay.
struct fixed_backoff {
  std::chrono::milliseconds delay{1000};
};

struct job_supervision {
  restart strategy = restart::region;
  /// More failures than this within `within` end the job.
  std::uint32_t max_restarts = 3;
  std::chrono::milliseconds within{600000};
  std::variant<exponential, fixed_backoff> backoff = exponential{};
};

namespace detail {
/// As configuration keys. Throws error{errc::invalid_argument}.
std::map<std::string, std::string> configuration_of(const job_supervision& how);
} // namespace detail

} // namespace dataflow
