// What the job master has to do with checkpoints: it stands between the coordinator and tasks, and knows from where
// regions start again.
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/actors/taskmanager/task_config.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

namespace {

constexpr std::string_view coordinator_name = "checkpoint coordinator";

checkpoint_plan plan_for(const job_submission& job, const execution_plan& plan, std::uint64_t leader) {
  checkpoint_plan out;
  out.job_id = job.id;
  out.job_name = job.name;
  out.leader = leader;
  for (task_index t = 0; t < plan.tasks().size(); ++t) {
    const auto& v = plan.vertex_of(t);
    checkpoint_task task;
    task.name = task_title(plan, t);
    task.subtask = plan.tasks()[t].subtask;
    task.parallelism = v.parallelism;
    task.max_parallelism = v.max_parallelism;
    for (auto& op : v.chain) {
      const auto& node = plan.graph().node(op);
      task.operators.push_back({uid_of(node, op), node.name, node.kind == node_kind::source});
    }
    for (auto& channel : plan.inputs_of(t))
      if (!channel.feedback) task.producers.push_back(channel.peer);
    out.tasks.push_back(std::move(task));
  }
  return out;
}

std::vector<restore_target> targets_of(const execution_plan& plan) {
  std::vector<restore_target> targets;
  for (auto& v : plan.graph().vertices)
    for (auto& op : v.chain) {
      const auto& node = plan.graph().node(op);
      targets.push_back({uid_of(node, op), node.name, v.parallelism, v.max_parallelism, {}});
    }
  return targets;
}

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

} // namespace

std::optional<checkpoint_settings> checkpoints_of(const configuration& settings, const job_graph& graph) {
  auto wanted = checkpoint_settings::from(settings);
  check_delivery(*graph.streams, wanted);
  if (!wanted.periodic() && wanted.directory.empty()) return {};
  for (auto& e : graph.edges)
    if (e.feedback)
      throw error{errc::invalid_graph,
                  "the job makes checkpoints and has an iteration (\"" + graph.head(graph.vertices[e.to]).name +
                      "\"): what is on its way back would be in none of them",
                  "leave execution.checkpointing.interval and execution.checkpointing.dir out, or the iteration"};
  return wanted;
}

void job_master_actor::build_checkpoints(const configuration& settings, std::uint64_t seed) {
  auto wanted = checkpoints_of(settings, plan_->graph());
  if (!wanted) return;
  const bool in_memory = wanted->directory.empty();
  if (in_memory && !home_->memory) home_->memory = std::make_shared<memory_file_system>();
  auto& files = in_memory ? *home_->memory : *context_.world->files;
  if (!home_->storage)
    home_->storage = std::make_shared<file_checkpoint_storage>(files, in_memory ? "/checkpoints" : wanted->directory,
                                                               job_->id, seed, wanted->inline_threshold);
  checkpoint_access_ = std::make_shared<const checkpoint_access>(
      checkpoint_access{home_->storage, wanted->compress, wanted->incremental});
  auto work = std::make_shared<checkpoint_work>();
  work->plan = plan_for(*job_, *plan_, ++home_->leader);
  work->settings = *wanted;
  work->targets = targets_of(*plan_);
  work->storage = home_->storage;
  if (std::exchange(home_->has_results, false)) work->oldest_usable = home_->next_id;
  checkpoint_work_ = std::move(work);
  auto gauge = [&](std::string_view name) {
    return metrics_.cell({.job = job_->id}, name, metric_kind::gauge, context_.world->clock->now());
  };
  checkpoint_cells_ = {gauge("numberOfCompletedCheckpoints"), gauge("numberOfFailedCheckpoints"),
                       gauge("numberOfInProgressCheckpoints"), gauge("lastCheckpointSize"),
                       gauge("lastCheckpointDuration")};
  children_.on_started([this](const std::string&, const caf::actor& coordinator) { coordinator_started(coordinator); });
}

/// Not in build(): a coordinator that cannot use its storage says so at once, and then there must be a job to fail.
void job_master_actor::start_coordinator() {
  if (!checkpoint_work_) return;
  children_.start({std::string{coordinator_name}, child_restart::transient}, [this](std::uint32_t) {
    auto actor = context_.own_threads
                     ? spawn<checkpoint_actor, caf::detached>(
                           context_, checkpoint_work_, caf::actor_cast<caf::actor>(this), home_->next_id, checkpoints_)
                     : spawn<checkpoint_actor>(context_, checkpoint_work_, caf::actor_cast<caf::actor>(this),
                                               home_->next_id, checkpoints_);
    context_.announce(coordinator_name, actor);
    return actor;
  });
}

caf::actor job_master_actor::coordinator() const {
  return checkpoint_work_ ? children_.child(coordinator_name) : caf::actor{};
}

/// The one before may have died: what was under way with it will never be complete.
void job_master_actor::coordinator_started(const caf::actor& who) {
  for (auto id : std::exchange(under_way_, {})) {
    release_sources();
    for (task_index t = 0; t < tasks_.size(); ++t)
      if (tasks_[t].actor) send(tasks_[t].actor, notify_checkpoint_aborted{key_of(t), id});
  }
  for (task_index t = 0; t < tasks_.size(); ++t) {
    using enum checkpoint_task_changed::change;
    const auto status = execution_->status_of(t);
    if (status == task_status::running || status == task_status::finished)
      send(who, checkpoint_task_changed{key_of(t), running}); // only what has run can finish
    if (status == task_status::finished) send(who, checkpoint_task_changed{key_of(t), finished});
    if (status == task_status::running && tasks_[t].awaits_last)
      send(who, checkpoint_task_changed{key_of(t), awaits_last});
  }
  choosing_asked_ = false;
  choose_restore_point();
}

void job_master_actor::tell_coordinator(task_key key, checkpoint_task_changed::change what) {
  if (auto c = coordinator()) send(c, checkpoint_task_changed{key, what});
}

/// For the coordinator a task has finished, or waits for its last checkpoint, when its last word about those before is
/// there, too.
void job_master_actor::finished_for_coordinator(task_index t) {
  auto& task = tasks_[t];
  if (task.last_word < task.last_checkpoint) return;
  if (execution_->status_of(t) == task_status::finished)
    tell_coordinator(key_of(t), checkpoint_task_changed::change::finished);
  else if (task.awaits_last)
    tell_coordinator(key_of(t), checkpoint_task_changed::change::awaits_last);
}

template <class Word>
void job_master_actor::pass_word(const Word& m) {
  if (auto c = coordinator()) send(c, m);
  if (!current(m.key)) return;
  auto& task = tasks_[m.key.task];
  task.last_word = std::max(task.last_word, m.id);
  finished_for_coordinator(m.key.task);
}

caf::message_handler job_master_actor::checkpoint_behavior() {
  return {
      [this](const checkpoint_acknowledged& m) { pass_word(m); },
      [this](const checkpoint_declined& m) { pass_word(m); },
      [this](const task_awaits_checkpoint& m) {
        if (!current(m.key) || execution_->status_of(m.key.task) != task_status::running) return;
        auto& task = tasks_[m.key.task];
        task.awaits_last = true;
        task.last_checkpoint = m.last_checkpoint;
        finished_for_coordinator(m.key.task);
      },
      [this](const results_at_barrier& m) {
        if (current(m.key)) tasks_[m.key.task].results_at[m.id] = tasks_[m.key.task].results.size();
      },
      [this](const snapshot_enumerators& m) {
        enumerators_snapshotted answer{m.id, {}, {}};
        home_->next_id = std::max(home_->next_id, m.id + 1);
        try {
          for (auto& [v, source] : sources_)
            answer.snapshots[source_uid(v)] = source.snapshot(m.id);
          under_way_.insert(m.id);
        } catch (...) {
          release_sources();
          answer.failure = current_error();
        }
        if (auto c = coordinator()) send(c, std::move(answer));
      },
      [this](const begin_barriers& m) {
        under_way_.insert(m.id);
        for (task_index t = 0; t < tasks_.size(); ++t)
          if (execution_->status_of(t) == task_status::finished) tasks_[t].results_at[m.id] = tasks_[t].results.size();
        for (auto key : m.tasks)
          if (current(key) && tasks_[key.task].actor)
            send(tasks_[key.task].actor, trigger_checkpoint{key, m.id, m.options});
        release_sources();
      },
      [this](const checkpoint_done& m) {
        under_way_.erase(m.id);
        for (auto key : m.tasks)
          if (current(key) && tasks_[key.task].actor)
            send(tasks_[key.task].actor, notify_checkpoint_complete{key, m.id});
        for (auto& t : tasks_)
          t.results_at.erase(t.results_at.begin(), t.results_at.lower_bound(m.oldest));
        try {
          for (auto& [v, source] : sources_)
            source.checkpoint_completed(m.id, m.oldest);
        } catch (...) {
          fail_job(current_error());
        }
      },
      [this](const checkpoint_undone& m) {
        under_way_.erase(m.id);
        release_sources();
        for (auto key : m.tasks)
          if (current(key) && tasks_[key.task].actor)
            send(tasks_[key.task].actor, notify_checkpoint_aborted{key, m.id});
      },
      [this](const checkpoints_changed& m) {
        checkpoints_ = m.statistics;
        checkpoint_cells_.completed->set(checkpoints_.completed);
        checkpoint_cells_.failed->set(checkpoints_.failed);
        checkpoint_cells_.in_progress->set(checkpoints_.in_progress);
        checkpoint_cells_.last_bytes->set(checkpoints_.last_bytes);
        checkpoint_cells_.last_duration->set(static_cast<std::uint64_t>(checkpoints_.last_duration.count()));
      },
      [this](const checkpoints_failed& m) {
        if (ended_) return;
        if (m.for_good)
          apply(execution_->job_failed_for_good(m.why));
        else
          fail_job(m.why);
      },
      [this](const respawn_child& m) { children_.respawn(m); },
      [this](const request_checkpoint& m) {
        auto promise = make_response_promise();
        if (auto c = coordinator())
          promise.delegate(c, m);
        else
          promise.deliver(
              to_caf(error{errc::checkpoint_failed, "job \"" + job_->name + "\" makes no checkpoints, or has ended",
                           "set execution.checkpointing.interval or execution.checkpointing.dir"}));
        return promise;
      },
  };
}

const std::string& job_master_actor::source_uid(vertex_index v) {
  auto& uid = source_uids_[v];
  if (uid.empty()) {
    const auto& vertex = plan_->graph().vertices[v];
    uid = uid_of(plan_->graph().head(vertex), vertex.chain.front());
  }
  return uid;
}

void job_master_actor::release_sources() {
  for (auto& [v, source] : sources_)
    source.release();
}

/// Regions that are about to be deployed wait until the coordinator has said from where they go on.
void job_master_actor::choose_restore_point() {
  if (choosing_.empty() || choosing_asked_ || ended_) return;
  auto c = coordinator();
  if (!c) return; // asked when it is there again
  choosing_asked_ = true;
  request(c, caf::infinite, choose_restore{})
      .then(
          [this](const restore_from& from) {
            choosing_asked_ = false;
            for (auto r : std::exchange(choosing_, {}))
              if (!ended_) deploy_region(r, from);
          },
          [this](caf::error& e) {
            choosing_asked_ = false;
            const auto why = from_caf(e, "the checkpoint coordinator");
            if (why.code() == errc::component_lost) return; // it starts again, or takes the job master with it
            choosing_.clear();
            if (!ended_) apply(execution_->job_failed_for_good(why));
          });
}

/// What was collected behind the checkpoint comes again.
void job_master_actor::cut_results(task_index t, std::uint64_t checkpoint) {
  auto& task = tasks_[t];
  const auto at = task.results_at.find(checkpoint);
  const auto kept = checkpoint == 0 || at == task.results_at.end() ? 0 : at->second;
  if (kept < task.results.size()) task.results.resize(kept);
  task.results_at.erase(task.results_at.upper_bound(checkpoint), task.results_at.end());
}

std::vector<operator_restore> job_master_actor::restore_of(task_index t, const restore_from& from) const {
  std::vector<operator_restore> shares;
  if (!from.assignment) return shares;
  for (auto& op : plan_->vertex_of(t).chain)
    if (const auto* share = from.assignment->find(uid_of(plan_->graph().node(op), op), plan_->tasks()[t].subtask))
      shares.push_back(*share);
  return shares;
}

} // namespace dataflow::actors
