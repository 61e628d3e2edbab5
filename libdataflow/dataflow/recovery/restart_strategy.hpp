/// How often and after which wait something that failed is started again.
///
/// Pure: times come in as arguments, randomness from a seed; the same calls give the same answers.
/// Threading: one thread at a time. Units: milliseconds of any clock that does not go back.
/// Source: Flink 1.20's RestartBackoffTimeStrategy and its four implementations.
#pragma once

#include <dataflow/util/random.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace dataflow {

class configuration;

enum class restart_kind : std::uint8_t { none, fixed_delay, failure_rate, exponential_delay };

/// The settings of all of them, with Flink's defaults; only those of `kind` count.
struct restart_settings {
  using milliseconds = std::chrono::milliseconds;
  restart_kind kind = restart_kind::none;
  /// fixed-delay: restarts for ever. exponential-delay: restarts between two resets.
  std::uint32_t attempts = 1;
  /// fixed-delay and failure-rate
  milliseconds delay{1000};
  /// failure-rate
  std::uint32_t max_failures = 1;
  milliseconds interval{60'000};
  /// exponential-delay
  milliseconds initial{1000}, maximum{60'000}, reset_after{3'600'000};
  double multiplier = 1.5, jitter = 0.1;

  static restart_settings never() { return {}; }
  static restart_settings fixed(std::uint32_t attempts, milliseconds delay);
  static restart_settings rate(std::uint32_t max_failures, milliseconds interval, milliseconds delay);
  static restart_settings exponential(milliseconds initial, milliseconds maximum, double multiplier = 1.5,
                                      double jitter = 0.1, milliseconds reset_after = std::chrono::hours{1},
                                      std::uint32_t attempts = 2147483647);
  /// From restart-strategy.type and restart-strategy.<type>.*; where nobody has set the type, exponential-delay for
  /// jobs with execution.checkpointing.interval, else none. Errors: invalid_option when they contradict each other.
  static restart_settings from(const configuration& config);
};

struct restart_decision {
  bool restart = false;               ///< false: the failure is final
  std::chrono::milliseconds delay{0}; ///< from the failure to the restart
  /// False: the failure falls into the wait before a restart that is already due, and is answered by that one.
  bool new_attempt = true;
};

class restart_strategy {
public:
  virtual ~restart_strategy() = default;
  /// Something failed at `now`. REQUIRES: now is not before the previous call's.
  virtual restart_decision failed(std::chrono::milliseconds now) = 0;
  /// For messages: "fixed delay of 1 s, at most 3 restarts".
  virtual std::string describe() const = 0;
};

/// `seed` is for jitter. Errors: invalid_option for settings out of range.
std::unique_ptr<restart_strategy> make_restart_strategy(const restart_settings& settings, std::uint64_t seed);

} // namespace dataflow
