#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/taskmanager/state_keeper.hpp>
#include <dataflow/actors/taskmanager/task_config.hpp>
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

state_keeper_actor::state_keeper_actor(caf::actor_config& config, std::shared_ptr<const void> alive,
                                       std::shared_ptr<local_state> local)
    : event_based_actor(config), alive_(std::move(alive)), local_(std::move(local)) {
  keep_exception_texts(*this);
}

caf::behavior state_keeper_actor::make_behavior() {
  return {
      [this](const write_snapshot& m) { write(m); },
      [this](read_state& m) {
        state_loaded loaded{std::move(m.task), std::move(m.disk), nullptr, {}};
        try {
          auto& access = *loaded.task.job->checkpoints;
          auto* copies = copies_of(loaded.task.job->id, access);
          const auto objects = copies ? copies->in_front_of(*access.objects) : nullptr;
          loaded.operators = read(loaded.task, loaded.disk, objects ? *objects : *access.objects);
        } catch (...) {
          loaded.failure = current_error(errc::internal).within("the task's state could not be read");
        }
        if (const auto slot = caf::actor_cast<caf::actor>(current_sender())) send(slot, std::move(loaded));
      },
      [this](const release_slot& m) { copies_.erase(m.job); },
  };
}

std::shared_ptr<const restored_operators> state_keeper_actor::read(const deploy_task& task, task_disk& disk,
                                                                   checkpoint_objects& objects) {
  auto operators = std::make_shared<restored_operators>();
  shared_files::file_map known;
  std::size_t fetched = 0; // databases
  for (auto& share : task.restore) {
    const auto open = objects.opener(share.directory);
    auto loaded = load(share, open);
    auto databases = files_of(share, open);
    for (auto& d : databases) {
      if (!disk.place.keep) {
        const bool incremental = disk.place.incremental;
        disk.place = make_place(*local_, task, state_backend::hashmap);
        disk.place.incremental = incremental;
      }
      stored_database to;
      to.store = d.store;
      to.groups = d.groups;
      to.directory = disk.place.directory + "/fetched-" + std::to_string(fetched++);
      const auto of_same_store = [&](const stored_files& other) { return other.store == d.store; };
      to.go_on = disk.place.databases && d.groups == key_groups_of(*task.job->plan, task.key.task) &&
                 std::count_if(databases.begin(), databases.end(), of_same_store) == 1;
      fetch(d, open, to.directory);
      for (auto& [name, object] : d.files)
        if (to.go_on && object.scope == object_scope::shared) known[{share.uid, d.store + "/" + name}] = object;
      loaded.states.databases.push_back(std::move(to));
    }
    keep_once(loaded.states); // the task reads it in open()
    auto& op = (*operators)[share.uid];
    op.states = std::make_shared<const operator_snapshot>(std::move(loaded.states));
    op.splits = share.splits;
    op.finished = share.finished;
    op.inputs = std::move(loaded.inputs);
  }
  if (disk.files && !task.restore.empty()) disk.files->restored(std::move(known), task.restore.front().directory);
  return operators;
}

/// Null: the job wants none, or there is no place for them.
local_copies* state_keeper_actor::copies_of(const std::string& job, const checkpoint_access& access) {
  if (!access.copies) return nullptr;
  auto& copies = copies_[job];
  try {
    if (!copies)
      copies =
          std::make_unique<local_copies>(local_->make_place(*access.copies, job + "-copies", state_backend::hashmap));
  } catch (const error& e) {
    log_warn({"state keeper", job, {}}, "no copies of checkpoints are kept: " + e.to_string());
  }
  return copies.get();
}

void state_keeper_actor::on_exit() {
  copies_.clear();
  local_.reset();
  alive_.reset();
}

void state_keeper_actor::write(const write_snapshot& m) {
  const auto id = static_cast<std::uint64_t>(m.what->barrier.value);
  if (m.what->failure) {
    send(m.job_master, checkpoint_declined{m.key, id, m.what->failure, m.what->given_up});
    return;
  }
  try {
    const auto& options = *m.what->barrier.options;
    auto* copies = options.kind == checkpoint_kind::checkpoint ? copies_of(m.job, *m.access) : nullptr;
    const auto objects = copies ? copies->in_front_of(*m.access->objects) : nullptr;
    auto part = store_subtask_state(m.what->state, objects ? *objects : *m.access->objects, options.directory, m.name,
                                    m.access->how, id, m.files.get());
    if (copies) copies->handed_in(m.key.task, options.directory, part);
    send(m.job_master,
         checkpoint_acknowledged{m.key, id, std::make_shared<const subtask_summary>(std::move(part)), m.what->at_end});
  } catch (...) {
    send(m.job_master, checkpoint_declined{m.key, id, current_error(errc::internal), false});
  }
}

} // namespace dataflow::actors
