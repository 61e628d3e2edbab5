/// From the plan to one subtask's configuration.
#pragma once

#include <dataflow/actors/interfaces.hpp>
#include <dataflow/task/subtask.hpp>

namespace dataflow::actors {

/// Gates, channels and stages of one task, in the numbering that the job master uses when it connects tasks: gates in
/// the order of the vertex' output edges, input channels in the order of execution_plan::inputs_of.
/// `restored`: what its operators start from; null: they begin. `place`: of the task's state on the local disk.
subtask_config make_subtask_config(const job_description& job, task_key key,
                                   const restored_operators* restored = nullptr, const state_place& place = {});

/// The edges that a vertex reads, in the order of its inputs, by what their two operators are called.
std::vector<restore_target::edge> edges_into(const job_graph& graph, const job_vertex& vertex);

/// Whether some operator of the task has keyed state.
bool has_keyed_operator(const execution_plan& plan, task_index task);
key_group_range key_groups_of(const execution_plan& plan, task_index task);
/// A directory on the local disk for a task.
state_place make_place(local_state& local, const deploy_task& task, state_backend backend);

/// Under which its state is kept: the uid that the user has given, or the id generated from the graph.
inline std::string uid_of(const stream_node& node, const chained_operator& op) { return uid_of(node, op.id); }

/// Where the metrics of a task belong.
metric_scope task_scope(const std::string& job, const execution_plan& plan, task_index task);

/// "map (2/4)"
std::string task_title(const execution_plan& plan, task_index task);

} // namespace dataflow::actors
