// What the job master says of its job to those who ask.
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/actors/taskmanager/task_config.hpp>
#include <dataflow/util/clock.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace dataflow::actors {

/// Asks all task managers for their metrics, then calls `then`. A task manager that does not answer is left out.
void job_master_actor::gather(std::function<void(job_report)> then) {
  auto report = std::make_shared<job_report>(basic_report());
  report->metrics = metrics_.snapshot(context_.world->clock->now());
  std::map<caf::actor_addr, caf::actor> managers;
  for (auto& s : slots_)
    if (s) managers.emplace(s->task_manager.address(), s->task_manager);
  auto open = std::make_shared<std::size_t>(managers.size());
  auto one_done = [this, report, open, then] {
    if (--*open > 0) return;
    add_unheard(report->metrics);
    then(std::move(*report));
  };
  if (managers.empty()) {
    add_unheard(report->metrics);
    return then(std::move(*report));
  }
  for (auto& [address, manager] : managers) {
    request(manager, std::chrono::seconds{5}, query_tasks{job_->id})
        .then(
            [this, report, one_done](tasks_queried& answer) {
              auto outdated = [&](const auto& g) {
                const auto& vertices = plan_->graph().vertices; // a job master before may have had more subtasks
                const auto vertex = static_cast<std::uint64_t>(g.scope.vertex);
                if (vertex >= vertices.size() ||
                    static_cast<std::uint64_t>(g.scope.subtask) >= vertices[vertex].parallelism)
                  return true;
                const auto t = plan_->task_of(static_cast<vertex_index>(g.scope.vertex),
                                              static_cast<std::uint32_t>(g.scope.subtask));
                return g.attempt != execution_->attempt_of(t);
              };
              std::erase_if(answer.metrics.groups, outdated);
              std::erase_if(answer.event_times, outdated);
              report->metrics.merge(std::move(answer.metrics));
              for (auto& t : answer.event_times)
                report->event_times.push_back(std::move(t));
              one_done();
            },
            [one_done](caf::error&) { one_done(); });
  }
}

/// Tasks that nobody has reported, because they do not run yet, have a place in the job's metrics, too.
void job_master_actor::add_unheard(metrics_snapshot& metrics) const {
  metrics_snapshot missing;
  missing.at = metrics.at;
  for (task_index t = 0; t < tasks_.size(); ++t) {
    auto scope = task_scope(job_->id, *plan_, t);
    if (!metrics.find(scope)) missing.groups.push_back({std::move(scope), execution_->attempt_of(t), metrics.at, {}});
  }
  metrics.merge(std::move(missing));
}

job_report job_master_actor::basic_report() const {
  job_report r;
  r.id = job_->id;
  r.name = job_->name;
  r.status = execution_ ? execution_->status() : job_status::initializing;
  r.started = started_;
  r.now = context_.world->clock->wall();
  if (!execution_) return r;
  r.restarts = restarts();
  r.checkpoints = checkpoints_;
  r.failures = failures_;
  for (task_index t = 0; t < tasks_.size(); ++t) {
    task_report task;
    const auto& v = plan_->vertex_of(t);
    task.name = v.name;
    task.vertex = v.index;
    task.subtask = plan_->tasks()[t].subtask;
    task.parallelism = v.parallelism;
    task.attempt = execution_->attempt_of(t);
    task.status = execution_->status_of(t);
    r.tasks.push_back(std::move(task));
  }
  return r;
}

} // namespace dataflow::actors
