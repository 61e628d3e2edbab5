/// The checkpoint coordinator of one job: begins checkpoints, gathers what tasks have stored, publishes the metadata,
/// keeps the last ones, and says from which one tasks start again.
///
/// Thin: when what happens is decided by dataflow::checkpoint_coordinator. It speaks with tasks through the job master
/// only, so that barriers, splits and attempts keep one order. Parent: the job master, which starts it again when it
/// dies; what was under way then is lost, what was complete is found in the storage. It may wait for a disk: where the
/// cluster has threads, it has one of its own.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/checkpoint/checkpoint_coordinator.hpp>
#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/completed_checkpoint_store.hpp>
#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/util/random.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <map>
#include <memory>
#include <optional>

namespace dataflow::actors {

/// What a job's checkpoints are made with; immutable but for the storage, which is safe from any thread.
struct checkpoint_work {
  checkpoint_plan plan;
  checkpoint_settings settings;
  std::vector<restore_target> targets;
  std::shared_ptr<checkpoint_storage> storage;
  std::uint64_t oldest_usable = 0; ///< checkpoints before this one are of no use
  /// What the job starts from while it has no later checkpoint of its own; null: nothing.
  std::shared_ptr<const restore_point> restore;
  bool from_the_start = true; ///< else the coordinator was started for a savepoint
  std::uint64_t seed = 0;     ///< of names of savepoints
};

class checkpoint_actor final : public caf::event_based_actor {
public:
  /// `first_id`: larger than any that tasks may have heard of. `so_far`: what the coordinator before has counted.
  checkpoint_actor(caf::actor_config& config, cluster_context context, std::shared_ptr<const checkpoint_work> work,
                   caf::actor job_master, std::uint64_t first_id, checkpoint_statistics so_far);
  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "dataflow.checkpoint-coordinator"; }

private:
  using milliseconds = std::chrono::milliseconds;
  void take_over();
  void apply(checkpoint_actions actions);
  void publish(const checkpoint_actions::write& w);
  void complete(const checkpoint_actions::completion& c);
  void note_published(const checkpoint_metadata& metadata);
  void refuse_doubled_output(std::uint64_t usable) const;
  void refuse_to_forget() const;
  void arm();
  void report();
  restore_from choose(verification how);
  restore_from start_from(const completed_checkpoint& c, bool allow_non_restored);
  void take(const checkpoint_request& what, std::uint64_t request);
  void acknowledged(const checkpoint_coordinator::acknowledgement& a, task_key key, std::uint64_t id);
  void over(job_status status);
  milliseconds now() const;
  milliseconds wall() const;

  cluster_context context_;
  const std::shared_ptr<const checkpoint_work> work_;
  caf::actor job_master_;
  const std::uint64_t first_id_;
  std::optional<checkpoint_coordinator> coordinator_;
  completed_checkpoint_store store_;
  published_output published_; ///< as noted in the storage
  std::map<std::uint64_t, caf::typed_response_promise<checkpoint_taken>> requests_;
  std::uint64_t next_request_ = 1;
  std::optional<milliseconds> armed_;
  checkpoint_statistics statistics_;
  std::shared_ptr<const restore_point> restore_;
  random_source names_; // of savepoints
  std::string last_skip_;
  bool refused_logged_ = false;
};

} // namespace dataflow::actors
