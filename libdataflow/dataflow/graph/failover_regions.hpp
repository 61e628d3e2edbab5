/// Which tasks restart when one fails.
///
/// A task's failure takes its mailbox, its gates and its half-sent output with it, so every task that exchanges
/// records with it without keeping them restarts, too: its pipelined region. Behind a blocking edge the records are
/// kept, so what consumes them restarts only with a region that produces them again; what produced them restarts
/// only when its result is lost.
/// Threading: pure functions over an immutable plan. Source: Flink's RestartPipelinedRegionFailoverStrategy.
#pragma once

#include <dataflow/graph/execution_plan.hpp>

#include <cstdint>
#include <functional>
#include <vector>

namespace dataflow {

/// Flink's jobmanager.execution.failover-strategy.
enum class failover_strategy : std::uint8_t {
  region, ///< the failed task's pipelined region and what depends on it
  full,   ///< all tasks of the job
};

/// Whether the kept result of a blocking edge's producer can still be read.
using result_available = std::function<bool(edge_index, task_index producer)>;

/// The tasks to restart, in ascending order, when `failed` fails. Without `available`, kept results are there.
/// REQUIRES: failed < plan.tasks().size().
std::vector<task_index> tasks_to_restart(const execution_plan& plan, task_index failed,
                                         failover_strategy strategy = failover_strategy::region,
                                         const result_available& available = {});

} // namespace dataflow
