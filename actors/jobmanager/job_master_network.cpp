// What the job master has to do with task managers in other processes.
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/actors/network/messages.hpp>

#include <caf/all.hpp>

namespace dataflow::actors {

/// Task managers in other processes learn of the job before the tasks of a region: one that could not load it tries
/// again then.
void job_master_actor::prepare_task_managers(region_index r) {
  if (!job_->origin) return;
  std::set<caf::actor_addr> told;
  for (auto t : plan_->regions()[r]) {
    const auto& slot = *slots_[plan_->tasks()[t].slot];
    if (slot.where.id.empty() || !told.insert(slot.task_manager.address()).second) continue;
    prepare_job m{job_->id,
                  job_->origin,
                  job_->settings,
                  description_->tasks.seed,
                  stored_parallelism_of(*job_),
                  scaling_ ? std::optional{limit()} : std::nullopt,
                  description_->fingerprint};
    if (checkpoint_access_) {
      m.makes_checkpoints = true;
      m.expected = checkpoint_access_->expected;
      m.checkpoint_root = checkpoint_settings::from(settings_of(*job_)).directory;
    }
    send(slot.task_manager, std::move(m));
  }
}

} // namespace dataflow::actors
