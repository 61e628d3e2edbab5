/// What a user says about checkpoints, and what a single checkpoint is.
///
/// Threading: values. Errors: from() throws error{errc::invalid_option} for values that contradict each other.
/// Source: Flink's CheckpointingOptions, CheckpointConfig, CheckpointOptions, SnapshotType.
#pragma once

#include <dataflow/util/compression.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dataflow {

class configuration;

enum class checkpointing_mode : std::uint8_t { exactly_once, at_least_once };

/// "Do not change" the numbers: they are stored.
enum class checkpoint_kind : std::uint8_t { checkpoint = 1, savepoint = 2 };
std::string_view to_string(checkpoint_kind kind) noexcept;

/// What follows a savepoint.
enum class after_savepoint : std::uint8_t {
  go_on,
  suspend, ///< the job stops at the savepoint; time does not go on
  drain,   ///< the job ends at the savepoint as if its input had ended: watermarks go to the maximum first
};

/// How barriers pass a task with several channels.
enum class barrier_alignment : std::uint8_t {
  aligned,       ///< channels wait for each other
  unaligned,     ///< the barrier overtakes, what it overtook is stored
  aligned_first, ///< aligned until `aligned_timeout` has passed, then unaligned
  none,          ///< at least once: nobody waits, records may be counted twice after a restore
};
std::string_view to_string(barrier_alignment alignment) noexcept;

/// What becomes of the last checkpoints when the job is at its end.
enum class externalized_retention : std::uint8_t {
  no_externalized_checkpoints, ///< removed
  delete_on_cancellation,      ///< kept when the job fails
  retain_on_cancellation,      ///< kept when the job fails or is cancelled
};

/// Travels to the sources with a trigger, and on with the barriers.
struct checkpoint_options {
  checkpoint_kind kind = checkpoint_kind::checkpoint;
  after_savepoint after = after_savepoint::go_on;
  barrier_alignment alignment = barrier_alignment::aligned;
  std::chrono::milliseconds aligned_timeout{0}; ///< of aligned_first: from the trigger on
  std::chrono::milliseconds triggered{0};       ///< since 1970 UTC
  /// Where objects go: chk-N of the job, or the savepoint's directory.
  std::string directory;
  /// From this wall time on its barriers overtake; max(): never.
  std::chrono::milliseconds overtakes_from() const noexcept;
  friend bool operator==(const checkpoint_options&, const checkpoint_options&) = default;
};

struct checkpoint_settings {
  using milliseconds = std::chrono::milliseconds;
  std::optional<milliseconds> interval; ///< unset: no periodic checkpoints
  checkpointing_mode mode = checkpointing_mode::exactly_once;
  milliseconds timeout{600'000};
  milliseconds min_pause{0}; ///< from the end of a checkpoint to the trigger of the next periodic one
  std::uint32_t max_concurrent = 1;
  std::uint32_t tolerable_failures = 0; ///< in a row
  std::uint32_t num_retained = 2;
  externalized_retention retention = externalized_retention::no_externalized_checkpoints;
  std::string directory, savepoint_directory; ///< empty: none is configured
  bool unaligned = false;
  bool unaligned_forced = false; ///< also where a custom partitioner makes rescaling unsafe
  milliseconds aligned_timeout{0};
  compression compress = compression::none;
  bool incremental = false;
  bool allow_doubled_output = false;          ///< go on from a checkpoint older than what sinks have published
  std::uint64_t inline_threshold = 20 * 1024; ///< smaller objects stand in the metadata

  bool periodic() const noexcept { return interval.has_value(); }
  /// Of a checkpoint (savepoints are always aligned).
  barrier_alignment alignment() const noexcept;
  /// From execution.checkpointing.*.
  static checkpoint_settings from(const configuration& config);
  /// Throws error{errc::invalid_option} naming the keys; from() has called it.
  void check() const;
};

} // namespace dataflow
