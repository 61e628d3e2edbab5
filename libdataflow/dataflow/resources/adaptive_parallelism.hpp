/// At which parallelism an adaptive job runs: as high as the slots that there are allow, up to what it was written for.
///
/// All operators are limited by one number; what is below it stays as it is. Pure logic: the time is handed in.
///
///   waiting    enough for all of it: begins at once
///              enough for some: begins when that has been so for submission.resource-stabilization-timeout
///              not enough: gives up after submission.resource-wait-timeout
///   running    slots come: it is rescaled, not before executing.cooldown-after-rescaling; when they are still not
///              enough for all of it, when that has been so for executing.resource-stabilization-timeout
///              slots go: whoever runs the job waits again
///
/// Threading: not shared. Units: of any clock that does not go back. REQUIRES: times are handed in in order.
/// Source: Flink's AdaptiveScheduler (FLIP-160, FLIP-461) and its DefaultStateTransitionManager.
#pragma once

#include <dataflow/config/configuration.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace dataflow {

/// The keys are below jobmanager.adaptive-scheduler.
struct adaptive_settings {
  std::chrono::milliseconds wait{300'000};                 ///< submission.resource-wait-timeout
  std::chrono::milliseconds stabilization{10'000};         ///< submission.resource-stabilization-timeout
  std::chrono::milliseconds cooldown{30'000};              ///< executing.cooldown-after-rescaling
  std::chrono::milliseconds rescale_stabilization{60'000}; ///< executing.resource-stabilization-timeout
  /// None: jobmanager.scheduler is not adaptive.
  static std::optional<adaptive_settings> from(const configuration& settings);
};

class adaptive_parallelism {
public:
  using milliseconds = std::chrono::milliseconds;
  /// `groups`: slots that each slot sharing group needs without a limit.
  adaptive_parallelism(adaptive_settings settings, std::vector<std::uint32_t> groups);

  /// The limit that is none.
  std::uint32_t most() const noexcept { return most_; }
  /// Slots that the job needs with this limit.
  std::uint32_t slots_for(std::uint32_t limit) const noexcept;
  /// The highest limit for so many slots; 0: not even 1.
  std::uint32_t fitting(std::uint32_t slots) const noexcept;

  /// The job needs slots, or lost some.
  void wait(milliseconds now);
  /// The job runs.
  void run(std::uint32_t limit, milliseconds now);
  bool waits() const noexcept { return waits_; }
  /// Slots that the job has, or could have.
  void slots(std::uint32_t there, milliseconds now);

  struct decision {
    enum class kind : std::uint8_t {
      nothing,
      run,     ///< with this limit: it waited, or runs with a lower one
      give_up, ///< not enough for a limit of 1
    } what = kind::nothing;
    std::uint32_t limit = 0;
  };
  decision decide(milliseconds now) const;
  /// When decide() says something else, if nothing happens before; none: never.
  std::optional<milliseconds> next_wake_up() const;

private:
  /// When it may begin with what is there; none: it may not.
  std::optional<milliseconds> begins_at() const;
  bool is_more() const noexcept { return fitting(there_) > limit_; }
  void begin(milliseconds now);

  adaptive_settings settings_;
  std::vector<std::uint32_t> groups_;
  std::uint32_t most_ = 1;
  bool waits_ = false;
  std::uint32_t limit_ = 0; // it runs with; 0: it does not
  std::uint32_t there_ = 0;
  milliseconds since_{0};                    // it waits, or runs
  std::optional<milliseconds> enough_since_; // for more than limit_
};

} // namespace dataflow
