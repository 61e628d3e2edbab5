/// The execution plan: subtasks, their key groups, channels, slots and pipelined regions.
///
/// Deterministic: subtask i of a vertex takes slot i of its sharing group; groups take slots one after another, in the
/// order of their first vertex; slots fill task managers in order.
/// Threading: immutable after construction. Ownership: shares the job graph.
/// Source: Flink's SlotSharingExecutionSlotAllocator, KeyGroupRangeAssignment, SchedulingPipelinedRegionComputeUtil.
#pragma once

#include <dataflow/exchange/channel_wiring.hpp>
#include <dataflow/graph/job_graph.hpp>
#include <dataflow/record/key_groups.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dataflow {

/// Position of a task in its plan: vertices in order, their subtasks in order.
using task_index = std::uint32_t;
using slot_index = std::uint32_t;
using region_index = std::uint32_t;

struct planned_task {
  vertex_index vertex = 0;
  std::uint32_t subtask = 0;
  key_group_range key_groups; ///< what it owns when its vertex is keyed
  slot_index slot = 0;
  region_index region = 0;
};

struct planned_slot {
  std::string slot_sharing_group;
  std::uint32_t index_in_group = 0;
  std::uint32_t task_manager = 0;
  std::vector<task_index> tasks; ///< at most one subtask of each vertex of the group
};

/// One channel, from either end.
struct planned_channel {
  edge_index edge = 0;
  std::uint32_t channel = 0; ///< its number within the edge, at this end
  task_index peer = 0;
  std::uint32_t peer_channel = 0; ///< its number within the edge, at the other end
  /// Where the peer has it among all its channels: position in the peer's inputs_of() or outputs_of().
  std::uint32_t peer_position = 0;
  std::uint32_t gate = 0; ///< position of the edge among the producing vertex' outputs
  unsigned input = 0;     ///< of the consuming operator
  bool feedback = false;
};

class execution_plan {
public:
  /// REQUIRES: graph is not null. Throws error{errc::invalid_argument} when slots_per_task_manager is 0.
  execution_plan(std::shared_ptr<const job_graph> graph, std::uint32_t slots_per_task_manager);

  const job_graph& graph() const noexcept { return *graph_; }
  const std::shared_ptr<const job_graph>& shared_graph() const noexcept { return graph_; }
  const std::vector<planned_task>& tasks() const noexcept { return tasks_; }
  const std::vector<planned_slot>& slots() const noexcept { return slots_; }
  /// Tasks that must fail together, because data flows between them without being kept; tasks in ascending order.
  const std::vector<std::vector<task_index>>& regions() const noexcept { return regions_; }
  std::uint32_t slots_per_task_manager() const noexcept { return slots_per_task_manager_; }
  std::uint32_t task_managers() const noexcept;

  task_index task_of(vertex_index v, std::uint32_t subtask) const noexcept { return first_task_[v] + subtask; }
  const job_vertex& vertex_of(task_index t) const noexcept { return graph_->vertices[tasks_[t].vertex]; }
  /// The channels that a task reads: edges in the order of its vertex' inputs, then producers in order.
  std::vector<planned_channel> inputs_of(task_index t) const;
  /// The channels that a task writes: edges in the order of its vertex' outputs, then consumers in order.
  std::vector<planned_channel> outputs_of(task_index t) const;

private:
  void add_tasks();
  void assign_slots();
  void find_regions();
  std::uint32_t first_input(edge_index e, std::uint32_t consumer) const noexcept;
  std::uint32_t first_output(edge_index e, std::uint32_t producer) const noexcept;
  std::uint32_t gate_of(const job_edge& e) const noexcept;

  std::shared_ptr<const job_graph> graph_;
  std::uint32_t slots_per_task_manager_;
  std::vector<task_index> first_task_; // per vertex
  std::vector<planned_task> tasks_;
  std::vector<planned_slot> slots_;
  std::vector<std::vector<task_index>> regions_;
};

} // namespace dataflow
