/// From the plan to one subtask's configuration.
#pragma once

#include <dataflow/actors/interfaces.hpp>
#include <dataflow/task/subtask.hpp>

namespace dataflow::actors {

/// Gates, channels and stages of one task, in the numbering that the job master uses when it connects tasks: gates in
/// the order of the vertex' output edges, input channels in the order of execution_plan::inputs_of.
/// `restored`: what its operators start from; null: they begin.
subtask_config make_subtask_config(const job_description& job, task_key key,
                                   const restored_operators* restored = nullptr);

/// Under which its state is kept: the uid that the user has given, or the id generated from the graph.
std::string uid_of(const stream_node& node, const chained_operator& op);

/// Where the metrics of a task belong.
metric_scope task_scope(const std::string& job, const execution_plan& plan, task_index task);

/// "map (2/4)"
std::string task_title(const execution_plan& plan, task_index task);

} // namespace dataflow::actors
