/// Who starts and stops task managers for the resource manager: processes of this machine, a command, a cluster's own
/// manager. What is to be started is decided by task_manager_pool.
///
/// A task manager is known by its resource id, which is given to it at its start and which it says when it registers
/// (taskmanager.resource-id). Threading: start(), stop() and ended() are called by one thread at a time, the others by
/// any. None of them waits for a task manager.
/// Source: Flink's ResourceManagerDriver.
#pragma once

#include <dataflow/resources/task_manager_pool.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dataflow {

class configuration;

class task_manager_provider {
public:
  struct ending {
    std::string id;
    std::string how; ///< "exit code 3: ...", for people
  };
  virtual ~task_manager_provider() = default;

  /// Begins to start one. Throws why it cannot be.
  virtual void start(const task_manager_pool::order& what) = 0;
  /// Ends one, in order or not; ended() says when it is gone, also of one that it does not know.
  virtual void stop(const std::string& id) = 0;
  /// Those that have ended since the last call, by themselves or not.
  virtual std::vector<ending> ended() = 0;
  /// The job manager listens at this port now. What was to be started before starts now.
  virtual void job_manager_listens(std::uint16_t port) = 0;
};

/// A provider and what the resource manager knows of its task managers; outlives a resource manager. One at a time
/// touches it: the next one is started when the one before is gone.
struct provided_task_managers {
  std::shared_ptr<task_manager_provider> provider;
  task_manager_pool pool;
};

/// From taskmanager.numberOfTaskSlots, slotmanager.*, resourcemanager.*. `name`: see task_manager_pool_settings.
/// Errors: invalid_option when a task manager has more slots than there may be.
task_manager_pool_settings pool_settings_of(const configuration& settings, std::string name);

} // namespace dataflow
