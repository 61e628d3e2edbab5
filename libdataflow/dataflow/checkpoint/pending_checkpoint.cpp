#include <dataflow/checkpoint/pending_checkpoint.hpp>
#include <dataflow/record/hash.hpp>

#include <algorithm>

namespace dataflow::detail {

void append_objects(const subtask_summary& part, std::vector<object_handle>& to) {
  if (part.object.scope != object_scope::inlined) to.push_back(part.object);
  to.insert(to.end(), part.shared.begin(), part.shared.end());
}

std::vector<task_attempt> pending_checkpoint::trigger(const checkpoint_plan& plan,
                                                      const std::vector<known_task>& tasks) {
  std::vector<task_attempt> first;
  for (std::uint32_t t = 0; t < tasks.size(); ++t) {
    if (tasks[t].phase == task_phase::finished) {
      finished_.push_back(t);
      continue;
    }
    tasks_[t].attempt = tasks[t].attempt;
    if (tasks[t].awaits_last) last_for_.push_back(t);
    auto& producers = plan.tasks[t].producers;
    if (tasks[t].awaits_last ||
        std::none_of(producers.begin(), producers.end(), [&](auto p) { return tasks[p].sends(); }))
      first.push_back({t, tasks[t].attempt});
  }
  missing_ = participants();
  where = phase::triggered;
  return first;
}

ack_result pending_checkpoint::refusal_of(task_attempt task) const {
  auto i = tasks_.find(task.task);
  if (i == tasks_.end()) return ack_result::unknown_task;
  if (i->second.attempt != task.attempt) return ack_result::stale_attempt;
  return i->second.part ? ack_result::duplicate : ack_result::accepted;
}

ack_result pending_checkpoint::acknowledge(task_attempt task, subtask_summary part, bool at_end) {
  const auto result = refusal_of(task);
  if (result != ack_result::accepted) return result;
  auto& p = tasks_.at(task.task);
  p.part = std::move(part);
  p.at_end = at_end;
  --missing_;
  return result;
}

bool pending_checkpoint::has(std::uint32_t task, std::uint32_t attempt) const noexcept {
  auto i = tasks_.find(task);
  return i != tasks_.end() && i->second.attempt == attempt;
}

bool pending_checkpoint::waits_for(std::uint32_t task) const noexcept {
  auto i = tasks_.find(task);
  return i != tasks_.end() && !i->second.part;
}

std::vector<task_attempt> pending_checkpoint::tasks() const {
  std::vector<task_attempt> out;
  for (auto& [task, p] : tasks_)
    out.push_back({task, p.attempt});
  return out;
}

std::uint32_t pending_checkpoint::first_missing() const noexcept {
  return std::find_if(tasks_.begin(), tasks_.end(), [](auto& t) { return !t.second.part; })->first;
}

std::vector<object_handle> pending_checkpoint::objects() const {
  std::vector<object_handle> out;
  for (auto& [task, p] : tasks_)
    if (p.part) append_objects(*p.part, out);
  return out;
}

checkpoint_metadata pending_checkpoint::metadata(const checkpoint_plan& plan, milliseconds wall) const {
  checkpoint_metadata m;
  m.id = id;
  m.kind = options.kind;
  m.job_id = plan.job_id;
  m.job_name = plan.job_name;
  m.leader = plan.leader;
  m.triggered_at = triggered_wall.count();
  m.completed_at = wall.count();
  m.key_hash_version = key_hash_version;
  m.key_codec_version = key_codec_version;

  std::map<std::string, operator_metadata> operators;
  for (auto& task : plan.tasks)
    for (auto& part : task.operators) {
      auto& op = operators[part.uid];
      op.uid = part.uid;
      op.name = part.name;
      op.parallelism = task.parallelism;
      op.max_parallelism = task.max_parallelism;
      op.parts.resize(task.parallelism);
      if (auto i = enumerators.find(part.uid); i != enumerators.end()) op.enumerator = i->second;
    }
  for (auto t : finished_)
    for (auto& part : plan.tasks[t].operators)
      operators[part.uid].parts[plan.tasks[t].subtask].finished = true;
  for (auto& [t, participant] : tasks_) {
    auto& part = *participant.part;
    std::optional<std::uint32_t> number;
    if (part.object.size > 0) {
      number = static_cast<std::uint32_t>(m.subtasks.size());
      m.subtasks.push_back({part.object, part.shared});
    }
    for (auto& described : plan.tasks[t].operators)
      operators[described.uid].parts[plan.tasks[t].subtask].finished = participant.at_end;
    for (auto& summary : part.operators) {
      auto& to = operators[summary.uid].parts[plan.tasks[t].subtask];
      to.subtask = number;
      to.states = summary.states;
      to.splits = summary.splits;
      to.in_flight = summary.in_flight;
      m.unaligned = m.unaligned || !summary.in_flight.empty();
    }
  }
  for (auto& [uid, op] : operators)
    m.operators.push_back(std::move(op));
  return m;
}

} // namespace dataflow::detail
