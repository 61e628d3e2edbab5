// What the job master does about records that fail a job again and again; see dataflow::poisoned_records.
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/util/log.hpp>

namespace dataflow::actors {

/// Of the tasks of a region that fail one after the other the first one counts: the others fail of it.
void job_master_actor::look_for_record(const task_update& m) {
  const auto& task = plan_->tasks()[m.key.task];
  if (is_terminal(m.status)) tasks_[m.key.task].records_read = m.records_read;
  if (m.status != task_status::failed || execution_->status_of(m.key.task) == task_status::canceling) return;
  if (poisoned_.failed(task.region, task.vertex, m.failure, m.failed_at))
    log_warn({"job master", job_->id, title(m.key.task)},
             m.failed_at->to_string() + " will be left out (execution.poisoned-record.policy)");
}

/// What a task has to do about them now that it starts again. A source's splits may go to another subtask, so that each
/// looks as far as all of them had come together. Of another task it is about what was under way to it.
source_trace job_master_actor::trace_of(task_index t) {
  source_trace trace;
  const auto& task = plan_->tasks()[t];
  trace.skip = poisoned_.to_skip(source_uid(task.vertex));
  if (!poisoned_.traces(task.region)) return trace;
  if (!sources_.contains(task.vertex))
    trace.records = 1;
  else
    for (auto other : plan_->regions()[task.region])
      if (plan_->tasks()[other].vertex == task.vertex) trace.records += tasks_[other].records_read;
  return trace;
}

} // namespace dataflow::actors
