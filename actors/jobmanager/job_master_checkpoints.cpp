// What the job master has to do with checkpoints: it stands between the coordinator and tasks, and knows from where
// regions start again.
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/actors/network/job_journal.hpp>
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

} // namespace

void job_master_actor::build_checkpoints(const configuration& settings, std::uint64_t seed) {
  auto wanted = checkpoints_of(settings, plan_->graph());
  if (!wanted) return;
  const bool in_memory = wanted->directory.empty();
  if (in_memory && !history_->memory) history_->memory = std::make_shared<memory_file_system>();
  auto& files = in_memory ? *history_->memory : *context_.world->files;
  if (!history_->storage)
    history_->storage = std::make_shared<file_checkpoint_storage>(
        files, in_memory ? in_memory_root : std::string_view{wanted->directory}, job_->id, seed,
        wanted->inline_threshold, context_.world->files,
        context_.journal ? takeover::by_token : takeover::when_unlocked);
  auto work = std::make_shared<checkpoint_work>();
  work->restore = history_->stopped_at ? history_->stopped_at : job_->restore;
  work->from_the_start = wanted->periodic() || !in_memory || work->restore;
  checkpoint_access access{history_->storage, wanted->compress, wanted->incremental, work->from_the_start};
  if (settings.boolean("execution.state-recovery.from-local")) access.copies = settings.text("io.tmp.dirs");
  checkpoint_access_ = std::make_shared<const checkpoint_access>(std::move(access));
  work->plan = plan_for(*job_, *plan_, ++history_->leader);
  work->settings = *wanted;
  work->targets = targets_of(*plan_);
  work->storage = history_->storage;
  work->seed = seed;
  if (std::exchange(history_->has_results, false)) work->oldest_usable = history_->next_id;
  checkpoint_work_ = std::move(work);
  children_.on_started([this](const std::string&, const caf::actor& coordinator) { coordinator_started(coordinator); });
}

/// Not in build(): a coordinator that cannot use its storage says so at once, and then there must be a job to fail.
void job_master_actor::start_coordinator() {
  coordinated_ = true;
  auto gauge = [&](std::string_view name) {
    return metrics_.cell({.job = job_->id}, name, metric_kind::gauge, context_.world->clock->now());
  };
  checkpoint_cells_ = {gauge("numberOfCompletedCheckpoints"), gauge("numberOfFailedCheckpoints"),
                       gauge("numberOfInProgressCheckpoints"), gauge("lastCheckpointSize"),
                       gauge("lastCheckpointDuration")};
  children_.start({std::string{coordinator_name}, child_restart::transient}, [this](std::uint32_t) {
    auto actor =
        context_.own_threads
            ? spawn<checkpoint_actor, caf::detached>(context_, checkpoint_work_, caf::actor_cast<caf::actor>(this),
                                                     history_->next_id, checkpoints_)
            : spawn<checkpoint_actor>(context_, checkpoint_work_, caf::actor_cast<caf::actor>(this), history_->next_id,
                                      checkpoints_);
    context_.announce(coordinator_name, actor);
    return actor;
  });
}

/// The checkpoints are removed, or left in order, before anybody hears that the job has ended, and when its result is
/// kept where the next job master finds it, and the next leader: with neither of them that one would run the job once
/// more. A result that cannot be stored leaves the checkpoints to the next leader.
void job_master_actor::end_checkpoints() {
  auto tell = [this] {
    told_ = true;
    send(dispatcher_, job_ended{result_});
    answer_stop();
  };
  const auto c = coordinator();
  if (!c) return tell();
  try {
    if (context_.journal) context_.journal->ended(*result_);
  } catch (const error& e) {
    log_error({"job master", job_->id, {}}, "the job's result is not stored: " + e.to_string());
    return tell();
  }
  request(c, std::chrono::minutes{1}, checkpoints_over{result_->status})
      .then([tell] { tell(); }, [tell](caf::error&) { tell(); });
}

caf::actor job_master_actor::coordinator() const {
  return coordinated_ ? children_.child(coordinator_name) : caf::actor{};
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
      [this](const record_skipped& m) {
        if (current(m.key)) poisoned_.skipped(m.record, history_->next_id - 1);
      },
      [this](const results_at_barrier& m) {
        if (current(m.key)) tasks_[m.key.task].results_at[m.id] = tasks_[m.key.task].results.size();
      },
      [this](const snapshot_enumerators& m) {
        enumerators_snapshotted answer{m.id, {}, {}};
        history_->next_id = std::max(history_->next_id, m.id + 1);
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
        poisoned_.checkpoint_completed(m.id);
        if (m.stop) stopping_at(m);
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
      [this](const request_checkpoint& m) { return take_checkpoint(m); },
  };
}

caf::response_promise job_master_actor::take_checkpoint(const request_checkpoint& m) {
  auto promise = make_response_promise();
  const auto refuse = [&](std::string why, std::string advice) {
    promise.deliver(to_caf(error{errc::checkpoint_failed, std::move(why), std::move(advice)}));
    return promise;
  };
  const auto named = "job \"" + job_->name + "\" ";
  if (ended_ || !execution_) return refuse(named + "has ended, or has not begun", "");
  const bool savepoint = m.what.kind == checkpoint_kind::savepoint;
  if (!checkpoint_work_) return refuse(named + "has an iteration: it makes no checkpoints and no savepoints", "");
  if (!checkpoint_work_->from_the_start && !savepoint)
    return refuse(named + "makes no checkpoints",
                  "set execution.checkpointing.interval or execution.checkpointing.dir, or ask for a savepoint");
  if (!coordinated_) start_coordinator();
  const auto c = coordinator();
  if (!c) return refuse("the checkpoint coordinator is about to start again", "ask for it again");
  const bool stops = m.what.after != after_savepoint::go_on;
  if (!stops && !m.what.cancel) {
    promise.delegate(c, m);
    return promise;
  }
  const auto number = next_asked_++;
  asked_.emplace(number, promise);
  request(c, caf::infinite, m)
      .then(
          [this, number, stops](const checkpoint_taken& taken) {
            auto answer = asked_.extract(number).mapped();
            if (!stops) {
              cancel_requested_ = true;
              if (!ended_) apply(execution_->cancel());
              return answer.deliver(taken);
            }
            stop_.promise = std::move(answer);
            stop_.taken = taken;
            if (!stop_.complete || result_) answer_stop();
          },
          [this, number](caf::error& e) { asked_.extract(number).mapped().deliver(std::move(e)); });
  return promise;
}

/// The savepoint is complete, and tasks come to their ends. What they have published is not done again: whatever
/// happens now, the job goes on from there.
void job_master_actor::stopping_at(const checkpoint_done& m) {
  history_->stopped_at = m.stop;
  auto work = std::make_shared<checkpoint_work>(*checkpoint_work_);
  work->restore = m.stop;
  checkpoint_work_ = std::move(work);
  stop_.complete = true;
  execution_->restart_as_a_whole();
}

void job_master_actor::stop_failed(const error& why) {
  if (!std::exchange(stop_.complete, false)) return;
  log_warn({"job master", job_->id, {}}, "the job could not stop at its savepoint and goes on from it: " + why.cause());
  answer_stop();
}

void job_master_actor::answer_stop() {
  if (!stop_.promise) return;
  auto promise = *std::exchange(stop_.promise, {});
  if (stop_.complete && execution_->status() == job_status::finished)
    promise.deliver(stop_.taken);
  else
    promise.deliver(to_caf(
        error{errc::checkpoint_failed,
              "the savepoint in '" + stop_.taken.path + "' is complete, but the job failed before it had stopped",
              "see the job's failures; the savepoint is good"}));
}

/// Nobody else would: the requests of an actor that dies are forgotten.
void job_master_actor::answer_all() {
  for (auto* asked : {&asked_, &asked_for_reports_}) {
    for (auto& [number, promise] : *asked)
      promise.deliver(to_caf(error{errc::component_lost, "the job master of \"" + job_->name + "\" is gone"}));
    asked->clear();
  }
  stop_.complete = false;
  answer_stop();
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
  request(c, caf::infinite, choose_restore{std::exchange(doubted_, false)})
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
