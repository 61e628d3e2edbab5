#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/taskmanager/state_keeper.hpp>
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/util/file_system.hpp>

#include <caf/all.hpp>

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
        state_loaded loaded{std::move(m.task), nullptr, {}};
        try {
          auto operators = std::make_shared<restored_operators>();
          for (auto& share : loaded.task.restore) {
            auto read = load(share, loaded.task.job->checkpoints->objects->opener(share.directory));
            auto& op = (*operators)[share.uid];
            op.states = std::make_shared<const operator_snapshot>(std::move(read.states));
            op.splits = share.splits;
            op.finished = share.finished;
          }
          loaded.operators = std::move(operators);
        } catch (...) {
          loaded.failure = current_error(errc::internal).within("the task's state could not be read");
        }
        if (const auto slot = caf::actor_cast<caf::actor>(current_sender())) send(slot, std::move(loaded));
      },
  };
}

void state_keeper_actor::write(const write_snapshot& m) {
  const auto id = static_cast<std::uint64_t>(m.what->barrier.value);
  if (m.what->failure) {
    send(m.job_master, checkpoint_declined{m.key, id, m.what->failure, m.what->given_up});
    return;
  }
  try {
    auto object = m.access->objects->create(m.what->barrier.options->directory, object_scope::exclusive, m.name);
    auto part = write_subtask_state(m.what->state, *object, m.access->how);
    send(m.job_master,
         checkpoint_acknowledged{m.key, id, std::make_shared<const subtask_summary>(std::move(part)), m.what->at_end});
  } catch (...) {
    send(m.job_master, checkpoint_declined{m.key, id, current_error(errc::internal), false});
  }
}

} // namespace dataflow::actors
