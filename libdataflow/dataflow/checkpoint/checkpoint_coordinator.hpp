/// When checkpoints begin, what belongs to them, and how they end.
///
/// A pure state machine behind the coordinator actor: no clock, no disk. Events come in as calls with the time, what is
/// to be done comes back as actions, which are to be carried out in the order of the members of checkpoint_actions.
/// The life of a checkpoint: requested -> (enumerators snapshot themselves) -> triggered -> all tasks have acknowledged
/// -> its metadata is written -> completed; or aborted at any moment before its metadata is being written.
/// Threading: one thread at a time. Units: milliseconds; `now` is of any clock that does not go back, `wall` is since
/// 1970 UTC and only stands in the metadata.
/// Source: Flink 1.20's CheckpointCoordinator, CheckpointRequestDecider, CheckpointFailureManager,
/// DefaultCheckpointPlanCalculator.
#pragma once

#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/util/error.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace dataflow {

/// A task as the coordinator knows it; its number is its position in checkpoint_plan::tasks.
struct checkpoint_task {
  struct part {
    std::string uid, name;
    bool has_enumerator = false; ///< the operator is a source
  };
  std::string name; ///< "Map (2/4)", for errors
  std::uint32_t subtask = 0, parallelism = 1, max_parallelism = 128;
  std::vector<part> operators;          ///< of its chain
  std::vector<std::uint32_t> producers; ///< tasks that it reads from, feedback edges left out
};

struct checkpoint_plan {
  std::string job_id, job_name;
  std::uint64_t leader = 0; ///< token of the present leader
  std::vector<checkpoint_task> tasks;
};

/// A task at one attempt.
struct task_attempt {
  std::uint32_t task = 0, attempt = 0;
  friend bool operator==(const task_attempt&, const task_attempt&) = default;
};

/// Why a checkpoint was not begun or not completed.
enum class checkpoint_failure : std::uint8_t {
  tasks_not_running, ///< not begun: some task does not run (yet, or any more)
  too_many_requests, ///< not begun: the queue is full
  stopping,          ///< not begun: a stop with savepoint is under way, or the job ends
  declined,          ///< a task said that it failed
  expired,           ///< not acknowledged within the timeout
  enumerator_failed, ///< a source's enumerator failed to snapshot itself
  write_failed,      ///< the metadata could not be written
  subsumed,          ///< a later one was completed first
  task_failed,       ///< a task of it died or was restarted
  task_finished,     ///< a task of it came to its end without having seen the barrier
  task_not_ready,    ///< a task could not take part yet
  shut_down,         ///< the job is at its end
  no_directory,      ///< not begun: no directory for checkpoints is configured
};
std::string_view to_string(checkpoint_failure why) noexcept;
/// Whether it counts against execution.checkpointing.tolerable-failed-checkpoints.
bool counts_as_failure(checkpoint_failure why) noexcept;

/// What the coordinator's owner has to do now, in this order.
struct checkpoint_actions {
  /// Ask every source's enumerator for a snapshot and let it assign nothing until the trigger or abort of that
  /// checkpoint; then call enumerators_snapshotted().
  struct enumerator_request {
    std::uint64_t id;
    std::vector<std::string> uids;
    checkpoint_options options;
  };
  /// Let these tasks put barriers into their outputs.
  struct trigger {
    std::uint64_t id;
    checkpoint_options options;
    std::vector<task_attempt> tasks;
  };
  /// Publish, then call metadata_written() or metadata_failed(). Must come before a restart chooses where to go on.
  struct write {
    std::uint64_t id;
    checkpoint_options options;
    checkpoint_metadata metadata;
  };
  /// Tell operators (and enumerators) that it is complete: they publish what depends on it.
  struct completion {
    std::uint64_t id;
    checkpoint_kind kind;
    after_savepoint after;
    std::vector<task_attempt> tasks;
  };
  /// Tell tasks to forget it. Enumerators may assign again.
  struct abort {
    std::uint64_t id;
    checkpoint_failure why;
    std::vector<task_attempt> tasks;
  };
  /// Objects that belong to nothing any more. Those in scope shared only if no other checkpoint names them.
  struct discard {
    std::uint64_t id;
    checkpoint_options options;
    std::vector<object_handle> objects;
    bool directory = false; ///< and the checkpoint's directory with all that is in it
  };
  /// The answer to request_savepoint() or request_checkpoint().
  struct answer {
    std::uint64_t request;
    std::uint64_t id;      ///< 0 when it was not begun
    std::string directory; ///< where it is
    after_savepoint after;
    error failure; ///< none: it is complete
  };
  /// A periodic checkpoint that was due and was not begun.
  struct skip {
    checkpoint_failure why;
    std::string text; ///< names the task
  };

  std::vector<abort> aborts;
  std::vector<discard> discards;
  std::vector<enumerator_request> snapshot_enumerators;
  std::vector<trigger> triggers;
  std::vector<write> writes;
  std::vector<completion> completions;
  std::vector<answer> answers;
  std::vector<skip> skips;
  /// More failures in a row than are tolerable, or a stop with savepoint that failed half-way: the job is to fail.
  std::optional<error> fail_job;
};

enum class ack_result : std::uint8_t {
  accepted,
  duplicate,     ///< this task has acknowledged it already
  unknown_task,  ///< the task takes no part in it
  stale_attempt, ///< of an earlier (or later) attempt of the task
  late,          ///< the checkpoint was aborted or completed
  unknown,       ///< there never was such a checkpoint
};
std::string_view to_string(ack_result result) noexcept;

/// A checkpoint in the history, for people.
struct checkpoint_record {
  enum class status : std::uint8_t { in_progress, completed, failed };
  std::uint64_t id = 0;
  checkpoint_kind kind = checkpoint_kind::checkpoint;
  barrier_alignment alignment = barrier_alignment::aligned;
  status state = status::in_progress;
  std::chrono::milliseconds triggered{0}, ended{0}; ///< as `now`
  std::uint64_t bytes = 0;
  std::uint32_t tasks = 0, acknowledged = 0;
  std::string failure;
};
std::string_view to_string(checkpoint_record::status status) noexcept;

class checkpoint_coordinator {
public:
  using milliseconds = std::chrono::milliseconds;
  /// `directory`: of the job's checkpoints (chk-N lie in it); may be empty when checkpoints are not periodic.
  /// `first_id`: the next checkpoint's; ids only grow, also over restarts of the job master.
  checkpoint_coordinator(checkpoint_plan plan, checkpoint_settings settings, std::string directory,
                         std::uint64_t first_id = 1);
  ~checkpoint_coordinator();

  // --- the job
  /// Periodic checkpoints are due from now on (an interval from the moment all tasks run).
  checkpoint_actions start(milliseconds now, milliseconds wall);
  checkpoint_actions task_running(task_attempt task, milliseconds now, milliseconds wall);
  /// The task has read everything and runs on until one more checkpoint is complete: one that begins now, and at the
  /// task itself. Begun at once, out of turn, when all running tasks wait for it.
  checkpoint_actions task_awaits_last(task_attempt task, milliseconds now, milliseconds wall);
  /// The task has read and written everything; its state at the end may be in a checkpoint that was acknowledged.
  checkpoint_actions task_finished(task_attempt task, milliseconds now, milliseconds wall);
  /// Failed, cancelled or about to be restarted: whatever waits for it is aborted. Checkpoints whose metadata is being
  /// written are not: wait until is_writing() is false before you choose what to restore.
  checkpoint_actions task_gone(task_attempt task, milliseconds now, milliseconds wall);
  /// The job starts again from checkpoint `id` (0: from nothing): failures are counted anew.
  checkpoint_actions restored(std::uint64_t id, milliseconds now, milliseconds wall);
  /// No more checkpoints; what is under way is aborted.
  checkpoint_actions stop(milliseconds now, milliseconds wall);

  // --- requests
  /// `request`: the caller's number, for the answer. `directory`: of this savepoint.
  checkpoint_actions request_savepoint(std::uint64_t request, std::string directory, after_savepoint after,
                                       milliseconds now, milliseconds wall);
  /// A checkpoint out of turn: it does not wait for the minimum pause.
  checkpoint_actions request_checkpoint(std::uint64_t request, milliseconds now, milliseconds wall);

  // --- answers
  checkpoint_actions enumerators_snapshotted(std::uint64_t id, std::map<std::string, std::string> snapshots,
                                             milliseconds now, milliseconds wall);
  checkpoint_actions enumerators_failed(std::uint64_t id, const error& why, milliseconds now, milliseconds wall);
  struct acknowledgement {
    ack_result result = ack_result::accepted;
    checkpoint_actions actions;
  };
  /// A task has stored its part. One that is refused is to be forgotten; its objects are in the discards.
  /// `at_end`: the task had read its whole input.
  acknowledgement acknowledge(std::uint64_t id, task_attempt task, subtask_summary part, bool at_end, milliseconds now,
                              milliseconds wall);
  /// A task could not do its part.
  acknowledgement decline(std::uint64_t id, task_attempt task, const error& why, milliseconds now, milliseconds wall,
                          checkpoint_failure kind = checkpoint_failure::declined);
  checkpoint_actions metadata_written(std::uint64_t id, milliseconds now, milliseconds wall);
  checkpoint_actions metadata_failed(std::uint64_t id, const error& why, milliseconds now, milliseconds wall);

  // --- time
  /// Call it when next_wake_up() has come; calling it at other times is harmless.
  checkpoint_actions time_passed(milliseconds now, milliseconds wall);
  /// When time_passed() has something to do. Ask after every call.
  std::optional<milliseconds> next_wake_up() const noexcept;

  // --- what there is
  std::size_t in_progress() const noexcept;      ///< begun and neither completed nor aborted
  bool is_writing() const noexcept;              ///< the metadata of some checkpoint is being written
  std::uint64_t last_completed() const noexcept; ///< 0: none; savepoints do not count
  std::uint64_t next_id() const noexcept;
  std::uint32_t failures_in_a_row() const noexcept;
  const checkpoint_settings& settings() const noexcept;
  /// The last ones, the oldest first.
  const std::deque<checkpoint_record>& history() const noexcept;

private:
  struct body;
  std::unique_ptr<body> body_;
};

} // namespace dataflow
