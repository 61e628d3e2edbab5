// The job master of an adaptive job: at which parallelism it runs. Another one is for another job master, which the
// dispatcher starts when this one has ended: it goes on from the last checkpoint, as after a death.
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace dataflow::actors {

namespace {
constexpr std::chrono::milliseconds between_attempts{1000};
}

/// REQUIRES: the plan is the one without a limit.
void job_master_actor::build_scaling(const configuration& settings) {
  const auto wanted = adaptive_settings::from(settings);
  if (!wanted) return;
  std::map<std::string, std::uint32_t> groups;
  for (auto& slot : plan_->slots())
    ++groups[slot.slot_sharing_group];
  std::vector<std::uint32_t> sizes;
  for (auto& [name, size] : groups)
    sizes.push_back(size);
  scaling_.emplace(*wanted, std::move(sizes));
  if (limit() < scaling_->most()) plan_ = plan_of(*job_, stored_parallelism_of(*job_), limit());
}

/// The job runs with it.
std::uint32_t job_master_actor::limit() const {
  return std::min(history_->most_parallelism.value_or(scaling_->most()), scaling_->most());
}

void job_master_actor::watch_slots_of(const caf::actor& resource_manager) {
  if (scaling_ && !ended_) send(resource_manager, watch_slots{job_->id, caf::actor_cast<caf::actor>(this)});
}

void job_master_actor::slots_changed() {
  if (!scaling_ || ended_) return;
  const auto own =
      static_cast<std::uint32_t>(std::count_if(slots_.begin(), slots_.end(), [](auto& s) { return s.has_value(); }));
  if (own < slots_.size())
    scaling_->wait(now());
  else if (scaling_->waits())
    scaling_->run(limit(), now());
  scaling_->slots(own + free_slots_, now());
  look_at_scaling();
}

void job_master_actor::look_at_scaling() {
  if (!scaling_ || ended_) return;
  using enum adaptive_parallelism::decision::kind;
  auto again = scaling_->next_wake_up();
  if (const auto next = scaling_->decide(now()); next.what == give_up) {
    return apply(execution_->job_failed_for_good(
        error{errc::no_resources,
              "the job needs " + std::to_string(scaling_->slots_for(1)) + " slots at a parallelism of 1, and has got " +
                  std::to_string(free_slots_),
              "start more task managers, or raise taskmanager.numberOfTaskSlots"}));
  } else if (next.what == run) {
    if (next.limit == limit() || (!scaling_->waits() && !may_grow()))
      again.reset(); // the slots are on their way, or are of no use
    else if (const auto at = replans_at(now()); at > now())
      again = at;
    else if (scaling_->waits())
      return replan(next.limit);
    else
      return rescale(next.limit);
  }
  if (again) arm_scaling(*again);
}

/// A timer that is due before looks, too.
void job_master_actor::arm_scaling(std::chrono::milliseconds at) {
  if (scaling_armed_ && *scaling_armed_ <= at && *scaling_armed_ > now()) return;
  scaling_armed_ = at;
  delayed_send(this, std::max(std::chrono::milliseconds{0}, at - now()), look_at_slots{at.count()});
}

/// When the job may go on elsewhere: not while somebody waits for the end of this job master's work, and not before the
/// restart strategy says.
std::chrono::milliseconds job_master_actor::replans_at(std::chrono::milliseconds now) const {
  const auto s = execution_->status();
  const bool may = asked_.empty() && !stop_.promise && !stop_.complete && !cancel_requested_ && !rescaling_ &&
                   (s == job_status::created || s == job_status::running || s == job_status::restarting);
  return may ? std::max(now, execution_->restarts_at()) : now + between_attempts;
}

/// A job that makes no checkpoints, or that brings results to its client, would begin anew: it goes on as it is.
bool job_master_actor::may_grow() const {
  return checkpoint_work_ && checkpoint_work_->settings.periodic() && !history_->has_results;
}

/// To more. What was done since the last checkpoint would be done again: a new one is taken first.
void job_master_actor::rescale(std::uint32_t wanted) {
  const auto c = coordinator();
  if (!c) return arm_scaling(now() + between_attempts);
  rescaling_ = true;
  log_info({"job master", job_->id, {}},
           "job \"" + job_->name + "\" takes a checkpoint, to go on with a parallelism of " + std::to_string(wanted));
  request(c, caf::infinite, request_checkpoint{job_->id, {}})
      .then(
          [this](const checkpoint_taken&) {
            rescaling_ = false;
            if (ended_) return;
            const auto t = now();
            const auto next = scaling_->decide(t);
            if (next.what == adaptive_parallelism::decision::kind::run && next.limit != limit() && replans_at(t) <= t)
              replan(next.limit);
            else
              look_at_scaling();
          },
          [this](caf::error&) {
            rescaling_ = false;
            if (!ended_) arm_scaling(now() + between_attempts);
          });
}

void job_master_actor::replan(std::uint32_t wanted) {
  log_warn({"job master", job_->id, {}}, "job \"" + job_->name + "\" goes on with a parallelism of " +
                                             std::to_string(wanted) + " instead of " + std::to_string(limit()) + "; " +
                                             std::to_string(scaling_->most()) + " is wanted");
  // A failure from which it has not come back is counted already.
  const bool ran = execution_->status() != job_status::restarting &&
                   std::any_of(tasks_.begin(), tasks_.end(), [](auto& t) { return t.actor != nullptr; });
  history_->restarts = restarts() + (ran ? 1 : 0);
  history_->failures = failures_;
  history_->strategy = execution_->hand_over_strategy();
  history_->checkpoints = checkpoints_;
  history_->started = started_;
  history_->most_parallelism = wanted;
  history_->replans = true;
  ended_ = true;
  quit();
}

} // namespace dataflow::actors
