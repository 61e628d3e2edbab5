#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/network/data_links.hpp>
#include <dataflow/actors/network/job_catalogue.hpp>
#include <dataflow/actors/taskmanager/slot.hpp>
#include <dataflow/actors/taskmanager/state_keeper.hpp>
#include <dataflow/actors/taskmanager/task_config.hpp>
#include <dataflow/network/link_frames.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

namespace dataflow::actors {

void task_registry::add(const std::string& job, task_key key, entry e, steady_time now) {
  metrics_.add_task(e.scope, key.attempt, e.control->metrics, now);
  std::lock_guard lock{mutex_};
  auto& tasks = jobs_[job];
  for (auto i = tasks.begin(); i != tasks.end();) // an earlier attempt is history
    i = i->first.task == key.task ? tasks.erase(i) : std::next(i);
  tasks[key] = std::move(e);
}

void task_registry::remove_job(const std::string& job) {
  metrics_.remove_job(job);
  std::lock_guard lock{mutex_};
  jobs_.erase(job);
}

void task_registry::remove(const std::string& job, task_key key, const caf::actor_addr& task) {
  std::lock_guard lock{mutex_};
  auto j = jobs_.find(job);
  if (j == jobs_.end()) return;
  auto t = j->second.find(key);
  if (t == j->second.end() || t->second.task.address() != task) return;
  metrics_.remove_task(t->second.scope, *t->second.control->metrics);
  j->second.erase(t);
  if (j->second.empty()) jobs_.erase(j);
}

void task_registry::clear() {
  std::lock_guard lock{mutex_};
  for (auto& [job, tasks] : jobs_)
    metrics_.remove_job(job);
  jobs_.clear();
}

caf::actor task_registry::pause(const std::string& job, task_key key) {
  std::lock_guard lock{mutex_};
  auto j = jobs_.find(job);
  if (j == jobs_.end()) return {};
  auto t = j->second.find(key);
  if (t == j->second.end()) return {};
  t->second.control->pause->store(true, std::memory_order_relaxed);
  return t->second.task;
}

slot_actor::slot_actor(caf::actor_config& config, std::uint64_t id, cluster_context context,
                       std::shared_ptr<task_registry> registry, std::shared_ptr<local_state> local)
    : event_based_actor(config), id_(id), context_(context), registry_(std::move(registry)), local_(std::move(local)) {
  keep_exception_texts(*this);
  context_.reach("slot", actor_moment::constructor);
  set_down_handler([this](caf::down_msg& m) {
    context_.reach("slot", actor_moment::down_handler);
    task_down(m);
  });
}

caf::behavior slot_actor::make_behavior() {
  return {
      [this](const deploy_task& m) {
        context_.reach("slot", actor_moment::handler);
        deploy(m);
      },
      [this](state_loaded& m) {
        if (masters_.count(m.task.job_master.address()) == 0) return; // the job master is gone, or needs it no more
        if (m.failure)
          send(m.task.job_master, task_update{m.task.key, task_status::failed, std::move(m.failure), {}});
        else
          spawn_task(m.task, std::move(m.operators), std::move(m.disk));
      },
      [this](job_ready& m) {
        if (masters_.count(m.task.job_master.address()) == 0) return;
        if (m.failure)
          send(m.task.job_master, task_update{m.task.key, task_status::failed, std::move(m.failure), {}});
        else
          deploy(m.task);
      },
      [this](const write_snapshot& m) { send(state_keeper(), m); },
      [this](const release_slot& m) {
        if (state_keeper_) send(state_keeper_, m);
        if (current_sender()) kill_tasks(caf::actor_cast<caf::actor_addr>(current_sender()));
      },
  };
}

void slot_actor::deploy(const deploy_task& m) {
  if (masters_.insert(m.job_master.address()).second) monitor(m.job_master);
  if (!m.job->plan) return await_code(m);
  task_disk disk;
  try {
    if (m.job->tasks.backend == state_backend::rocksdb && has_keyed_operator(*m.job->plan, m.key.task))
      disk.place = make_place(*local_, m, state_backend::rocksdb);
  } catch (...) {
    send(m.job_master, task_update{m.key, task_status::failed, current_error(errc::internal), {}});
    return;
  }
  disk.place.incremental = m.job->checkpoints && m.job->checkpoints->incremental;
  if (m.job->checkpoints) disk.files = std::make_shared<shared_files>();
  if (m.restore.empty()) return spawn_task(m, nullptr, std::move(disk));
  send(state_keeper(), read_state{m, std::move(disk)});
}

/// The job master is in another process: the job's code is built here, too.
void slot_actor::await_code(const deploy_task& m) {
  if (!context_.jobs) {
    send(m.job_master,
         task_update{
             m.key, task_status::failed, error{errc::internal, "a task without its job's code came to a slot"}, {}});
    return;
  }
  auto weak = caf::actor_cast<caf::weak_actor_ptr>(ctrl());
  context_.jobs->when_ready(m.job->id, m.job->fingerprint,
                            [weak, m](std::shared_ptr<const job_description> job, const error& failure) {
                              const auto slot = weak.lock();
                              if (!slot) return;
                              job_ready ready{m, failure};
                              if (job) ready.task.job = std::move(job);
                              caf::anon_send(caf::actor_cast<caf::actor>(slot), std::move(ready));
                            });
}

/// Of a job that may never make a savepoint, the slot itself: a state keeper has a thread.
caf::actor slot_actor::keeper_for(const job_description& job) {
  if (!job.checkpoints) return {};
  return job.checkpoints->expected ? state_keeper() : caf::actor_cast<caf::actor>(this);
}

const caf::actor& slot_actor::state_keeper() {
  if (!state_keeper_)
    state_keeper_ = context_.own_threads
                        ? spawn<state_keeper_actor, caf::detached + caf::linked>(context_.alive, local_)
                        : spawn<state_keeper_actor, caf::linked>(context_.alive, local_);
  return state_keeper_;
}

void slot_actor::spawn_task(const deploy_task& m, std::shared_ptr<const restored_operators> restored, task_disk disk) {
  auto control = std::make_shared<task_control>();
  caf::actor task;
  try {
    task = spawn<task_actor, caf::monitored>(
        task_arguments{m.job, m.key, m.job_master, context_.world, control, context_.alive, context_.sent,
                       std::move(restored), keeper_for(*m.job), std::move(disk), m.trace, context_.links});
  } catch (...) { // an operator's or gate's constructor; it reaches the one who spawns
    send(m.job_master, task_update{m.key, task_status::failed, current_error(), {}});
    return;
  }
  const auto& plan = *m.job->plan;
  registry_->add(m.job->id, m.key, {task_scope(m.job->id, plan, m.key.task), control, task},
                 context_.world->clock->now());
  tasks_.emplace(task.address(), child{m.key, m.job->id, m.job_master, control});
  if (context_.links) context_.links->add_task(link_address(m.job->id, m.key.task, m.key.attempt), task);
  context_.announce("task", task);
  send(m.job_master, task_deployed{m.key, task});
}

void slot_actor::task_down(const caf::down_msg& m) {
  if (masters_.count(m.source) > 0) return kill_tasks(m.source);
  auto t = tasks_.find(m.source);
  if (t == tasks_.end()) return;
  auto c = std::move(t->second);
  tasks_.erase(t);
  // A task that ends in order has reported so. Whatever else ended it, the job master must know.
  auto last = c.control->status.load(std::memory_order_relaxed);
  if (is_terminal(last)) return;
  auto why = from_caf(m.reason, "the task's actor");
  if (why.code() == errc::component_lost) why = error{errc::task_lost, why.cause()};
  c.control->status.store(task_status::failed, std::memory_order_relaxed);
  send(c.job_master, task_update{c.key, task_status::failed, std::move(why), {}});
}

/// By job master, not by job: a job that begins anew under another job master may have its tasks here, too.
void slot_actor::kill_tasks(const caf::actor_addr& job_master) {
  for (auto i = tasks_.begin(); i != tasks_.end();) {
    if (i->second.job_master.address() != job_master) {
      ++i;
      continue;
    }
    log_info({"slot", i->second.job, {}}, "a task is stopped: its job master needs it no more, or is gone");
    registry_->remove(i->second.job, i->second.key, i->first);
    i->second.control->pause->store(true, std::memory_order_relaxed);
    demonitor(i->first);
    send_exit(i->first, caf::exit_reason::kill);
    i = tasks_.erase(i);
  }
  if (masters_.erase(job_master) > 0) demonitor(job_master);
}

void slot_actor::on_exit() {
  for (auto& [address, c] : tasks_) {
    c.control->pause->store(true, std::memory_order_relaxed);
    send_exit(address, caf::exit_reason::kill);
    registry_->remove(c.job, c.key, address);
  }
  tasks_.clear();
  masters_.clear();
  state_keeper_ = nullptr; // it is linked
  local_.reset();
  context_.release();
}

} // namespace dataflow::actors
