#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/taskmanager/state_keeper.hpp>
#include <dataflow/actors/taskmanager/task_config.hpp>
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/util/file_system.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

state_keeper_actor::state_keeper_actor(caf::actor_config& config, std::shared_ptr<const void> alive)
    : event_based_actor(config), alive_(std::move(alive)) {
  keep_exception_texts(*this);
}

caf::behavior state_keeper_actor::make_behavior() {
  return {
      [this](const write_snapshot& m) { write(m); },
      [this](read_state& m) {
        state_loaded loaded{std::move(m.task), std::move(m.disk), nullptr, {}};
        try {
          loaded.operators = read(loaded.task, loaded.disk, *m.local);
        } catch (...) {
          loaded.failure = current_error(errc::internal).within("the task's state could not be read");
        }
        if (const auto slot = caf::actor_cast<caf::actor>(current_sender())) send(slot, std::move(loaded));
      },
  };
}

std::shared_ptr<const restored_operators> state_keeper_actor::read(const deploy_task& task, task_disk& disk,
                                                                   local_state& local) {
  auto operators = std::make_shared<restored_operators>();
  shared_files::file_map known;
  std::size_t fetched = 0; // databases
  for (auto& share : task.restore) {
    const auto open = task.job->checkpoints->objects->opener(share.directory);
    auto loaded = load(share, open);
    auto databases = files_of(share, open);
    for (auto& d : databases) {
      if (!disk.place.keep) {
        const bool incremental = disk.place.incremental;
        disk.place = make_place(local, task, state_backend::hashmap);
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

void state_keeper_actor::write(const write_snapshot& m) {
  const auto id = static_cast<std::uint64_t>(m.what->barrier.value);
  if (m.what->failure) {
    send(m.job_master, checkpoint_declined{m.key, id, m.what->failure, m.what->given_up});
    return;
  }
  try {
    auto part = store_subtask_state(m.what->state, *m.access->objects, m.what->barrier.options->directory, m.name,
                                    m.access->how, id, m.files.get());
    send(m.job_master,
         checkpoint_acknowledged{m.key, id, std::make_shared<const subtask_summary>(std::move(part)), m.what->at_end});
  } catch (...) {
    send(m.job_master, checkpoint_declined{m.key, id, current_error(errc::internal), false});
  }
}

} // namespace dataflow::actors
