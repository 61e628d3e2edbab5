#include <dataflow/recovery/upgrade.hpp>

#include <utility>

namespace dataflow {

std::string_view to_string(upgrade_mode mode) noexcept {
  switch (mode) {
  case upgrade_mode::savepoint:
    return "savepoint";
  case upgrade_mode::last_state:
    return "last-state";
  case upgrade_mode::stateless:
    return "stateless";
  }
  return "unknown";
}

std::optional<upgrade_mode> parse_upgrade_mode(std::string_view text) {
  for (auto mode : {upgrade_mode::savepoint, upgrade_mode::last_state, upgrade_mode::stateless})
    if (text == to_string(mode)) return mode;
  return {};
}

upgrade::upgrade(upgrade_mode mode, const upgrade_situation& job) : mode_(mode), ended_(job.ended) {
  switch (mode) {
  case upgrade_mode::savepoint:
    if (!job.running)
      throw error{errc::invalid_argument, "the job does not run: it can take no savepoint",
                  "upgrade it with the mode last-state, from its last checkpoint"};
    return;
  case upgrade_mode::last_state:
    if (job.last_checkpoint.empty())
      throw error{errc::invalid_argument, "the job has no complete checkpoint on disk",
                  "upgrade it with the mode savepoint, or stateless if its state may be lost"};
    if (!job.kept_on_cancel)
      throw error{errc::invalid_argument, "the job's checkpoints go when it is cancelled",
                  "set execution.checkpointing.externalized-checkpoint-retention to RETAIN_ON_CANCELLATION, or upgrade "
                  "it with the mode savepoint"};
    path_ = job.last_checkpoint;
    break;
  case upgrade_mode::stateless:
    break;
  }
}

void upgrade::succeeded(std::string path) {
  switch (step_) {
  case upgrade_step::check_first:
    step_ = ended_                             ? upgrade_step::start_new
            : mode_ == upgrade_mode::savepoint ? upgrade_step::stop_with_savepoint
                                               : upgrade_step::cancel;
    return;
  case upgrade_step::stop_with_savepoint:
    path_ = std::move(path);
    step_ = upgrade_step::check_new;
    return;
  case upgrade_step::cancel:
    if (mode_ == upgrade_mode::last_state && !path.empty()) path_ = std::move(path);
    step_ = mode_ == upgrade_mode::stateless ? upgrade_step::start_new : upgrade_step::check_new;
    return;
  case upgrade_step::check_new:
    step_ = upgrade_step::start_new;
    return;
  case upgrade_step::start_new:
    outcome_ = upgrade_outcome::upgraded;
    break;
  case upgrade_step::start_old:
    outcome_ = upgrade_outcome::went_back;
    break;
  case upgrade_step::done:
    return;
  }
  step_ = upgrade_step::done;
}

void upgrade::failed(error why) {
  switch (step_) {
  case upgrade_step::check_first:
  case upgrade_step::stop_with_savepoint:
  case upgrade_step::cancel:
    outcome_ = upgrade_outcome::untouched;
    why_ = std::move(why);
    break;
  case upgrade_step::check_new:
  case upgrade_step::start_new:
    why_ = std::move(why);
    outcome_ = upgrade_outcome::untouched;
    step_ = ended_ ? upgrade_step::done : upgrade_step::start_old;
    return;
  case upgrade_step::start_old:
    outcome_ = upgrade_outcome::stranded;
    why_ = error{why_.code(), why_.cause() + "; and the job before does not start again: " + why.cause(),
                 path_.empty() ? why.advice() : "both start from '" + path_ + "'"};
    break;
  case upgrade_step::done:
    return;
  }
  step_ = upgrade_step::done;
}

void upgrade::failed_beyond_return(error why) {
  why_ = std::move(why);
  outcome_ = upgrade_outcome::stranded;
  step_ = upgrade_step::done;
}

} // namespace dataflow
