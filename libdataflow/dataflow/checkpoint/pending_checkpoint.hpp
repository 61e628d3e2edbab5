/// One checkpoint between its beginning and its end: who takes part, who has acknowledged, what goes into the metadata.
///
/// Used by the coordinator only. Threading: one thread at a time. Ownership: owns what was acknowledged.
/// Source: Flink's PendingCheckpoint and CheckpointPlan.
#pragma once

#include <dataflow/checkpoint/checkpoint_coordinator.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dataflow::detail {

enum class task_phase : std::uint8_t { unknown, running, finished, gone };
struct known_task {
  task_phase phase = task_phase::unknown;
  std::uint32_t attempt = 0;
  /// Of a running task: it has read and written everything, and waits for one more checkpoint.
  bool awaits_last = false;
  bool has_last = false; ///< and that checkpoint is complete
  bool sends() const noexcept { return phase == task_phase::running && !awaits_last; }
};

class pending_checkpoint {
public:
  using milliseconds = std::chrono::milliseconds;
  enum class phase : std::uint8_t { enumerators, triggered, writing };

  std::uint64_t id = 0;
  checkpoint_options options;
  std::optional<std::uint64_t> request; ///< who is to be answered
  milliseconds deadline{0}, triggered_wall{0};
  phase where = phase::enumerators;
  std::map<std::string, std::string> enumerators;

  bool is_savepoint() const noexcept { return options.kind == checkpoint_kind::savepoint; }
  bool stops_the_job() const noexcept { return options.after != after_savepoint::go_on; }

  /// Running tasks take part, finished ones are noted. Returns those that the barriers begin at: they run and read from
  /// nobody who still sends, or have come to their own end. REQUIRES: every task runs or has finished.
  std::vector<task_attempt> trigger(const checkpoint_plan& plan, const std::vector<known_task>& tasks);

  ack_result acknowledge(task_attempt task, subtask_summary part, bool at_end);
  /// The task takes part, at this attempt, and has not acknowledged yet.
  ack_result refusal_of(task_attempt task) const;
  bool is_complete() const noexcept { return missing_ == 0; }
  /// Of the tasks that it is the last checkpoint for.
  const std::vector<std::uint32_t>& last_for() const noexcept { return last_for_; }
  /// The task takes part, at this attempt.
  bool has(std::uint32_t task, std::uint32_t attempt) const noexcept;
  /// The task is to acknowledge and has not.
  bool waits_for(std::uint32_t task) const noexcept;
  std::uint32_t participants() const noexcept { return static_cast<std::uint32_t>(tasks_.size()); }
  std::uint32_t acknowledged() const noexcept { return participants() - missing_; }
  std::vector<task_attempt> tasks() const;
  /// A task that has not acknowledged, for messages. REQUIRES: not complete.
  std::uint32_t first_missing() const noexcept;

  checkpoint_metadata metadata(const checkpoint_plan& plan, milliseconds wall) const;
  /// Of everything acknowledged.
  std::vector<object_handle> objects() const;

private:
  struct participant {
    std::uint32_t attempt = 0;
    bool at_end = false;
    std::optional<subtask_summary> part;
  };
  std::map<std::uint32_t, participant> tasks_;
  std::vector<std::uint32_t> finished_; // tasks that were at their end when it was triggered
  std::vector<std::uint32_t> last_for_; // tasks that waited for it
  std::uint32_t missing_ = 0;
};

/// All objects that a subtask's answer names.
void append_objects(const subtask_summary& part, std::vector<object_handle>& to);

} // namespace dataflow::detail
