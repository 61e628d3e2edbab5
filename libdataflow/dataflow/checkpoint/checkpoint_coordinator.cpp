#include <dataflow/checkpoint/checkpoint_coordinator.hpp>
#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/pending_checkpoint.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace dataflow {

using detail::append_objects;
using detail::known_task;
using detail::pending_checkpoint;
using detail::task_phase;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t most_requests = 1000;
constexpr std::size_t most_records = 64;

/// A checkpoint or savepoint that somebody asked for and that has not begun.
struct request {
  std::uint64_t number;
  checkpoint_kind kind;
  std::string directory;
  after_savepoint after = after_savepoint::go_on;
};

} // namespace

struct checkpoint_coordinator::body {
  const checkpoint_plan plan;
  const checkpoint_settings settings;
  const std::string directory;
  std::uint64_t next_id;

  std::vector<known_task> tasks;
  std::vector<std::string> enumerators; // uids of sources
  std::map<std::uint64_t, pending_checkpoint> pending;
  std::deque<request> savepoints, checkpoints; // in the order in which they came; savepoints go first
  bool started = false, stopped = false, all_ran = false;
  bool stopping = false; // a savepoint that stops the job is asked for or under way
  bool periodic_due = false;
  bool last_failed = false; // a checkpoint that ended tasks waited for: the next periodic one is tried
  std::optional<milliseconds> next_periodic, last_end;
  std::uint64_t last_completed = 0;
  std::uint32_t failures = 0;
  std::deque<checkpoint_record> history;

  body(checkpoint_plan p, checkpoint_settings s, std::string d, std::uint64_t first)
      : plan(std::move(p)), settings(std::move(s)), directory(std::move(d)), next_id(first), tasks(plan.tasks.size()) {
    std::set<std::string> uids;
    for (auto& t : plan.tasks)
      for (auto& op : t.operators)
        if (op.has_enumerator) uids.insert(op.uid);
    enumerators.assign(uids.begin(), uids.end());
  }

  // --- tasks

  /// The first task that neither runs nor has finished; the text says so. Empty: all are fine.
  std::string obstacle() const {
    bool some_run = false;
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      if (tasks[t].phase == task_phase::running) some_run = true;
      if (tasks[t].phase == task_phase::unknown || tasks[t].phase == task_phase::gone)
        return "task '" + plan.tasks[t].name + "' is not running";
    }
    return some_run ? "" : "all tasks have finished";
  }

  void tasks_changed(milliseconds now) {
    const bool all_run = obstacle().empty();
    if (all_run && !all_ran && started) begin_interval(now);
    all_ran = all_run;
  }

  milliseconds period() const { return std::max(*settings.interval, settings.min_pause); }
  void begin_interval(milliseconds now) {
    if (settings.periodic()) next_periodic = now + period();
    periodic_due = false;
  }

  // --- the end of a checkpoint

  checkpoint_record* record_of(std::uint64_t id) {
    for (auto& r : history)
      if (r.id == id) return &r;
    return nullptr;
  }

  void note_end(const pending_checkpoint& p, milliseconds now, std::string failure) {
    if (auto* r = record_of(p.id)) {
      r->state = failure.empty() ? checkpoint_record::status::completed : checkpoint_record::status::failed;
      r->ended = now;
      r->acknowledged = p.acknowledged();
      r->failure = std::move(failure);
    }
  }

  error error_of(const pending_checkpoint& p, checkpoint_failure why, const std::string& text) const {
    return {errc::checkpoint_failed,
            std::string{to_string(p.options.kind)} + " " + std::to_string(p.id) +
                " failed: " + std::string{to_string(why)} + (text.empty() ? "" : ": " + text),
            p.is_savepoint() ? "ask for it again" : ""};
  }

  void abort(std::uint64_t id, checkpoint_failure why, const std::string& text, milliseconds now,
             checkpoint_actions& out) {
    auto node = pending.extract(id);
    auto& p = node.mapped();
    const auto failure = error_of(p, why, text);
    out.aborts.push_back({id, why, p.tasks()});
    out.discards.push_back({id, p.options, p.objects(), true});
    note_end(p, now, failure.cause());
    if (p.request) out.answers.push_back({*p.request, id, p.options.directory, p.options.after, failure});
    if (p.stops_the_job()) {
      stopping = false;
      // Some tasks may have passed the savepoint and stopped reading: only a restart brings them back.
      if (p.where != pending_checkpoint::phase::enumerators && why != checkpoint_failure::task_failed &&
          why != checkpoint_failure::shut_down)
        out.fail_job = failure;
      else if (settings.periodic() && started && all_ran)
        begin_interval(now);
    }
    if (counts_as_failure(why)) last_failed = true;
    if (!p.is_savepoint() && counts_as_failure(why) && id > last_completed) count_failure(failure, out);
  }

  void count_failure(const error& failure, checkpoint_actions& out) {
    if (++failures <= settings.tolerable_failures) return;
    out.fail_job = error{errc::checkpoint_failed,
                         failure.cause() + "; " + std::to_string(failures) + " in a row, and " +
                             std::to_string(settings.tolerable_failures) + " are tolerable",
                         "see the cause, or raise execution.checkpointing.tolerable-failed-checkpoints"};
    failures = 0;
  }

  template <class Which>
  void abort_if(Which&& which, checkpoint_failure why, const std::string& text, milliseconds now,
                checkpoint_actions& out) {
    std::vector<std::uint64_t> ids;
    for (auto& [id, p] : pending)
      if (p.where != pending_checkpoint::phase::writing && which(p)) ids.push_back(id);
    for (auto id : ids)
      abort(id, why, text, now, out);
  }

  // --- the beginning

  void refuse(const request& r, checkpoint_failure why, const std::string& text, checkpoint_actions& out) const {
    out.answers.push_back({r.number, 0, r.directory, r.after,
                           error{errc::checkpoint_failed,
                                 "the " + std::string{to_string(r.kind)} + " was not begun: " +
                                     std::string{to_string(why)} + (text.empty() ? "" : ": " + text),
                                 "ask for it again when the job runs"}});
  }

  void accept(request r, milliseconds now, milliseconds wall, checkpoint_actions& out) {
    auto& queue = r.kind == checkpoint_kind::savepoint ? savepoints : checkpoints;
    if (stopped) return refuse(r, checkpoint_failure::shut_down, {}, out);
    if (stopping) return refuse(r, checkpoint_failure::stopping, {}, out);
    if (r.kind == checkpoint_kind::checkpoint && directory.empty())
      return refuse(r, checkpoint_failure::no_directory, {}, out);
    if (savepoints.size() + checkpoints.size() >= most_requests)
      return refuse(r, checkpoint_failure::too_many_requests, {}, out);
    stopping = r.after != after_savepoint::go_on;
    queue.push_back(std::move(r));
    decide(now, wall, out);
  }

  /// When the minimum pause is over; empty: it is.
  std::optional<milliseconds> pause_end(milliseconds now) const {
    if (!last_end || *last_end + settings.min_pause <= now) return std::nullopt;
    return *last_end + settings.min_pause;
  }

  bool may_begin() const {
    if (stopped || pending.size() >= settings.max_concurrent) return false;
    return std::none_of(pending.begin(), pending.end(),
                        [](auto& p) { return p.second.where == pending_checkpoint::phase::enumerators; });
  }

  /// Nothing happens any more until the tasks that have come to their end have had their last checkpoint.
  bool last_one_due() const {
    if (last_failed || stopping || !pending.empty() || !settings.periodic()) return false;
    bool some_wait = false;
    for (auto& t : tasks) {
      if (t.phase != task_phase::running) continue;
      if (!t.awaits_last) return false;
      some_wait = some_wait || !t.has_last;
    }
    return some_wait;
  }

  /// Begins what is due and allowed.
  void decide(milliseconds now, milliseconds wall, checkpoint_actions& out) {
    while (may_begin()) {
      const auto why_not = obstacle();
      if (auto* queue = !savepoints.empty() ? &savepoints : !checkpoints.empty() ? &checkpoints : nullptr) {
        auto r = std::move(queue->front());
        queue->pop_front();
        if (why_not.empty()) {
          begin(r, now, wall, out);
        } else {
          if (r.after != after_savepoint::go_on) stopping = false;
          refuse(r, checkpoint_failure::tasks_not_running, why_not, out);
        }
        continue;
      }
      if (last_one_due() && why_not.empty()) {
        periodic_due = false;
        begin({0, checkpoint_kind::checkpoint, {}, after_savepoint::go_on}, now, wall, out, true);
        continue;
      }
      if (!periodic_due || stopping) return;
      if (!why_not.empty()) {
        out.skips.push_back({checkpoint_failure::tasks_not_running, why_not});
        periodic_due = false;
        return;
      }
      if (pause_end(now)) return;
      // One that had to wait for the pause shifts those after it, as a rescheduled timer does.
      periodic_due = false;
      if (settings.min_pause.count() > 0) next_periodic = now + period();
      begin({0, checkpoint_kind::checkpoint, {}, after_savepoint::go_on}, now, wall, out, true);
    }
  }

  void begin(const request& r, milliseconds now, milliseconds wall, checkpoint_actions& out, bool periodic = false) {
    const auto id = next_id++;
    auto& p = pending[id];
    p.id = id;
    if (!periodic) p.request = r.number;
    p.options.kind = r.kind;
    p.options.after = r.after;
    const bool savepoint = r.kind == checkpoint_kind::savepoint;
    p.options.directory =
        savepoint ? r.directory : join_path(directory, std::string{checkpoint_directory_prefix} + std::to_string(id));
    p.options.alignment = savepoint ? barrier_alignment::aligned : settings.alignment();
    if (p.options.alignment == barrier_alignment::aligned_first) p.options.aligned_timeout = settings.aligned_timeout;
    p.deadline = now + settings.timeout;
    p.triggered_wall = wall;
    history.push_back({id, r.kind, p.options.alignment, checkpoint_record::status::in_progress, now, {}, 0, 0, 0, {}});
    if (history.size() > most_records) history.pop_front();
    if (enumerators.empty())
      trigger(p, out);
    else
      out.snapshot_enumerators.push_back({id, enumerators, p.options});
  }

  void trigger(pending_checkpoint& p, checkpoint_actions& out) {
    p.options.triggered = p.triggered_wall;
    out.triggers.push_back({p.id, p.options, p.trigger(plan, tasks)});
    if (auto* r = record_of(p.id)) r->tasks = p.participants();
  }

  // --- answers

  void forget(const subtask_summary& part, std::uint64_t id, checkpoint_actions& out) const {
    std::vector<object_handle> objects;
    append_objects(part, objects);
    if (!objects.empty()) {
      checkpoint_options options;
      options.directory = join_path(directory, std::string{checkpoint_directory_prefix} + std::to_string(id));
      out.discards.push_back({id, std::move(options), std::move(objects), false});
    }
  }

  /// The operator of a part that the task does not run; empty: there is none.
  std::string stranger_in(std::uint32_t task, const subtask_summary& part) const {
    auto& known = plan.tasks[task].operators;
    for (auto& op : part.operators)
      if (std::none_of(known.begin(), known.end(), [&](auto& k) { return k.uid == op.uid; })) return op.uid;
    return {};
  }

  void complete(std::uint64_t id, milliseconds now, checkpoint_actions& out) {
    auto node = pending.extract(id);
    auto& p = node.mapped();
    note_end(p, now, {});
    last_end = now;
    failures = 0;
    if (p.request) out.answers.push_back({*p.request, id, p.options.directory, p.options.after, {}});
    // A savepoint that the job runs on after commits nothing and replaces no checkpoint.
    if (p.is_savepoint() && !p.stops_the_job()) return;
    if (!p.is_savepoint()) last_completed = std::max(last_completed, id);
    for (auto t : p.last_for())
      if (p.has(t, tasks[t].attempt)) tasks[t].has_last = true;
    abort_if([&](auto& other) { return other.id < id && !other.is_savepoint(); }, checkpoint_failure::subsumed,
             "checkpoint " + std::to_string(id) + " is complete", now, out);
    std::vector<task_attempt> running;
    for (std::uint32_t t = 0; t < tasks.size(); ++t)
      if (tasks[t].phase == task_phase::running) running.push_back({t, tasks[t].attempt});
    out.completions.push_back({id, p.options.kind, p.options.after, std::move(running)});
  }
};

checkpoint_coordinator::checkpoint_coordinator(checkpoint_plan plan, checkpoint_settings settings,
                                               std::string directory, std::uint64_t first_id)
    : body_(std::make_unique<body>(std::move(plan), std::move(settings), std::move(directory), first_id)) {}
checkpoint_coordinator::~checkpoint_coordinator() = default;

checkpoint_actions checkpoint_coordinator::start(milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  body_->started = true;
  body_->all_ran = false;
  body_->tasks_changed(now);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::task_running(task_attempt task, milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  auto& known = body_->tasks.at(task.task);
  if (known.phase != task_phase::unknown && task.attempt < known.attempt) return out;
  if (known.phase == task_phase::gone && task.attempt == known.attempt) return out; // it was late to say so
  if (known.phase == task_phase::running || known.phase == task_phase::finished) {
    if (task.attempt == known.attempt) return out;
    out = task_gone({task.task, known.attempt}, now, wall);
  }
  known = {task_phase::running, task.attempt};
  body_->last_failed = false;
  body_->tasks_changed(now);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::task_awaits_last(task_attempt task, milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  auto& known = body_->tasks.at(task.task);
  if (known.phase != task_phase::running || known.attempt != task.attempt || known.awaits_last) return out;
  known.awaits_last = true;
  body_->last_failed = false;
  // No barrier goes through a task that is at its end: those behind it would wait for ever.
  body_->abort_if([&](auto& p) { return p.waits_for(task.task); }, checkpoint_failure::task_finished,
                  "'" + body_->plan.tasks[task.task].name + "' came to its end before the barrier", now, out);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::task_finished(task_attempt task, milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  auto& known = body_->tasks.at(task.task);
  if (known.phase != task_phase::running || known.attempt != task.attempt) return out;
  known.phase = task_phase::finished;
  known.awaits_last = false;
  body_->abort_if([&](auto& p) { return p.waits_for(task.task); }, checkpoint_failure::task_finished,
                  "'" + body_->plan.tasks[task.task].name + "' came to its end before the barrier", now, out);
  body_->tasks_changed(now);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::task_gone(task_attempt task, milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  auto& known = body_->tasks.at(task.task);
  if (known.phase != task_phase::unknown && task.attempt < known.attempt) return out;
  known = {task_phase::gone, task.attempt};
  body_->abort_if([](auto&) { return true; }, checkpoint_failure::task_failed,
                  "'" + body_->plan.tasks[task.task].name + "'", now, out);
  body_->tasks_changed(now);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::restored(std::uint64_t id, milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  body_->abort_if([](auto&) { return true; }, checkpoint_failure::task_failed, "the job starts again", now, out);
  body_->next_id = std::max(body_->next_id, id + 1);
  body_->failures = 0;
  // One that stopped the job is complete, and yet the job goes on.
  body_->stopping = std::any_of(body_->savepoints.begin(), body_->savepoints.end(),
                                [](auto& r) { return r.after != after_savepoint::go_on; });
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::stop(milliseconds now, milliseconds) {
  checkpoint_actions out;
  body_->stopped = true;
  body_->periodic_due = false;
  body_->next_periodic.reset();
  body_->abort_if([](auto&) { return true; }, checkpoint_failure::shut_down, {}, now, out);
  for (auto* queue : {&body_->savepoints, &body_->checkpoints}) {
    for (auto& r : *queue)
      body_->refuse(r, checkpoint_failure::shut_down, {}, out);
    queue->clear();
  }
  return out;
}

checkpoint_actions checkpoint_coordinator::request_savepoint(std::uint64_t request, std::string directory,
                                                             after_savepoint after, milliseconds now,
                                                             milliseconds wall) {
  checkpoint_actions out;
  body_->accept({request, checkpoint_kind::savepoint, std::move(directory), after}, now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::request_checkpoint(std::uint64_t request, milliseconds now,
                                                              milliseconds wall) {
  checkpoint_actions out;
  body_->accept({request, checkpoint_kind::checkpoint, {}, after_savepoint::go_on}, now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::enumerators_snapshotted(std::uint64_t id,
                                                                   std::map<std::string, std::string> snapshots,
                                                                   milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  auto i = body_->pending.find(id);
  if (i == body_->pending.end() || i->second.where != pending_checkpoint::phase::enumerators) return out;
  i->second.enumerators = std::move(snapshots);
  if (const auto why_not = body_->obstacle(); !why_not.empty())
    body_->abort(id, checkpoint_failure::tasks_not_running, why_not, now, out);
  else
    body_->trigger(i->second, out);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::enumerators_failed(std::uint64_t id, const error& why, milliseconds now,
                                                              milliseconds wall) {
  checkpoint_actions out;
  auto i = body_->pending.find(id);
  if (i == body_->pending.end() || i->second.where != pending_checkpoint::phase::enumerators) return out;
  body_->abort(id, checkpoint_failure::enumerator_failed, why.cause(), now, out);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_coordinator::acknowledgement checkpoint_coordinator::acknowledge(std::uint64_t id, task_attempt task,
                                                                            subtask_summary part, bool at_end,
                                                                            milliseconds now, milliseconds wall) {
  acknowledgement ack;
  auto i = body_->pending.find(id);
  if (i == body_->pending.end()) {
    ack.result = id == 0 || id >= body_->next_id ? ack_result::unknown : ack_result::late;
    // Of a completed one, it may be an acknowledgement that came twice: its objects are in use.
    const auto* r = body_->record_of(id);
    if (r && r->state == checkpoint_record::status::failed) body_->forget(part, id, ack.actions);
    return ack;
  }
  auto& p = i->second;
  ack.result = p.refusal_of(task);
  if (ack.result != ack_result::accepted) {
    if (ack.result != ack_result::duplicate) body_->forget(part, id, ack.actions);
    return ack;
  }
  if (const auto uid = body_->stranger_in(task.task, part); !uid.empty()) {
    body_->forget(part, id, ack.actions);
    body_->abort(id, checkpoint_failure::declined,
                 "'" + body_->plan.tasks[task.task].name + "' handed in state of operator '" + uid +
                     "', which it does not run",
                 now, ack.actions);
    body_->decide(now, wall, ack.actions);
    return ack;
  }
  if (auto* r = body_->record_of(id)) {
    r->bytes += part.bytes();
    ++r->acknowledged;
  }
  p.acknowledge(task, std::move(part), at_end);
  if (p.is_complete()) {
    p.where = pending_checkpoint::phase::writing;
    ack.actions.writes.push_back({id, p.options, p.metadata(body_->plan, wall)});
  }
  return ack;
}

checkpoint_coordinator::acknowledgement checkpoint_coordinator::decline(std::uint64_t id, task_attempt task,
                                                                        const error& why, milliseconds now,
                                                                        milliseconds wall, checkpoint_failure kind) {
  acknowledgement ack;
  auto i = body_->pending.find(id);
  if (i == body_->pending.end()) {
    ack.result = id == 0 || id >= body_->next_id ? ack_result::unknown : ack_result::late;
    return ack;
  }
  ack.result = i->second.refusal_of(task);
  if (ack.result != ack_result::accepted) return ack;
  body_->abort(id, kind, "'" + body_->plan.tasks[task.task].name + "': " + why.cause(), now, ack.actions);
  body_->decide(now, wall, ack.actions);
  return ack;
}

checkpoint_actions checkpoint_coordinator::metadata_written(std::uint64_t id, milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  auto i = body_->pending.find(id);
  if (i == body_->pending.end() || i->second.where != pending_checkpoint::phase::writing) return out;
  body_->complete(id, now, out);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::metadata_failed(std::uint64_t id, const error& why, milliseconds now,
                                                           milliseconds wall) {
  checkpoint_actions out;
  auto i = body_->pending.find(id);
  if (i == body_->pending.end() || i->second.where != pending_checkpoint::phase::writing) return out;
  body_->abort(id, checkpoint_failure::write_failed, why.cause(), now, out);
  body_->decide(now, wall, out);
  return out;
}

checkpoint_actions checkpoint_coordinator::time_passed(milliseconds now, milliseconds wall) {
  checkpoint_actions out;
  std::vector<std::uint64_t> expired;
  for (auto& [id, p] : body_->pending)
    if (p.where != pending_checkpoint::phase::writing && p.deadline <= now) expired.push_back(id);
  for (auto id : expired) {
    auto& p = body_->pending.at(id);
    const auto text =
        p.where == pending_checkpoint::phase::enumerators
            ? "the enumerators have not answered"
            : "'" + body_->plan.tasks[p.first_missing()].name + "' has not acknowledged" +
                  (p.participants() - p.acknowledged() > 1
                       ? ", nor have " + std::to_string(p.participants() - p.acknowledged() - 1) + " others"
                       : "");
    body_->abort(id, checkpoint_failure::expired, text, now, out);
  }
  if (body_->next_periodic && *body_->next_periodic <= now && !body_->stopped) {
    const auto late = (now - *body_->next_periodic) / body_->period();
    *body_->next_periodic += (late + 1) * body_->period();
    body_->periodic_due = !body_->stopping;
    body_->last_failed = false;
  }
  body_->decide(now, wall, out);
  return out;
}

std::optional<milliseconds> checkpoint_coordinator::next_wake_up() const noexcept {
  auto at = body_->next_periodic;
  const auto earlier = [&](milliseconds t) {
    if (!at || t < *at) at = t;
  };
  for (auto& [id, p] : body_->pending)
    if (p.where != pending_checkpoint::phase::writing) earlier(p.deadline);
  if (body_->periodic_due && body_->last_end && body_->may_begin())
    earlier(*body_->last_end + body_->settings.min_pause);
  return at;
}

std::size_t checkpoint_coordinator::in_progress() const noexcept { return body_->pending.size(); }
bool checkpoint_coordinator::is_writing() const noexcept {
  return std::any_of(body_->pending.begin(), body_->pending.end(),
                     [](auto& p) { return p.second.where == pending_checkpoint::phase::writing; });
}
std::uint64_t checkpoint_coordinator::last_completed() const noexcept { return body_->last_completed; }
std::uint64_t checkpoint_coordinator::next_id() const noexcept { return body_->next_id; }
std::uint32_t checkpoint_coordinator::failures_in_a_row() const noexcept { return body_->failures; }
const checkpoint_settings& checkpoint_coordinator::settings() const noexcept { return body_->settings; }
const std::deque<checkpoint_record>& checkpoint_coordinator::history() const noexcept { return body_->history; }

} // namespace dataflow
