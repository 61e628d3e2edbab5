#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/taskmanager/task_config.hpp>
#include <dataflow/task/state_trial.hpp>
#include <dataflow/util/error.hpp>

#include <map>

namespace dataflow::actors {

configuration settings_of(const job_submission& job) {
  auto settings = job.settings;
  settings.set_all(job.graph->settings.configuration);
  return settings;
}

task_settings task_settings_of(const configuration& c, const stream_graph& graph, std::uint64_t seed) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  task_settings t;
  t.limits.records = static_cast<std::size_t>(c.integer("taskmanager.batch.records"));
  t.limits.bytes = c.memory_size("taskmanager.batch.bytes");
  t.limits.record_bytes = c.memory_size("taskmanager.record.max-bytes");
  t.credit_batches = c.integer("taskmanager.channel.credit.batches");
  t.credit_bytes = static_cast<std::int64_t>(c.memory_size("taskmanager.channel.credit.bytes"));
  t.buffer_timeout =
      graph.settings.buffer_timeout.value_or(duration_cast<milliseconds>(c.duration("execution.buffer-timeout")));
  t.watermark_interval = duration_cast<milliseconds>(c.duration("pipeline.auto-watermark-interval"));
  t.iteration_memory = c.memory_size("taskmanager.iteration.memory");
  t.temporary_directory = c.text("io.tmp.dirs");
  t.backend = c.text("state.backend.type") == "rocksdb" ? state_backend::rocksdb : state_backend::hashmap;
  t.state_directory = c.text("state.backend.rocksdb.localdir");
  if (t.state_directory.empty()) t.state_directory = t.temporary_directory;
  t.seed = seed;
  t.checkpointing = checkpoint_settings::from(c).periodic();
  return t;
}

namespace {

/// A sink that is asked for more than the job's checkpoints can give.
void check_delivery(const stream_graph& graph, const checkpoint_settings& settings) {
  for (auto& node : graph.nodes()) {
    if (node.delivery != delivery_guarantee::exactly_once) continue;
    if (!settings.periodic())
      throw error{errc::invalid_graph,
                  describe_operator(node) + " is to deliver exactly once, and the job makes no checkpoints",
                  "set execution.checkpointing.interval, or ask the sink for at_least_once"};
    if (settings.mode == checkpointing_mode::at_least_once)
      throw error{errc::invalid_graph,
                  describe_operator(node) +
                      " is to deliver exactly once, and execution.checkpointing.mode is AT_LEAST_ONCE",
                  "set the mode to EXACTLY_ONCE, or ask the sink for at_least_once"};
  }
}

/// Where records go that a user's function has dealt out is not known at another parallelism.
void check_partitioners(const job_graph& graph, const checkpoint_settings& settings) {
  const bool makes_some = settings.periodic() || !settings.directory.empty();
  if (!settings.unaligned || settings.unaligned_forced || !makes_some) return;
  for (auto& e : graph.edges)
    if (e.partition.kind == partitioning_kind::custom)
      throw error{errc::invalid_graph,
                  "unaligned checkpoints are switched on, and a custom partitioner sends records to " +
                      describe_operator(graph.head(graph.vertices[e.to])) +
                      ": the job could not be rescaled from such a checkpoint",
                  "set execution.checkpointing.unaligned.enabled to false, or execution.checkpointing.unaligned.forced "
                  "to true if it is never to be rescaled from one"};
}

} // namespace

std::optional<checkpoint_settings> checkpoints_of(const configuration& settings, const job_graph& graph) {
  auto wanted = checkpoint_settings::from(settings);
  check_delivery(*graph.streams, wanted);
  check_partitioners(graph, wanted);
  const bool some = wanted.periodic() || !wanted.directory.empty() || !restore_settings::from(settings).path.empty();
  for (auto& e : graph.edges) {
    if (!e.feedback) continue;
    if (!some) return {};
    throw error{errc::invalid_graph,
                "the job makes checkpoints and has an iteration (\"" + graph.head(graph.vertices[e.to]).name +
                    "\"): what is on its way back would be in none of them",
                "leave execution.checkpointing.interval and execution.checkpointing.dir out, or the iteration"};
  }
  return wanted;
}

stored_parallelism stored_parallelism_of(const job_submission& job) {
  stored_parallelism stored;
  if (job.restore)
    for (auto& op : job.restore->metadata.operators)
      if (auto max = stored_max_parallelism(job.restore->metadata, op.uid)) stored[op.uid] = *max;
  return stored;
}

std::shared_ptr<const execution_plan> plan_of(const job_submission& job) {
  return plan_of(job, stored_parallelism_of(job));
}

std::shared_ptr<const execution_plan> plan_of(const job_submission& job, const stored_parallelism& stored,
                                              std::optional<std::uint32_t> most_parallelism) {
  const auto c = settings_of(job);
  graph_defaults defaults;
  defaults.parallelism = static_cast<std::uint32_t>(c.integer("parallelism.default"));
  if (auto m = c.integer("pipeline.max-parallelism"); m > 0) defaults.max_parallelism = static_cast<std::uint32_t>(m);
  defaults.chaining_enabled = c.boolean("pipeline.operator-chaining.enabled");
  defaults.stored_max_parallelism.insert(stored.begin(), stored.end());
  defaults.most_parallelism = most_parallelism;
  auto slots = c.integer("taskmanager.numberOfTaskSlots");
  auto graph = std::make_shared<const job_graph>(make_job_graph(job.graph, defaults));
  checkpoints_of(c, *graph);
  return std::make_shared<const execution_plan>(std::move(graph), slots > 0 ? static_cast<std::uint32_t>(slots) : 1u);
}

std::vector<restore_target> targets_of(const execution_plan& plan) {
  std::vector<restore_target> targets;
  for (auto& v : plan.graph().vertices)
    for (auto& op : v.chain) {
      const auto& node = plan.graph().node(op);
      targets.push_back({uid_of(node, op), node.name, v.parallelism, v.max_parallelism, {}});
      if (op.parent == no_parent) targets.back().inputs = edges_into(plan.graph(), v);
    }
  return targets;
}

std::shared_ptr<const restore_point> restore_point_of(const configuration& settings, file_system& files) {
  const auto wanted = restore_settings::from(settings);
  if (wanted.path.empty()) return nullptr;
  return std::make_shared<const restore_point>(open_restore_point(files, wanted));
}

namespace {

std::vector<state_info> states_of(const operator_metadata& op) {
  std::map<std::string, state_info> all;
  for (auto& p : op.parts)
    for (auto& s : p.states)
      all.emplace(s.info.name, s.info);
  std::vector<state_info> states;
  for (auto& [name, info] : all)
    states.push_back(info);
  return states;
}

void check_types(const restore_point& from, const execution_plan& plan, const platform& world) {
  for (auto& v : plan.graph().vertices)
    for (auto& op : v.chain) {
      const auto& node = plan.graph().node(op);
      const auto* stored = from.metadata.find(uid_of(node, op));
      if (!stored || (node.kind != node_kind::one_input && node.kind != node_kind::two_input)) continue;
      const auto states = states_of(*stored);
      if (states.empty()) continue;
      subtask_info info{plan.graph().name, {}, v.name, 0, v.parallelism, v.max_parallelism, 0};
      stage_config stage;
      stage.name = node.name;
      stage.uid = stored->uid;
      stage.make = node.make_operator;
      stage.on_record_error = node.on_record_error;
      try_states(info, std::move(stage), node.kind == node_kind::two_input ? 2 : 1, states, world);
    }
}

} // namespace

void check_restore(const restore_point& from, const execution_plan& plan, const platform& world) {
  try {
    assign_state(from.metadata, from.directory, targets_of(plan), from.allow_non_restored);
    check_types(from, plan, world);
  } catch (const error& e) {
    throw e.within("the job cannot start from '" + from.directory + "'");
  }
}

} // namespace dataflow::actors
