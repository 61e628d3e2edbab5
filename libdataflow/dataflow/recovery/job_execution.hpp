/// The life of one job: the states of its tasks, what a failure restarts, and how the job ends.
///
/// A pure state machine behind the job master. Events come in as calls, what is to be done comes back as actions.
/// A failure restarts its pipelined region and what depends on it, or the whole job, as the failover strategy says,
/// when the restart strategy allows; else it fails the job.
/// Threading: one thread at a time. Ownership: shares the plan, owns the strategy.
/// Units: times are milliseconds of any clock that does not go back.
/// Source: Flink's DefaultScheduler, ExecutionFailureHandler and RestartPipelinedRegionFailoverStrategy.
#pragma once

#include <dataflow/graph/execution_plan.hpp>
#include <dataflow/graph/failover_regions.hpp>
#include <dataflow/graph/job_status.hpp>
#include <dataflow/recovery/restart_strategy.hpp>
#include <dataflow/util/error.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace dataflow {

/// What the job master has to do now.
struct job_actions {
  struct cancellation {
    task_index task;
    std::uint32_t attempt;
  };
  struct restart {
    region_index region;
    std::chrono::milliseconds delay; ///< call restart_due() after it
  };
  std::vector<cancellation> cancel;
  std::vector<restart> restarts;
  std::vector<region_index> deploy; ///< all tasks of these regions, at their present attempt
  bool ended = false;               ///< status() is terminal, all tasks are
  /// What is to be done behind this.
  void merge(job_actions later);
};

class job_execution {
public:
  using milliseconds = std::chrono::milliseconds;
  /// `first_attempt`: of all tasks; larger than any that somebody else has run of this job.
  job_execution(std::shared_ptr<const execution_plan> plan, std::unique_ptr<restart_strategy> strategy,
                failover_strategy failover = failover_strategy::region, std::uint32_t first_attempt = 0);

  /// All regions are to be deployed.
  job_actions start();
  /// A task reports; reports of other attempts change nothing. `failure`: of failed.
  job_actions task_changed(task_index task, std::uint32_t attempt, task_status status, const error& failure,
                           milliseconds now);
  /// A failure that is nobody's alone (an enumerator, missing slots): every region fails.
  job_actions job_failed(const error& failure, milliseconds now);
  /// A failure that no restart can mend.
  job_actions job_failed_for_good(const error& failure);
  job_actions cancel();
  /// From now on a failure restarts the whole job.
  void restart_as_a_whole() noexcept { failover_ = failover_strategy::full; }
  job_actions restart_due(region_index region);

  /// When everything that has failed so far may run again; 0: at once.
  milliseconds restarts_at() const noexcept;
  /// For the execution that follows this one, with the failures that it has counted. REQUIRES: nothing happens here
  /// any more.
  std::unique_ptr<restart_strategy> hand_over_strategy() noexcept { return std::move(strategy_); }

  job_status status() const noexcept { return status_; }
  task_status status_of(task_index t) const noexcept { return tasks_[t].status; }
  std::uint32_t attempt_of(task_index t) const noexcept { return tasks_[t].attempt; }
  std::uint32_t first_attempt() const noexcept { return first_attempt_; }
  std::uint32_t restarts() const noexcept { return restarts_; }
  /// Why the job failed or is failing.
  const error& failure() const noexcept { return failure_; }
  const std::string& last_decision() const noexcept { return last_decision_; }

private:
  struct task {
    std::uint32_t attempt = 0;
    task_status status = task_status::created;
  };
  enum class region_state : std::uint8_t { active, stopping, waiting };
  struct region {
    region_state state = region_state::active;
    milliseconds restart_at{0};
  };
  void stop(region_index r, job_actions& actions);
  void stop_all(job_actions& actions);
  void fail(region_index r, const error& failure, milliseconds now, job_actions& actions);
  void settle(milliseconds now, job_actions& actions);
  void settle_regions(milliseconds now, job_actions& actions);

  std::shared_ptr<const execution_plan> plan_;
  std::unique_ptr<restart_strategy> strategy_;
  failover_strategy failover_;
  const std::uint32_t first_attempt_;
  std::vector<task> tasks_;
  std::vector<region> regions_;
  job_status status_ = job_status::created;
  std::uint32_t restarts_ = 0;
  error failure_;
  std::string last_decision_;
};

} // namespace dataflow
