/// The plan of a job for people and programs: what `dataflow info` prints.
///
/// Threading: pure functions. Errors: none; names that are no UTF-8 are printed with replacement characters in JSON.
#pragma once

#include <dataflow/graph/execution_plan.hpp>

#include <string>

namespace dataflow {

/// Tasks with their operators, edges with the reasons why they are not chained, slots and task managers.
std::string plan_as_text(const execution_plan& plan);

/// Flink's plan: {name, type, nodes: [{id, parallelism, operator, operator_strategy, description, inputs: [{num, id,
/// ship_strategy, exchange}], optimizer_properties}]}. Besides: at each input its distribution pattern and the reason
/// why it is not chained, at each node its operators and key groups, and the sizes of the plan.
std::string plan_as_json(const execution_plan& plan);

/// For `dot -Tsvg`: tasks as boxes, edges with their ship strategy, feedback edges dashed.
std::string plan_as_dot(const execution_plan& plan);

} // namespace dataflow
