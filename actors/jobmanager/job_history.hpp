/// What of a job outlives its job master, for the next one: where its checkpoints are, and what has happened so far.
///
/// Kept by whoever starts job masters; used by one of them at a time.
#pragma once

#include <dataflow/actors/interfaces.hpp>
#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/recovery/restart_strategy.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace dataflow::actors {

struct job_history {
  // Checkpoints.
  std::shared_ptr<memory_file_system> memory; ///< where no directory is configured: lost with the process
  std::shared_ptr<checkpoint_storage> storage;
  std::uint64_t leader = 0;  ///< token of the last job master
  std::uint64_t next_id = 1; ///< of a checkpoint
  /// Parts of the result went to a job master and are lost with it: the next one begins anew.
  bool has_results = false;
  std::shared_ptr<const restore_point> stopped_at; ///< a savepoint that stopped the job, or was to
  /// Of a job that has ended: the dispatcher may not have it yet, and its checkpoints may be gone already.
  std::shared_ptr<const job_result> result;
  std::uint32_t next_attempt = 0; ///< of tasks: no task of a job master before has it

  // Of an adaptive job whose job master has made way for one at another parallelism.
  std::uint32_t restarts = 0;
  std::vector<failure_report> failures;
  /// With the failures that it has counted. Null: the next job master begins with a new one.
  std::unique_ptr<restart_strategy> strategy;
  checkpoint_statistics checkpoints;
  std::optional<std::chrono::milliseconds> started;
  std::optional<std::uint32_t> most_parallelism; ///< when there are not the slots for more
  bool replans = false;                          ///< the job master has made way, and has not died
};

} // namespace dataflow::actors
