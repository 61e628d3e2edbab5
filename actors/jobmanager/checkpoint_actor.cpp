#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/checkpoint_actor.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

namespace {

std::vector<task_key> keys_of(const std::vector<task_attempt>& tasks) {
  std::vector<task_key> keys;
  for (auto& t : tasks)
    keys.push_back({t.task, t.attempt});
  return keys;
}

/// A disk that fails once must not make a job go back further than it has to.
template <class F>
void retry_io(F&& f) {
  for (int left = 2;; --left) {
    try {
      return f();
    } catch (const error& e) {
      if (left == 0 || e.code() != errc::io_failed) throw;
    }
  }
}

} // namespace

checkpoint_actor::checkpoint_actor(caf::actor_config& config, cluster_context context,
                                   std::shared_ptr<const checkpoint_work> work, caf::actor job_master,
                                   std::uint64_t first_id, checkpoint_statistics so_far)
    : event_based_actor(config), context_(std::move(context)), work_(std::move(work)),
      job_master_(std::move(job_master)), first_id_(first_id), store_(*work_->storage, work_->settings.num_retained),
      statistics_(std::move(so_far)), restore_(work_->restore),
      names_(work_->seed ^ hash_bytes(work_->plan.job_id.data(), work_->plan.job_id.size()) ^ first_id) {
  keep_exception_texts(*this);
  context_.reach("checkpoint coordinator", actor_moment::constructor);
}

caf::behavior checkpoint_actor::make_behavior() {
  take_over();
  return {
      [this](const checkpoint_task_changed& m) {
        if (!coordinator_) return;
        const task_attempt t{m.key.task, m.key.attempt};
        switch (m.what) {
        case checkpoint_task_changed::change::running:
          return apply(coordinator_->task_running(t, now(), wall()));
        case checkpoint_task_changed::change::awaits_last:
          return apply(coordinator_->task_awaits_last(t, now(), wall()));
        case checkpoint_task_changed::change::finished:
          return apply(coordinator_->task_finished(t, now(), wall()));
        case checkpoint_task_changed::change::gone:
          return apply(coordinator_->task_gone(t, now(), wall()));
        }
      },
      [this](enumerators_snapshotted& m) {
        if (!coordinator_) return;
        apply(m.failure ? coordinator_->enumerators_failed(m.id, m.failure, now(), wall())
                        : coordinator_->enumerators_snapshotted(m.id, std::move(m.snapshots), now(), wall()));
      },
      [this](const checkpoint_acknowledged& m) {
        context_.reach("checkpoint coordinator", actor_moment::handler);
        if (!coordinator_) return;
        acknowledged(coordinator_->acknowledge(m.id, {m.key.task, m.key.attempt}, *m.part, m.at_end, now(), wall()),
                     m.key, m.id);
      },
      [this](const checkpoint_declined& m) {
        if (!coordinator_) return;
        const auto kind = m.given_up ? checkpoint_failure::task_not_ready : checkpoint_failure::declined;
        acknowledged(coordinator_->decline(m.id, {m.key.task, m.key.attempt}, m.why, now(), wall(), kind), m.key, m.id);
      },
      [this](const checkpoint_timer& m) {
        if (armed_ && armed_->count() == m.at) armed_.reset();
        if (coordinator_) apply(coordinator_->time_passed(now(), wall()));
      },
      [this](choose_restore m) -> caf::result<restore_from> {
        if (!coordinator_) return to_caf(error{errc::checkpoint_failed, "the storage of checkpoints cannot be used"});
        try {
          return choose(m.doubted ? verification::content : verification::objects);
        } catch (...) {
          return to_caf(current_error(errc::internal));
        }
      },
      [this](const request_checkpoint& m) {
        auto promise = make_response_promise<checkpoint_taken>();
        if (!coordinator_) {
          promise.deliver(to_caf(error{errc::checkpoint_failed, "the storage of checkpoints cannot be used"}));
          return promise;
        }
        const auto request = next_request_++;
        requests_.emplace(request, promise);
        take(m.what, request);
        return promise;
      },
      [this](const checkpoints_over& m) {
        over(m.status);
        quit();
        return caf::unit;
      },
  };
}

std::chrono::milliseconds checkpoint_actor::now() const {
  return std::chrono::duration_cast<milliseconds>(context_.world->clock->now());
}

std::chrono::milliseconds checkpoint_actor::wall() const { return context_.world->clock->wall(); }

/// What an earlier job master, or an earlier coordinator, has completed.
void checkpoint_actor::take_over() {
  auto first = first_id_;
  try {
    const auto found = store_.recover(work_->plan.leader);
    for (auto& skipped : found.skipped)
      log_warn({"checkpoint coordinator", work_->plan.job_id, {}},
               "checkpoint " + std::to_string(skipped.id) + " cannot be used: " + skipped.why.to_string());
    first = std::max(first, found.next_id);
    published_ = work_->storage->published();
    if (restore_) first = std::max(first, restore_->metadata.id + 1);
    if (restore_ && restore_->claim == claim_mode::claim)
      store_.claim({restore_->metadata.id, restore_->directory,
                    std::make_shared<const checkpoint_metadata>(restore_->metadata)});
  } catch (...) {
    send(job_master_, checkpoints_failed{current_error(errc::internal), true});
    return;
  }
  coordinator_.emplace(work_->plan, work_->settings, work_->storage->directory(), first);
  apply(coordinator_->start(now(), wall()));
}

void checkpoint_actor::take(const checkpoint_request& what, std::uint64_t request) {
  if (what.kind == checkpoint_kind::checkpoint) return apply(coordinator_->request_checkpoint(request, now(), wall()));
  error failure;
  try {
    const auto& parent = what.directory.empty() ? work_->settings.savepoint_directory : what.directory;
    if (parent.empty())
      throw error{errc::invalid_option, "nobody says where the savepoint goes",
                  "name a directory, or set execution.checkpointing.savepoint-dir"};
    const auto directory = work_->storage->begin_savepoint(parent, work_->plan.job_id, names_());
    return apply(coordinator_->request_savepoint(request, directory, what.after, now(), wall()));
  } catch (...) {
    failure = current_error(errc::internal);
  }
  requests_.at(request).deliver(to_caf(failure));
  requests_.erase(request);
}

void checkpoint_actor::apply(checkpoint_actions actions) {
  const log_fields here{"checkpoint coordinator", work_->plan.job_id, {}};
  for (auto& a : actions.aborts) {
    log_info(here, "checkpoint " + std::to_string(a.id) + " was aborted: " + std::string{to_string(a.why)});
    ++statistics_.failed;
    send(job_master_, checkpoint_undone{a.id, keys_of(a.tasks)});
  }
  for (auto& d : actions.discards)
    store_.discard(d, work_->plan.leader);
  for (auto& r : actions.snapshot_enumerators) {
    try {
      if (r.options.kind == checkpoint_kind::checkpoint) work_->storage->begin(r.id);
      send(job_master_, snapshot_enumerators{r.id});
    } catch (...) {
      apply(coordinator_->enumerators_failed(r.id, current_error(errc::internal), now(), wall()));
    }
  }
  for (auto& t : actions.triggers)
    send(job_master_, begin_barriers{t.id, std::make_shared<const checkpoint_options>(t.options), keys_of(t.tasks)});
  for (auto& w : actions.writes)
    publish(w);
  for (auto& c : actions.completions)
    complete(c);
  for (auto& s : actions.skips)
    if (std::exchange(last_skip_, s.text) != s.text) log_info(here, "no checkpoint is begun: " + s.text);
  if (actions.fail_job) send(job_master_, checkpoints_failed{*actions.fail_job, false});
  arm();
  report();
  // Last: whoever has the answer finds it in the job's report.
  for (auto& a : actions.answers) {
    const auto waiting = requests_.find(a.request);
    if (waiting == requests_.end()) continue;
    if (a.failure && a.id == 0 && !a.directory.empty())
      store_.discard({0, {.directory = a.directory}, {}, true}, work_->plan.leader);
    if (a.failure)
      waiting->second.deliver(to_caf(a.failure));
    else
      waiting->second.deliver(checkpoint_taken{a.id, a.directory});
    requests_.erase(waiting);
  }
}

void checkpoint_actor::publish(const checkpoint_actions::write& w) {
  error failure;
  try {
    work_->storage->publish(w.options.directory, w.metadata);
  } catch (...) {
    failure = current_error(errc::internal);
  }
  if (failure) return apply(coordinator_->metadata_failed(w.id, failure, now(), wall()));
  if (w.options.kind == checkpoint_kind::savepoint) {
    if (w.options.after == after_savepoint::go_on)
      ++statistics_.completed;
    else
      restore_ = std::make_shared<const restore_point>(restore_point{w.options.directory, w.metadata});
  } else {
    try {
      store_.add(w.id, w.options.directory, w.metadata);
    } catch (...) { // it is complete all the same
      log_warn({"checkpoint coordinator", work_->plan.job_id, {}}, current_error().to_string());
    }
  }
  apply(coordinator_->metadata_written(w.id, now(), wall()));
}

void checkpoint_actor::complete(const checkpoint_actions::completion& c) {
  try {
    for (auto& kept : store_.retained())
      if (kept.id == c.id) note_published(*kept.metadata);
    if (c.kind == checkpoint_kind::savepoint && restore_ && restore_->metadata.id == c.id)
      note_published(restore_->metadata); // it stops the job
  } catch (...) {                         // without the note nobody may publish: a restart tries it again
    const auto why = current_error(errc::internal).within("what sinks publish could not be noted");
    send(job_master_, checkpoints_failed{why, false});
    return;
  }
  ++statistics_.completed;
  auto oldest = c.id;
  if (const auto last = store_.latest()) {
    statistics_.last_id = last->id;
    statistics_.last_path = last->directory;
    statistics_.last_bytes = last->metadata->bytes();
    statistics_.last_duration = milliseconds{last->metadata->completed_at - last->metadata->triggered_at};
    oldest = store_.retained().front().id;
  }
  send(job_master_,
       checkpoint_done{c.id, oldest, keys_of(c.tasks), c.kind == checkpoint_kind::savepoint ? restore_ : nullptr});
}

/// Before anybody hears that it is complete.
void checkpoint_actor::note_published(const checkpoint_metadata& metadata) {
  auto published = published_;
  if (metadata.id <= published_.checkpoint || !published.add(metadata)) return;
  work_->storage->note_published(published);
  published_ = std::move(published);
}

void checkpoint_actor::refuse_doubled_output(std::uint64_t usable) const {
  const auto why = published_.doubled_by(usable);
  if (!why) return;
  if (!work_->settings.allow_doubled_output) throw *why;
  log_warn({"checkpoint coordinator", work_->plan.job_id, {}},
           why->cause() + " (execution.checkpointing.allow-doubled-output)");
}

void checkpoint_actor::acknowledged(const checkpoint_coordinator::acknowledgement& a, task_key key, std::uint64_t id) {
  if (a.result != ack_result::accepted && !std::exchange(refused_logged_, true))
    log_info({"checkpoint coordinator", work_->plan.job_id, {}},
             "a word of task " + std::to_string(key.task) + "#" + std::to_string(key.attempt) + " about checkpoint " +
                 std::to_string(id) + " was refused (" + std::string{to_string(a.result)} +
                 "); further ones are refused silently");
  apply(a.actions);
}

/// The newest one that can be used; those that cannot are left behind, loudly. What the job was started from, or has
/// stopped at, is the last resort: without it the job does not start.
restore_from checkpoint_actor::choose(verification how) {
  const log_fields here{"checkpoint coordinator", work_->plan.job_id, {}};
  for (auto c = store_.latest(); c && c->id >= work_->oldest_usable; c = store_.latest()) {
    if (restore_ && restore_->metadata.id > c->id) break;
    try {
      retry_io([&] { verify_checkpoint(*work_->storage, c->directory, *c->metadata, how); });
    } catch (...) {
      const auto why = current_error();
      log_warn(here, "checkpoint " + std::to_string(c->id) + " cannot be used, the one before is: " + why.to_string());
      store_.reject(c->id, why);
      continue;
    }
    return start_from(*c, false);
  }
  if (restore_) {
    const completed_checkpoint c{restore_->metadata.id, restore_->directory,
                                 std::make_shared<const checkpoint_metadata>(restore_->metadata)};
    try {
      verify_checkpoint(*work_->storage, c.directory, *c.metadata, how);
    } catch (...) {
      throw current_error().within("'" + c.directory + "', from which the job starts, cannot be used");
    }
    return start_from(c, restore_->allow_non_restored);
  }
  refuse_doubled_output(0);
  refuse_to_forget();
  apply(coordinator_->restored(0, now(), wall()));
  return {};
}

/// A job that has completed checkpoints has state: it does not begin without it because none can be read, unless
/// somebody has said that it may go back.
void checkpoint_actor::refuse_to_forget() const {
  if (work_->settings.allow_doubled_output) return;
  const skipped_checkpoint* newest = nullptr;
  for (auto& r : store_.rejected())
    if (r.id >= work_->oldest_usable && (!newest || newest->id < r.id)) newest = &r;
  if (newest)
    throw error{errc::corrupt_state,
                "none of the job's checkpoints can be used, and it does not begin anew without its state; the last one "
                "is '" +
                    newest->directory + "': " + newest->why.cause(),
                "bring back what is missing there and start the job from it, or from a savepoint"};
}

restore_from checkpoint_actor::start_from(const completed_checkpoint& c, bool allow_non_restored) {
  const log_fields here{"checkpoint coordinator", work_->plan.job_id, {}};
  refuse_doubled_output(c.id);
  retry_io([&] { note_published(*c.metadata); });
  auto assignment = std::make_shared<const restore_assignment>(
      assign_state(*c.metadata, c.directory, work_->targets, allow_non_restored));
  log_info(here, "tasks start from " + std::string{to_string(c.metadata->kind)} + " " + std::to_string(c.id) + " in " +
                     c.directory);
  for (auto& uid : assignment->dropped)
    log_warn(here, "state of operator '" + uid + "' is dropped: the job has no such operator");
  ++statistics_.restored;
  apply(coordinator_->restored(c.id, now(), wall()));
  return {c.id, std::move(assignment)};
}

void checkpoint_actor::arm() {
  const auto at = coordinator_->next_wake_up();
  if (!at || (armed_ && *armed_ <= *at)) return;
  armed_ = at;
  delayed_send(this, std::max(milliseconds{0}, *at - now()), checkpoint_timer{at->count()});
}

void checkpoint_actor::report() {
  statistics_.in_progress = static_cast<std::uint32_t>(coordinator_->in_progress());
  send(job_master_, checkpoints_changed{statistics_});
}

/// Kept or removed, as execution.checkpointing.externalized-checkpoint-retention says.
void checkpoint_actor::over(job_status status) {
  if (!coordinator_) return;
  apply(coordinator_->stop(now(), wall()));
  try {
    store_.shut_down(status == job_status::finished ? job_end::finished
                     : status == job_status::failed ? job_end::failed
                                                    : job_end::canceled,
                     work_->settings.retention);
  } catch (...) {
    log_warn({"checkpoint coordinator", work_->plan.job_id, {}},
             "checkpoints stay behind: " + current_error().to_string());
  }
}

void checkpoint_actor::on_exit() {
  for (auto& [number, promise] : requests_)
    promise.deliver(to_caf(error{errc::checkpoint_failed, "the job's checkpoints are over"}));
  requests_.clear();
  job_master_ = nullptr;
  context_.release();
}

} // namespace dataflow::actors
