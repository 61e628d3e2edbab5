/// How many task managers are to be started and stopped: the resource manager's mind about those that somebody starts
/// for it. Pure logic: the time is handed in, and it starts nothing itself.
///
/// A task manager is starting, registered, or stopping; it is forgotten when whoever runs it says that it has ended.
/// With `per_job`, each serves one job: the one it was started for, or the first that takes a slot of it.
/// Then a job gets all that it needs or nothing, and none overtakes another, but for those that work already.
/// Threading: not shared between threads. Units: of the clock that the caller reads.
/// Source: Flink's ActiveResourceManager, DeclarativeSlotManager, and per-job mode.
#pragma once

#include <dataflow/util/clock.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

struct task_manager_pool_settings {
  std::uint32_t slots = 1;      ///< of each task manager; at least 1
  std::uint32_t most_slots = 1; ///< of all together
  bool per_job = true;
  std::chrono::milliseconds idle_timeout{30'000};   ///< without a slot in use; then it is stopped
  std::chrono::milliseconds start_timeout{300'000}; ///< until it has registered
  std::chrono::milliseconds retry{3'000};           ///< after a failed start; twice as long after each, up to longest
  std::chrono::milliseconds longest_retry{60'000};
  std::string name = "taskmanager"; ///< begins all resource ids; nobody else uses it
};

class task_manager_pool {
public:
  /// Slots that a job still needs, beyond those that are free for it.
  struct demand {
    std::string job;
    std::uint32_t slots = 0;
  };
  struct order {
    std::string id;  ///< resource id: never used twice
    std::string job; ///< whom it will serve; empty: anybody
    std::uint32_t slots = 1;
  };
  struct decision {
    std::vector<order> start;
    std::vector<std::string> stop; ///< resource ids
  };

  explicit task_manager_pool(task_manager_pool_settings settings);

  /// What is to be done now. `missing`: of all jobs that wait, first come, first served; one entry for each job.
  /// `busy`: resource ids of those of which a slot is in use. What is in the answer counts as done.
  decision decide(const std::vector<demand>& missing, const std::set<std::string>& busy, steady_time now);

  /// Its start did not come about.
  void start_failed(const std::string& id, const std::string& why, steady_time now);
  /// It offers slots. One that nobody here knows was started in an earlier life, and is taken in. False: it was given
  /// up, and its slots are not to be used.
  bool registered(const std::string& id, steady_time now);
  /// The connection to it is gone: it is to be stopped.
  void lost(const std::string& id);
  /// Its process has ended, and how.
  void ended(const std::string& id, const std::string& how, steady_time now);
  /// The job has ended; with per_job, so have its task managers.
  void job_over(std::string_view job);
  /// Whoever counts slots has lost count: all are to register again.
  void expect_all_again(steady_time now);

  /// May this job have slots there? An empty id is of a task manager that nobody here has started: all may.
  bool serves(const std::string& id, const std::string& job) const;
  /// It serves this job and no other.
  bool belongs_to(const std::string& id, const std::string& job) const;
  /// The job has got a slot there.
  void use(const std::string& id, const std::string& job);

  /// "2 task managers are being started", and trouble(), for people; empty when there is nothing to say.
  std::string outlook(const std::string& job) const;
  /// How the last start failed, unless one has come about since, or that no more are allowed; else empty.
  std::string trouble() const;
  /// The most slots that task managers can be started for.
  std::uint32_t largest() const noexcept { return settings_.most_slots / settings_.slots * settings_.slots; }
  /// Those that have not ended.
  std::size_t size() const noexcept { return members_.size(); }

private:
  enum class phase : std::uint8_t { starting, registered, stopping };
  struct member {
    phase at = phase::starting;
    std::string job;      // that it serves; empty: anybody, or nobody yet
    steady_time since{0}; // starting: when that began; registered: idle since
    bool busy = false;
    bool told = false; // stopping: whoever runs it knows
  };
  void failed(const std::string& why, steady_time now);
  std::uint32_t starting_for(const std::string& job) const;
  const std::string& home_of(const std::string& job) const;

  const task_manager_pool_settings settings_;
  std::map<std::string, member> members_; // by resource id
  std::uint64_t next_ = 1;
  std::string failure_;
  std::chrono::milliseconds pause_{0};    // the last one; 0: none since a start came about
  std::optional<steady_time> not_before_; // the next start
  bool full_ = false;                     // the last decision wanted more than may be
};

} // namespace dataflow
