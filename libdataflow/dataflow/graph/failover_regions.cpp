#include <dataflow/graph/failover_regions.hpp>

#include <numeric>

namespace dataflow {

namespace {

bool is_blocking(const execution_plan& plan, edge_index e) {
  return plan.graph().edges[e].exchange == exchange_kind::blocking;
}

} // namespace

std::vector<task_index> tasks_to_restart(const execution_plan& plan, task_index failed, failover_strategy strategy,
                                         const result_available& available) {
  std::vector<task_index> out;
  if (strategy == failover_strategy::full) {
    out.resize(plan.tasks().size());
    std::iota(out.begin(), out.end(), 0u);
    return out;
  }
  std::vector<bool> affected(plan.regions().size());
  std::vector<region_index> to_visit;
  auto add = [&](task_index t) {
    const auto region = plan.tasks()[t].region;
    if (affected[region]) return;
    affected[region] = true;
    to_visit.push_back(region);
  };
  add(failed);
  while (!to_visit.empty()) {
    const auto region = to_visit.back();
    to_visit.pop_back();
    for (auto t : plan.regions()[region]) {
      // Lost results must be produced again ...
      for (auto& c : plan.inputs_of(t))
        if (is_blocking(plan, c.edge) && available && !available(c.edge, c.peer)) add(c.peer);
      // ... and what is produced again need not be what consumers have read.
      for (auto& c : plan.outputs_of(t))
        if (is_blocking(plan, c.edge)) add(c.peer);
    }
  }
  for (task_index t = 0; t < plan.tasks().size(); ++t)
    if (affected[plan.tasks()[t].region]) out.push_back(t);
  return out;
}

} // namespace dataflow
