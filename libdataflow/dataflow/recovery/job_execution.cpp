#include <dataflow/recovery/job_execution.hpp>

#include <algorithm>

namespace dataflow {

void job_actions::merge(job_actions later) {
  cancel.insert(cancel.end(), later.cancel.begin(), later.cancel.end());
  restarts.insert(restarts.end(), later.restarts.begin(), later.restarts.end());
  deploy.insert(deploy.end(), later.deploy.begin(), later.deploy.end());
  ended = ended || later.ended;
}

job_execution::job_execution(std::shared_ptr<const execution_plan> plan, std::unique_ptr<restart_strategy> strategy,
                             failover_strategy failover, std::uint32_t first_attempt)
    : plan_(std::move(plan)), strategy_(std::move(strategy)), failover_(failover), first_attempt_(first_attempt),
      tasks_(plan_->tasks().size(), {first_attempt, task_status::created}), regions_(plan_->regions().size()) {}

job_actions job_execution::start() {
  job_actions actions;
  for (region_index r = 0; r < regions_.size(); ++r)
    actions.deploy.push_back(r);
  for (auto& t : tasks_)
    t.status = task_status::scheduled;
  return actions;
}

job_actions job_execution::task_changed(task_index task, std::uint32_t attempt, task_status status,
                                        const error& failure, milliseconds now) {
  job_actions actions;
  auto& t = tasks_[task];
  if (attempt != t.attempt || is_terminal(t.status)) return actions;
  if (t.status == task_status::canceling && !is_terminal(status)) return actions;
  t.status = status;
  const auto r = plan_->tasks()[task].region;
  if (status == task_status::failed && regions_[r].state == region_state::active) fail(r, failure, now, actions);
  settle(now, actions);
  return actions;
}

job_actions job_execution::job_failed(const error& failure, milliseconds now) {
  job_actions actions;
  if (is_terminal(status_) || status_ == job_status::failing || status_ == job_status::cancelling) return actions;
  const auto decision = strategy_->failed(now);
  if (!decision.restart) return job_failed_for_good(failure);
  failure_ = failure;
  status_ = job_status::restarting;
  ++restarts_;
  for (region_index r = 0; r < regions_.size(); ++r) {
    if (regions_[r].state == region_state::active) stop(r, actions);
    regions_[r].restart_at = now + decision.delay;
  }
  settle(now, actions);
  return actions;
}

job_actions job_execution::job_failed_for_good(const error& failure) {
  job_actions actions;
  if (is_terminal(status_) || status_ == job_status::failing || status_ == job_status::cancelling) return actions;
  failure_ = failure;
  status_ = job_status::failing;
  stop_all(actions);
  settle(milliseconds{0}, actions);
  return actions;
}

job_actions job_execution::cancel() {
  job_actions actions;
  if (is_terminal(status_) || status_ == job_status::failing || status_ == job_status::cancelling) return actions;
  status_ = job_status::cancelling;
  stop_all(actions);
  settle(milliseconds{0}, actions);
  return actions;
}

void job_execution::fail(region_index r, const error& failure, milliseconds now, job_actions& actions) {
  if (status_ == job_status::failing || status_ == job_status::cancelling) return;
  const auto decision = strategy_->failed(now);
  failure_ = failure;
  if (!decision.restart) {
    last_decision_ = "no restart: " + strategy_->describe();
    status_ = job_status::failing;
    stop_all(actions);
    return;
  }
  last_decision_ = "restart after " + std::to_string(decision.delay.count()) + " ms: " + strategy_->describe();
  status_ = job_status::restarting;
  ++restarts_;
  for (const auto t : tasks_to_restart(*plan_, plan_->regions()[r].front(), failover_)) {
    const auto affected = plan_->tasks()[t].region;
    if (regions_[affected].state == region_state::active) stop(affected, actions);
    regions_[affected].restart_at = now + decision.delay;
  }
}

void job_execution::stop(region_index r, job_actions& actions) {
  regions_[r].state = region_state::stopping;
  for (auto t : plan_->regions()[r]) {
    auto& task = tasks_[t];
    if (is_terminal(task.status) || task.status == task_status::canceling) continue;
    if (task.status == task_status::created || task.status == task_status::scheduled) {
      task.status = task_status::canceled; // nobody has it yet
    } else {
      task.status = task_status::canceling;
      actions.cancel.push_back({t, task.attempt});
    }
  }
}

void job_execution::stop_all(job_actions& actions) {
  for (region_index r = 0; r < regions_.size(); ++r)
    stop(r, actions);
}

/// Looks what follows from the tasks' states.
void job_execution::settle(milliseconds now, job_actions& actions) {
  const auto all = [&](auto&& predicate) { return std::all_of(tasks_.begin(), tasks_.end(), predicate); };
  const bool ended = all([](const task& t) { return is_terminal(t.status); });
  switch (status_) {
  case job_status::failing:
    if (ended) status_ = job_status::failed;
    break;
  case job_status::cancelling:
    if (ended) status_ = job_status::canceled;
    break;
  case job_status::created:
  case job_status::running:
  case job_status::restarting: {
    settle_regions(now, actions);
    const bool waiting =
        std::any_of(regions_.begin(), regions_.end(), [](const region& r) { return r.state != region_state::active; });
    if (waiting) break;
    if (all([](const task& t) { return t.status == task_status::finished; }))
      status_ = job_status::finished;
    else if (all([](const task& t) { return t.status == task_status::running || t.status == task_status::finished; }))
      status_ = job_status::running;
    break;
  }
  default:
    break;
  }
  actions.ended = is_terminal(status_);
}

void job_execution::settle_regions(milliseconds now, job_actions& actions) {
  for (region_index r = 0; r < regions_.size(); ++r) {
    auto& region = regions_[r];
    if (region.state != region_state::stopping) continue;
    const auto& members = plan_->regions()[r];
    if (!std::all_of(members.begin(), members.end(), [&](task_index t) { return is_terminal(tasks_[t].status); }))
      continue;
    region.state = region_state::waiting;
    actions.restarts.push_back({r, std::max(milliseconds{0}, region.restart_at - now)});
  }
}

job_execution::milliseconds job_execution::restarts_at() const noexcept {
  milliseconds last{0};
  for (auto& r : regions_)
    if (r.state != region_state::active) last = std::max(last, r.restart_at);
  return last;
}

job_actions job_execution::restart_due(region_index r) {
  job_actions actions;
  if (regions_[r].state != region_state::waiting || status_ != job_status::restarting) return actions;
  regions_[r].state = region_state::active;
  for (auto t : plan_->regions()[r]) {
    ++tasks_[t].attempt;
    tasks_[t].status = task_status::scheduled;
  }
  actions.deploy.push_back(r);
  return actions;
}

} // namespace dataflow
