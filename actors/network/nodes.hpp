/// The processes of a cluster as objects: a job manager that listens, a task manager that registers with it. Each has
/// an actor_system of its own, so several may live in one process (tests do that).
///
/// Threading: all members are safe from any thread. Ownership: destroying a node ends its actors and waits for them.
/// Errors: a job manager that cannot listen throws io_failed; a task manager that meets a job manager of another
/// version ends with incompatible_library. REQUIRES: nodes that talk to each other have different CAF node ids
/// (apps/process).
#pragma once

#include <dataflow/actors/network/job_code.hpp>
#include <dataflow/actors/network/node_ground.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/util/error.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace dataflow {
class task_manager_provider; // resources/task_manager_provider.hpp
}

namespace dataflow::actors {

class job_journal; // job_journal.hpp

class job_manager_node {
public:
  /// `own`: jobs of the program itself; `trial`: builds a submitted job's graph first, somewhere else.
  /// `journal`: of a leader, see job_journal.hpp; jobs of earlier leaders run again before anybody can connect.
  /// `provider`: starts task managers when jobs need slots; null: they are started by hand.
  explicit job_manager_node(const configuration& settings, program_jobs own = {}, job_trial trial = {},
                            std::shared_ptr<job_journal> journal = {}, const node_ground& ground = {},
                            std::shared_ptr<task_manager_provider> provider = {});
  ~job_manager_node();
  std::uint16_t port() const noexcept; ///< 0: it does not listen yet; only of a node that is stepped
  /// Its actors end; the destructor does so, too.
  void stop();
  const std::string& leader() const noexcept; ///< token
  /// True when it has ended by itself.
  bool wait_for(std::chrono::milliseconds time) const;
  /// The tree of supervisors with their history of failures.
  std::string describe_tree();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

class task_manager_node {
public:
  /// `changed`: told of each registration and of its end, on some thread; see member_settings.
  explicit task_manager_node(const configuration& settings, program_jobs own = {},
                             std::function<void(const std::string& id, const error& why)> changed = {},
                             const node_ground& ground = {});
  ~task_manager_node();
  /// Its actors end, without a word to the job manager; the destructor does so, too.
  void stop();
  /// Deregisters and ends all tasks; returns at once.
  void leave();
  /// True when it has ended, after leave() or by itself.
  bool wait_for(std::chrono::milliseconds time) const;
  /// Why it ended by itself.
  error failure() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace dataflow::actors
