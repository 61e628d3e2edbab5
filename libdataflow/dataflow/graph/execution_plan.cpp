#include <dataflow/graph/execution_plan.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <numeric>

namespace dataflow {

execution_plan::execution_plan(std::shared_ptr<const job_graph> graph, std::uint32_t slots_per_task_manager)
    : graph_(std::move(graph)), slots_per_task_manager_(slots_per_task_manager) {
  if (slots_per_task_manager_ == 0)
    throw error{errc::invalid_argument, "a task manager has 0 slots",
                "set taskmanager.numberOfTaskSlots to at least 1"};
  add_tasks();
  assign_slots();
  find_regions();
}

std::uint32_t execution_plan::task_managers() const noexcept {
  return static_cast<std::uint32_t>((slots_.size() + slots_per_task_manager_ - 1) / slots_per_task_manager_);
}

void execution_plan::add_tasks() {
  for (auto& v : graph_->vertices) {
    first_task_.push_back(static_cast<task_index>(tasks_.size()));
    for (std::uint32_t i = 0; i < v.parallelism; ++i)
      tasks_.push_back({v.index, i, range_of(i, v.parallelism, v.max_parallelism), 0, 0});
  }
}

void execution_plan::assign_slots() {
  struct group {
    std::string name;
    std::uint32_t size, first;
  };
  std::vector<group> groups;
  auto find = [&](const std::string& name) {
    return std::find_if(groups.begin(), groups.end(), [&](auto& g) { return g.name == name; });
  };
  for (auto& v : graph_->vertices) {
    if (auto g = find(v.slot_sharing_group); g != groups.end())
      g->size = std::max(g->size, v.parallelism);
    else
      groups.push_back({v.slot_sharing_group, v.parallelism, 0});
  }
  for (auto& g : groups) {
    g.first = static_cast<slot_index>(slots_.size());
    for (std::uint32_t i = 0; i < g.size; ++i) {
      const auto task_manager = static_cast<std::uint32_t>(slots_.size() / slots_per_task_manager_);
      slots_.push_back({g.name, i, task_manager, {}});
    }
  }
  for (task_index t = 0; t < tasks_.size(); ++t) {
    tasks_[t].slot = find(vertex_of(t).slot_sharing_group)->first + tasks_[t].subtask;
    slots_[tasks_[t].slot].tasks.push_back(t);
  }
}

void execution_plan::find_regions() {
  std::vector<task_index> root(tasks_.size());
  std::iota(root.begin(), root.end(), 0u);
  auto find = [&](task_index t) {
    while (root[t] != t)
      t = root[t] = root[root[t]];
    return t;
  };
  auto join = [&](task_index a, task_index b) {
    a = find(a), b = find(b);
    root[std::max(a, b)] = std::min(a, b);
  };
  for (auto& e : graph_->edges) {
    if (e.exchange == exchange_kind::blocking) continue;
    const auto wiring = graph_->wiring(e);
    // All-to-all: everybody meets producer 0 or consumer 0, so that the work does not grow with the product.
    const auto all = wiring.pattern() == distribution_pattern::all_to_all;
    for (std::uint32_t p = 0; p < wiring.producers(); ++p) {
      const auto consumers = all && p > 0 ? subtask_range{0, 1} : wiring.consumers_of(p);
      for (auto c = consumers.begin; c < consumers.end; ++c)
        join(task_of(e.from, p), task_of(e.to, c));
    }
  }
  std::vector<region_index> region_of_root(tasks_.size());
  for (task_index t = 0; t < tasks_.size(); ++t) {
    const auto r = find(t);
    if (r == t) { // roots are the smallest of their region: met first
      region_of_root[t] = static_cast<region_index>(regions_.size());
      regions_.emplace_back();
    }
    tasks_[t].region = region_of_root[r];
    regions_[tasks_[t].region].push_back(t);
  }
}

/// Where the channels of an edge begin among all inputs of a consuming subtask.
std::uint32_t execution_plan::first_input(edge_index e, std::uint32_t consumer) const noexcept {
  std::uint32_t n = 0;
  for (auto i : graph_->vertices[graph_->edges[e].to].inputs) {
    if (i == e) break;
    n += graph_->wiring(graph_->edges[i]).producers_of(consumer).size();
  }
  return n;
}

/// The same among all outputs of a producing subtask.
std::uint32_t execution_plan::first_output(edge_index e, std::uint32_t producer) const noexcept {
  std::uint32_t n = 0;
  for (auto i : graph_->vertices[graph_->edges[e].from].outputs) {
    if (i == e) break;
    n += graph_->wiring(graph_->edges[i]).consumers_of(producer).size();
  }
  return n;
}

std::uint32_t execution_plan::gate_of(const job_edge& e) const noexcept {
  const auto& outputs = graph_->vertices[e.from].outputs;
  return static_cast<std::uint32_t>(std::find(outputs.begin(), outputs.end(), e.index) - outputs.begin());
}

std::vector<planned_channel> execution_plan::inputs_of(task_index t) const {
  std::vector<planned_channel> channels;
  const auto c = tasks_[t].subtask;
  for (auto index : vertex_of(t).inputs) {
    const auto& e = graph_->edges[index];
    const auto wiring = graph_->wiring(e);
    const auto producers = wiring.producers_of(c);
    const auto gate = gate_of(e);
    for (auto p = producers.begin; p < producers.end; ++p) {
      const auto at_producer = wiring.channel_at_producer(p, c);
      channels.push_back({index, p - producers.begin, task_of(e.from, p), at_producer,
                          first_output(index, p) + at_producer, gate, e.input, e.feedback});
    }
  }
  return channels;
}

std::vector<planned_channel> execution_plan::outputs_of(task_index t) const {
  std::vector<planned_channel> channels;
  const auto p = tasks_[t].subtask;
  for (auto index : vertex_of(t).outputs) {
    const auto& e = graph_->edges[index];
    const auto wiring = graph_->wiring(e);
    const auto consumers = wiring.consumers_of(p);
    const auto gate = gate_of(e);
    for (auto c = consumers.begin; c < consumers.end; ++c) {
      const auto at_consumer = wiring.channel_at_consumer(p, c);
      channels.push_back({index, c - consumers.begin, task_of(e.to, c), at_consumer,
                          first_input(index, c) + at_consumer, gate, e.input, e.feedback});
    }
  }
  return channels;
}

} // namespace dataflow
