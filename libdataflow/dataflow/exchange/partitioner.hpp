/// Partitioners: which channels of an edge a record goes to. Partitioning lives in the edges, not in operators.
///
/// Threading: one instance per producing subtask and edge, not shared.
#pragma once

#include <dataflow/record/batch.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace dataflow {

enum class partitioning_kind : std::uint8_t {
  forward,   ///< to the subtask of the same index
  rebalance, ///< round-robin over all subtasks, record by record
  rescale,   ///< round-robin over a local group of subtasks
  shuffle,   ///< uniformly at random (from the job's seed)
  broadcast, ///< every record to all subtasks
  global,    ///< everything to subtask 0
  custom,    ///< a user's function of key and number of subtasks
  hash,      ///< by key group
};

/// Flink's name: FORWARD, REBALANCE, RESCALE, SHUFFLE, BROADCAST, GLOBAL, CUSTOM, HASH.
std::string_view to_string(partitioning_kind kind) noexcept;
/// Pointwise (a subtask talks to some of the others) or all-to-all.
bool is_pointwise(partitioning_kind kind) noexcept;

/// Chooses one channel per record. Needed for the kinds custom and hash; the engine has the others.
class partitioner {
public:
  virtual ~partitioner() = default;
  /// targets[i] = channel of record begin + i, below `channels`, for the records [begin, end). hashes[i] = key hash of
  /// that record when provides_hashes(); else `hashes` is null.
  virtual void select(const batch_base& b, std::size_t begin, std::size_t end, std::uint32_t channels,
                      std::uint32_t max_parallelism, std::uint32_t* targets, std::uint64_t* hashes) = 0;
  virtual bool provides_hashes() const noexcept { return false; }
};
using partitioner_factory = std::function<std::unique_ptr<partitioner>()>;

struct partitioning {
  partitioning_kind kind = partitioning_kind::forward;
  partitioner_factory factory; ///< of custom and hash
};

} // namespace dataflow
