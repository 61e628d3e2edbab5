#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/actors/network/messages.hpp>
#include <dataflow/actors/taskmanager/task_config.hpp>
#include <dataflow/graph/fingerprint.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

namespace {

bool no_restart_mends(const error& e) {
  return e.code() == errc::incompatible_state || e.code() == errc::unmatched_state || e.code() == errc::newer_format;
}

} // namespace

job_master_actor::job_master_actor(caf::actor_config& config, cluster_context context,
                                   std::shared_ptr<const job_submission> job, std::shared_ptr<job_history> history,
                                   caf::actor root, caf::actor dispatcher, caf::actor resource_manager)
    : event_based_actor(config), context_(context), job_(std::move(job)), root_(root.address()),
      dispatcher_(std::move(dispatcher)), resource_manager_(std::move(resource_manager)),
      restarts_(metrics_.cell({.job = job_->id}, "numRestarts", metric_kind::gauge, context_.world->clock->now())),
      history_(std::move(history)), children_(*this, *context_.world->clock, "job master of \"" + job_->name + "\"",
                                              control_plane_supervision(context_)) {
  keep_exception_texts(*this);
  context_.reach("job master", actor_moment::constructor);
  monitor(root);
  set_down_handler([this](caf::down_msg& m) {
    if (m.source == root_) return quit(caf::exit_reason::kill);
    context_.reach("job master", actor_moment::down_handler);
    if (!children_.child_down(m)) slots_lost({m.source}, error{errc::task_lost, "the slot that ran the task is gone"});
  });
}

std::chrono::milliseconds job_master_actor::now() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(context_.world->clock->now());
}

caf::behavior job_master_actor::make_behavior() {
  caf::message_handler of_the_job{
      [this](start_job) { start(); },
      [this](slots_granted& m) {
        slots_requested_ = false;
        if (ended_) return give_back(m.slots);
        auto next = m.slots.begin();
        for (auto& s : slots_) {
          if (s || next == m.slots.end()) continue;
          monitor(next->slot);
          s = std::move(*next++);
        }
        give_back({next, m.slots.end()});
        free_slots_ -= std::min(free_slots_, static_cast<std::uint32_t>(m.slots.size()));
        slots_changed();
        deploy_waiting();
      },
      [this](const slots_denied& m) {
        slots_requested_ = false;
        apply(execution_->job_failed_for_good(m.why));
      },
      [this](const use_resource_manager& m) {
        resource_manager_ = m.resource_manager;
        watch_slots_of(resource_manager_);
        if (!std::exchange(slots_requested_, false)) return;
        request_missing_slots();
      },
      [this](const task_manager_lost& m) {
        std::vector<caf::actor_addr> lost;
        for (auto& s : slots_)
          if (s && s->where.id == m.task_manager) lost.push_back(s->slot.address());
        slots_lost(lost, m.why);
      },
      [this](const slots_free& m) {
        free_slots_ = m.count;
        slots_changed();
      },
      [this](const look_at_slots& m) {
        if (!scaling_armed_ || scaling_armed_->count() != m.at) return;
        scaling_armed_.reset();
        look_at_scaling();
      },
      [this](const slots_awaited& m) {
        if (ended_ || !slots_requested_) return;
        log_warn({"job master", job_->id, {}}, "job \"" + job_->name + "\" waits: " + m.what);
        send(dispatcher_, job_update{job_->id, reported_, m.what});
      },
      [this](const task_deployed& m) { task_deployed_at(m); },
      [this](const task_update& m) {
        context_.reach("job master", actor_moment::handler);
        task_changed(m);
      },
      [this](const split_request& m) {
        if (!current(m.key)) return;
        const auto& t = plan_->tasks()[m.key.task];
        if (auto s = sources_.find(t.vertex); s != sources_.end()) {
          try {
            s->second.split_requested(t.subtask);
          } catch (...) {
            fail_job(current_error());
          }
        }
      },
      [this](const watermark_report& m) { watermark_reported(m); },
      [this](const announce_limits& m) { announce(m.vertex); },
      [this](result_part& m) {
        if (!current(m.key)) return;
        history_->has_results = true;
        tasks_[m.key.task].results.emplace_back(m.collector, std::move(m.bytes));
      },
      [this](const restart_due& m) {
        if (!ended_) apply(execution_->restart_due(m.region));
      },
      [this](const job_archived&) { quit(); },
      [this](const use_dispatcher& m) {
        dispatcher_ = m.dispatcher;
        send(dispatcher_, job_update{job_->id, reported_});
        if (told_) send(dispatcher_, job_ended{result_});
      },
      [this](const cancel_job&) {
        cancel_requested_ = true;
        if (execution_ && !ended_) apply(execution_->cancel());
      },
      [this](const query_job&) {
        auto promise = make_response_promise();
        const auto number = next_asked_++;
        asked_for_reports_.emplace(number, promise);
        gather([this, number](job_report r) {
          if (auto asked = asked_for_reports_.extract(number)) asked.mapped().deliver(std::move(r));
        });
        return promise;
      },
  };
  return of_the_job.or_else(checkpoint_behavior());
}

void job_master_actor::start() {
  started_ = history_->started.value_or(context_.world->clock->wall());
  try {
    build();
  } catch (...) {
    return fail_unbuilt(current_error(errc::internal));
  }
  if ((result_ = history_->result)) { // the job master before has died when all was done
    ended_ = true;
    if (checkpoint_work_ && checkpoint_work_->from_the_start) start_coordinator();
    return end_checkpoints();
  }
  set_status(job_status::created);
  if (checkpoint_work_ && checkpoint_work_->from_the_start) start_coordinator();
  if (cancel_requested_) return apply(execution_->cancel());
  watch_slots_of(resource_manager_);
  slots_changed();
  if (ended_) return;
  apply(execution_->start());
}

/// A job that cannot be planned again has nothing to run or to restart.
void job_master_actor::fail_unbuilt(error why) {
  ended_ = true;
  auto result = std::make_shared<job_result>();
  result->id = job_->id;
  result->name = job_->name;
  result->status = job_status::failed;
  result->failure = std::move(why);
  result->final_report = basic_report();
  result->final_report.status = job_status::failed;
  result_ = std::move(result);
  told_ = true;
  send(dispatcher_, job_ended{result_});
}

void job_master_actor::give_back(const std::vector<slot_offer>& slots) {
  if (slots.empty()) return;
  std::vector<std::uint64_t> ids;
  for (auto& s : slots)
    ids.push_back(s.id);
  send(resource_manager_, slots_released{job_->id, std::move(ids)});
}

void job_master_actor::build() {
  plan_ = plan_of(*job_);
  const auto c = settings_of(*job_);
  build_scaling(c);
  auto seed = c.integer("execution.random-seed");
  const auto job_seed = seed >= 0 ? static_cast<std::uint64_t>(seed) : context_.world->seed;
  build_checkpoints(c, job_seed);
  job_description description{job_->id, job_->name, plan_, task_settings_of(c, *job_->graph, job_seed),
                              checkpoint_access_};
  if (job_->origin) description.fingerprint = fingerprint(plan_->graph());
  description_ = std::make_shared<const job_description>(std::move(description));
  auto strategy = std::exchange(history_->strategy, nullptr);
  if (!strategy) strategy = make_restart_strategy(restart_settings::from(c), job_seed);
  execution_.emplace(plan_, std::move(strategy),
                     c.text("jobmanager.execution.failover-strategy") == "full" ? failover_strategy::full
                                                                                : failover_strategy::region,
                     history_->next_attempt);
  failures_ = history_->failures;
  checkpoints_ = history_->checkpoints;
  poisoned_ = poisoned_records{poisoned_record_settings::from(c)};
  tasks_.resize(plan_->tasks().size());
  slots_.resize(plan_->slots().size());
  for (auto& v : plan_->graph().vertices) {
    const auto& head = plan_->graph().head(v);
    if (!head.source) continue;
    source_coordinator::sender sender;
    sender.assign = [this, vertex = v.index](std::uint32_t subtask, source_split split) {
      auto t = plan_->task_of(vertex, subtask);
      send(tasks_[t].actor, splits_assigned{key_of(t), {std::move(split)}});
    };
    sender.no_more_splits = [this, vertex = v.index](std::uint32_t subtask) {
      auto t = plan_->task_of(vertex, subtask);
      send(tasks_[t].actor, no_more_splits{key_of(t)});
    };
    sources_.try_emplace(v.index, head.name, *head.source, v.parallelism, *context_.world, std::move(sender));
  }
}

void job_master_actor::request_missing_slots() {
  if (slots_requested_ || ended_) return;
  auto missing = static_cast<std::uint32_t>(std::count(slots_.begin(), slots_.end(), std::nullopt));
  if (missing == 0) return;
  slots_requested_ = true;
  send(resource_manager_, request_slots{job_->id, missing, caf::actor_cast<caf::actor>(this), scaling_.has_value()});
}

void job_master_actor::apply(job_actions actions) {
  std::map<caf::actor, cancel_tasks> by_manager;
  for (auto& c : actions.cancel) {
    log_info({"job master", job_->id, title(c.task)}, "switched to CANCELING");
    if (auto& slot = slots_[plan_->tasks()[c.task].slot]) {
      auto& m = by_manager[slot->task_manager];
      m.job = job_->id;
      m.keys.push_back({c.task, c.attempt});
    }
  }
  for (auto& [manager, m] : by_manager)
    send<caf::message_priority::high>(manager, std::move(m));
  for (auto& r : actions.restarts)
    delayed_send(this, r.delay, restart_due{r.region});
  set_status(execution_->status());
  restarts_->set(restarts());
  for (auto r : actions.deploy)
    deploy(r);
  if (actions.ended) end();
}

void job_master_actor::deploy(region_index r) {
  waiting_regions_.push_back(r);
  deploy_waiting();
}

/// Deploys the regions all of whose slots are there; asks for those that are missing.
void job_master_actor::deploy_waiting() {
  if (ended_) return;
  auto regions = std::move(waiting_regions_);
  waiting_regions_.clear();
  for (auto r : regions) {
    const auto& members = plan_->regions()[r];
    if (!std::all_of(members.begin(), members.end(),
                     [&](auto t) { return slots_[plan_->tasks()[t].slot].has_value(); })) {
      waiting_regions_.push_back(r);
      continue;
    }
    if (coordinated_)
      choosing_.push_back(r);
    else
      deploy_region(r, {});
    if (ended_) return;
  }
  choose_restore_point();
  if (!waiting_regions_.empty()) request_missing_slots();
}

void job_master_actor::deploy_region(region_index r, const restore_from& from) {
  const auto& members = plan_->regions()[r];
  if (execution_->status_of(members.front()) != task_status::scheduled) return; // stopped meanwhile
  if (!std::all_of(members.begin(), members.end(),
                   [&](auto t) { return slots_[plan_->tasks()[t].slot].has_value(); })) {
    waiting_regions_.push_back(r); // a slot was lost meanwhile
    return request_missing_slots();
  }
  for (auto t : members) {
    const auto attempt = execution_->attempt_of(t);
    history_->next_attempt = std::max(history_->next_attempt, attempt + 1);
    if (attempt > execution_->first_attempt())
      tell_coordinator({t, attempt - 1}, checkpoint_task_changed::change::gone);
    tasks_[t].actor = nullptr;
    tasks_[t].accumulators.clear();
    tasks_[t].last_checkpoint = 0;
    tasks_[t].awaits_last = false;
    cut_results(t, from.checkpoint);
    if (auto& alignment = source_of(t).alignment)
      alignment_[alignment->group].forget({plan_->tasks()[t].vertex, plan_->tasks()[t].subtask});
  }
  try {
    prepare_sources(r, from);
  } catch (...) {
    return fail_job(current_error());
  }
  prepare_task_managers(r);
  for (auto t : members) {
    execution_->task_changed(t, execution_->attempt_of(t), task_status::deploying, {}, now());
    log_info({"job master", job_->id, title(t)}, "switched to DEPLOYING");
    send(slot_of(t),
         deploy_task{description_, key_of(t), caf::actor_cast<caf::actor>(this), restore_of(t, from), trace_of(t)});
  }
}

/// A source all of whose readers start again gets a new enumerator, which goes on from the checkpoint, too; else the
/// splits that the readers got since go back to it.
void job_master_actor::prepare_sources(region_index r, const restore_from& from) {
  for (auto& [v, source] : sources_) {
    std::vector<std::uint32_t> readers;
    bool first = true;
    for (auto t : plan_->regions()[r]) {
      if (plan_->tasks()[t].vertex != v) continue;
      readers.push_back(plan_->tasks()[t].subtask);
      first = first && execution_->attempt_of(t) == execution_->first_attempt();
    }
    const auto parallelism = plan_->graph().vertices[v].parallelism;
    if (readers.empty()) continue;
    if (readers.size() == parallelism || (first && readers.front() == 0)) {
      const enumerator_restore* stored = nullptr;
      if (from.assignment)
        if (const auto i = from.assignment->enumerators.find(source_uid(v)); i != from.assignment->enumerators.end())
          stored = &i->second;
      if (stored)
        source.restore(*stored);
      else
        source.start();
    } else if (!first) {
      for (auto subtask : readers)
        source.reader_restarted(subtask, from.checkpoint);
    }
  }
}

/// The head's source of a task; an empty one for tasks that have none.
const source_factories& job_master_actor::source_of(task_index t) const {
  static const source_factories none;
  const auto& head = plan_->graph().head(plan_->vertex_of(t));
  return head.source ? *head.source : none;
}

void job_master_actor::watermark_reported(const watermark_report& m) {
  if (ended_ || !current(m.key)) return;
  const auto& alignment = source_of(m.key.task).alignment;
  if (!alignment) return;
  const auto& task = plan_->tasks()[m.key.task];
  alignment_[alignment->group].report({task.vertex, task.subtask}, m.watermark);
  if (announcing_.insert(task.vertex).second)
    delayed_send(this, alignment->update_interval, announce_limits{task.vertex});
}

/// Tells the readers of a source how far they may go. Those that have reported nothing yet are not told anything.
void job_master_actor::announce(vertex_index source) {
  if (ended_) return;
  const auto& alignment = *source_of(plan_->task_of(source, 0)).alignment;
  const auto& group = alignment_[alignment.group];
  const auto limit = group.limit(alignment.max_drift);
  for (std::uint32_t subtask = 0; subtask < plan_->graph().vertices[source].parallelism; ++subtask) {
    const auto t = plan_->task_of(source, subtask);
    if (group.knows({source, subtask}) && tasks_[t].actor) send(tasks_[t].actor, watermark_limit{key_of(t), limit});
  }
  delayed_send(this, alignment.update_interval, announce_limits{source});
}

void job_master_actor::task_deployed_at(const task_deployed& m) {
  if (ended_) return;
  if (!current(m.key) || execution_->status_of(m.key.task) == task_status::canceling) {
    // Stopped while it was being built: the order to cancel may have come too early.
    if (auto& slot = slots_[plan_->tasks()[m.key.task].slot])
      send<caf::message_priority::high>(slot->task_manager, cancel_tasks{job_->id, {m.key}});
    return;
  }
  tasks_[m.key.task].actor = m.task;
  connect_if_ready(plan_->tasks()[m.key.task].region);
}

/// When all tasks of a region are there, they learn of each other: consumers first, so that nobody sends to a task
/// that does not know its peers. A peer on another task manager is named by place and key: handles of actors would be
/// reached by way of this process.
void job_master_actor::connect_if_ready(region_index r) {
  const auto& members = plan_->regions()[r];
  for (auto t : members)
    if (!tasks_[t].actor || !slots_[plan_->tasks()[t].slot]) return;
  const auto where = [&](task_index t) -> const task_manager_address& { return slots_[plan_->tasks()[t].slot]->where; };
  std::vector<task_manager_address> places;
  for (auto t : members)
    if (std::count(places.begin(), places.end(), where(t)) == 0) places.push_back(where(t));
  for (auto i = members.rbegin(); i != members.rend(); ++i) {
    const auto peer = [&](task_index t, std::uint32_t gate, std::uint32_t channel) {
      const bool near = where(t).id == where(*i).id;
      return channel_peer{
          near ? tasks_[t].actor : caf::actor{}, where(t).id, key_of(t), key_of(t).attempt, gate, channel};
    };
    start_task s{key_of(*i), {}, {}, {}};
    for (auto& place : places)
      if (place.id != where(*i).id) s.places.push_back(place);
    s.outputs.resize(plan_->vertex_of(*i).outputs.size());
    for (const auto& c : plan_->outputs_of(*i))
      s.outputs[c.gate].push_back(peer(c.peer, 0, c.peer_position));
    for (const auto& c : plan_->inputs_of(*i))
      s.inputs.push_back(peer(c.peer, c.gate, c.peer_channel));
    send(tasks_[*i].actor, std::move(s));
  }
}

void job_master_actor::task_changed(const task_update& m) {
  if (ended_ || !execution_) return;
  if (m.key.attempt != execution_->attempt_of(m.key.task)) {
    if (stale_++ == 0)
      log_warn({"job master", job_->id, title(m.key.task)},
               "a report of attempt " + std::to_string(m.key.attempt) + " was refused: it is over");
    return;
  }
  const auto before = execution_->status_of(m.key.task);
  if (is_terminal(before)) return;
  log_info({"job master", job_->id, title(m.key.task)}, "switched from " + std::string{to_string(before)} + " to " +
                                                            std::string{to_string(m.status)} +
                                                            (m.failure ? ": " + m.failure.to_string() : ""));
  if (m.status == task_status::finished) {
    tasks_[m.key.task].accumulators = m.accumulators;
    tasks_[m.key.task].last_checkpoint = m.last_checkpoint;
  }
  look_for_record(m);
  if (m.status == task_status::failed)
    failures_.push_back({context_.world->clock->wall(), title(m.key.task), m.failure});
  if (m.status == task_status::failed) stop_failed(m.failure);
  doubted_ = doubted_ || m.failure.code() == errc::corrupt_state;
  auto actions = execution_->task_changed(m.key.task, m.key.attempt, m.status, m.failure, now());
  if (m.status == task_status::running) tell_coordinator(m.key, checkpoint_task_changed::change::running);
  if (m.status == task_status::failed && no_restart_mends(m.failure))
    actions.merge(execution_->job_failed_for_good(m.failure));
  if (m.status == task_status::failed || m.status == task_status::canceled)
    tell_coordinator(m.key, checkpoint_task_changed::change::gone);
  if (m.status == task_status::finished) finished_for_coordinator(m.key.task);
  if (m.status == task_status::running) {
    const auto& t = plan_->tasks()[m.key.task];
    if (auto s = sources_.find(t.vertex); s != sources_.end()) {
      try {
        s->second.reader_registered(t.subtask);
      } catch (...) {
        apply(std::move(actions));
        return fail_job(current_error());
      }
    }
  }
  apply(std::move(actions));
}

/// The restart strategy hears of all failures before the job may go on elsewhere.
void job_master_actor::slots_lost(const std::vector<caf::actor_addr>& who, const error& why) {
  bool lost = false;
  for (slot_index s = 0; s < slots_.size() && !ended_; ++s) {
    if (!slots_[s] || std::count(who.begin(), who.end(), slots_[s]->slot.address()) == 0) continue;
    slots_[s].reset();
    lost = true;
    for (auto t : plan_->slots()[s].tasks) {
      const auto status = execution_->status_of(t);
      if (status == task_status::finished) { // a word that was under way may be lost
        tasks_[t].last_checkpoint = 0;
        finished_for_coordinator(t);
      }
      if (is_terminal(status) || status == task_status::scheduled || status == task_status::created) continue;
      task_changed({key_of(t), task_status::failed, why, {}});
      if (ended_) return;
    }
  }
  if (lost) slots_changed();
  if (!waiting_regions_.empty()) request_missing_slots();
}

void job_master_actor::fail_job(const error& e) {
  failures_.push_back({context_.world->clock->wall(), {}, e});
  log_warn({"job master", job_->id, {}}, e.to_string());
  apply(execution_->job_failed(e, now()));
}

void job_master_actor::set_status(job_status s) {
  if (s == reported_ || is_terminal(s)) return; // the end is told with the result
  log_info({"job master", job_->id, {}}, "job \"" + job_->name + "\" switched from " +
                                             std::string{to_string(reported_)} + " to " + std::string{to_string(s)});
  reported_ = s;
  send(dispatcher_, job_update{job_->id, s});
}

void job_master_actor::end() {
  if (ended_) return;
  ended_ = true;
  gather([this](job_report r) { finish(std::move(r)); });
}

void job_master_actor::finish(job_report report) {
  auto result = std::make_shared<job_result>();
  result->id = job_->id;
  result->name = job_->name;
  result->status = execution_->status();
  result->restarts = restarts();
  result->duration = context_.world->clock->wall() - started_;
  if (result->status == job_status::failed) result->failure = execution_->failure();
  if (result->status == job_status::canceled)
    result->failure = error{errc::job_canceled, "job \"" + job_->name + "\" was cancelled"};
  for (auto& t : tasks_) {
    for (auto& [name, value] : t.accumulators)
      result->accumulators[name] += value;
    if (result->status == job_status::finished)
      for (auto& [collector, bytes] : t.results)
        result->collected[collector].push_back(std::move(bytes));
  }
  report.status = result->status;
  report.accumulators = result->accumulators;
  result->final_report = std::move(report);
  log_info({"job master", job_->id, {}}, "job \"" + job_->name + "\" switched from " +
                                             std::string{to_string(reported_)} + " to " +
                                             std::string{to_string(result->status)});
  std::vector<std::uint64_t> ids;
  for (auto& s : slots_) {
    if (!s) continue;
    demonitor(s->slot.address());
    send(s->slot, release_slot{job_->id});
    send(s->task_manager, release_slot{job_->id});
    ids.push_back(s->id);
  }
  send(resource_manager_, slots_released{job_->id, std::move(ids), true});
  result_ = history_->result = std::move(result);
  end_checkpoints();
}

bool job_master_actor::current(task_key key) const {
  return execution_ && key.task < tasks_.size() && execution_->attempt_of(key.task) == key.attempt;
}

caf::actor job_master_actor::slot_of(task_index t) const { return slots_[plan_->tasks()[t].slot]->slot; }

std::string job_master_actor::title(task_index t) const {
  return task_title(*plan_, t) + "#" + std::to_string(execution_->attempt_of(t));
}

void job_master_actor::on_exit() {
  answer_all();
  children_.stop_all();
  sources_.clear();
  tasks_.clear();
  slots_.clear();
  context_.release();
  dispatcher_ = nullptr;
  resource_manager_ = nullptr;
}

} // namespace dataflow::actors
