#include <dataflow/actors/taskmanager/task_config.hpp>

#include <algorithm>

namespace dataflow::actors {

std::string task_title(const execution_plan& plan, task_index task) {
  const auto& v = plan.vertex_of(task);
  return v.name + " (" + std::to_string(plan.tasks()[task].subtask + 1) + "/" + std::to_string(v.parallelism) + ")";
}

bool has_keyed_operator(const execution_plan& plan, task_index task) {
  for (auto& op : plan.vertex_of(task).chain)
    if (plan.graph().node(op).keyed) return true;
  return false;
}

key_group_range key_groups_of(const execution_plan& plan, task_index task) {
  const auto& v = plan.vertex_of(task);
  return range_of(plan.tasks()[task].subtask, v.parallelism, v.max_parallelism);
}

state_place make_place(local_state& local, const deploy_task& task, state_backend backend) {
  return local.make_place(task.job->tasks.state_directory,
                          task.job->id + "-" + std::to_string(task.key.task) + "-" + std::to_string(task.key.attempt),
                          backend);
}

metric_scope task_scope(const std::string& job, const execution_plan& plan, task_index task) {
  const auto& t = plan.tasks()[task];
  metric_scope scope;
  scope.job = job;
  scope.vertex = t.vertex;
  scope.task = plan.vertex_of(task).name;
  scope.subtask = t.subtask;
  return scope;
}

namespace {

std::string writer_of(const job_graph& graph, const job_edge& edge) {
  const auto& op = graph.vertices[edge.from].chain[edge.producer];
  return uid_of(graph.node(op), op);
}
std::string reader_of(const job_graph& graph, const job_edge& edge) {
  const auto& op = graph.vertices[edge.to].chain.front();
  return uid_of(graph.node(op), op);
}

/// Among the edges between the same two operators.
std::uint32_t number_of(const job_graph& graph, const job_edge& edge) {
  std::uint32_t number = 0;
  for (auto& e : graph.edges)
    if (e.index < edge.index && e.to == edge.to && e.from == edge.from && e.producer == edge.producer) ++number;
  return number;
}

in_flight_route route_of(const job_edge& edge) {
  if (edge.feedback) return in_flight_route::none;
  switch (edge.partition.kind) {
  case partitioning_kind::hash:
    return in_flight_route::by_key_group;
  case partitioning_kind::rebalance:
  case partitioning_kind::shuffle:
  case partitioning_kind::custom:
    return in_flight_route::by_channel;
  default:
    return in_flight_route::none;
  }
}

} // namespace

std::vector<restore_target::edge> edges_into(const job_graph& graph, const job_vertex& vertex) {
  std::vector<restore_target::edge> edges;
  for (auto e : vertex.inputs) {
    const auto& edge = graph.edges[e];
    edges.push_back({writer_of(graph, edge), number_of(graph, edge), route_of(edge), to_string(edge.type->describe())});
  }
  return edges;
}

subtask_config make_subtask_config(const job_description& job, task_key key, const restored_operators* restored,
                                   const state_place& place) {
  const auto& plan = *job.plan;
  const auto& graph = plan.graph();
  const auto& vertex = plan.vertex_of(key.task);
  const auto& head = graph.head(vertex);
  subtask_config c;
  c.info = {job.name,   job.id, vertex.name, plan.tasks()[key.task].subtask, vertex.parallelism, vertex.max_parallelism,
            key.attempt};
  c.info.watermark_interval = job.tasks.watermark_interval;
  c.info.checkpointing = job.tasks.checkpointing;
  c.limits = job.tasks.limits;
  c.credit = {job.tasks.credit_batches, job.tasks.credit_bytes};
  c.buffer_timeout = job.tasks.buffer_timeout;
  c.feedback = {job.tasks.iteration_memory, job.tasks.temporary_directory};
  c.code = graph.streams->code;
  c.inputs = head.kind == node_kind::source ? 0 : head.kind == node_kind::two_input ? 2 : 1;
  c.source = head.source;
  for (auto& op : vertex.chain) {
    const auto& node = graph.node(op);
    stage_config s;
    s.name = node.name;
    s.uid = uid_of(node, op);
    s.make = node.make_operator;
    s.on_record_error = node.on_record_error;
    s.parent = op.parent == no_parent ? 0 : op.parent;
    s.side = op.side_output.value_or(0);
    if (restored) {
      if (const auto from = restored->find(s.uid); from != restored->end()) {
        s.restored = from->second.states;
        s.finished = from->second.finished;
        if (node.kind == node_kind::source) c.restored_splits = from->second.splits;
        if (c.stages.empty()) c.restored_inputs = from->second.inputs;
      }
    }
    s.place = place;
    s.place.directory += "/" + std::to_string(c.stages.size());
    c.stages.push_back(std::move(s));
  }
  const auto outputs = plan.outputs_of(key.task);
  for (std::uint32_t g = 0; g < vertex.outputs.size(); ++g) {
    const auto& edge = graph.edges[vertex.outputs[g]];
    subtask_config::output o;
    o.stage = edge.producer;
    o.side = edge.side_output.value_or(0);
    o.type = edge.type;
    o.gate.index = g;
    o.gate.kind = edge.partition.kind;
    o.gate.factory = edge.partition.factory;
    o.gate.channels = 0;
    for (auto& channel : outputs)
      if (channel.edge == edge.index) ++o.gate.channels;
    o.gate.max_parallelism = edge.max_parallelism;
    o.gate.subtask = c.info.subtask;
    o.gate.seed = job.tasks.seed ^ (std::uint64_t{key.task} << 32 | edge.index);
    o.gate.feedback = edge.feedback;
    o.gate.overtakes = route_of(edge) != in_flight_route::none;
    o.peer = reader_of(graph, edge);
    o.edge = number_of(graph, edge);
    o.gate.limits = c.limits;
    o.gate.initial_credit = c.credit;
    c.outputs.push_back(std::move(o));
  }
  const auto edges = edges_into(graph, vertex);
  for (std::uint32_t i = 0; i < edges.size(); ++i) {
    const auto& edge = graph.edges[vertex.inputs[i]];
    const bool hashed = edges[i].route == in_flight_route::by_key_group;
    c.edges.push_back({edge.input, edge.type, edges[i].producer, edges[i].number, hashed});
  }
  for (auto& channel : plan.inputs_of(key.task)) {
    const auto at = std::find(vertex.inputs.begin(), vertex.inputs.end(), channel.edge) - vertex.inputs.begin();
    const auto position = static_cast<std::uint32_t>(at);
    c.channels.push_back({channel.input, channel.feedback, edges[position].route != in_flight_route::none, position,
                          channel.channel, plan.tasks()[channel.peer].vertex, plan.tasks()[channel.peer].subtask});
  }
  c.names = [all = job.plan, task = key.task](std::uint32_t channel) {
    return task_title(*all, all->inputs_of(task).at(channel).peer) + " -> " + task_title(*all, task);
  };
  return c;
}

} // namespace dataflow::actors
