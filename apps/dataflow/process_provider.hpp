/// Task managers that the job manager has started: as processes of this program on this machine, or by a command of
/// the configuration (resourcemanager.provider).
///
/// Each start has a session of its own, so that what a command has started ends with it, and in
/// resourcemanager.provider.log-directory two files: <resource id>.log, and .out for what jobs print. Local task
/// managers end by themselves when this process dies. Threading: any thread. Ownership: destroying it ends all of them
/// and waits for that: SIGTERM, and SIGKILL to what does not heed it.
#pragma once

#include <dataflow/config/configuration.hpp>
#include <dataflow/resources/command_template.hpp>
#include <dataflow/resources/task_manager_provider.hpp>
#include <dataflow/util/clock.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dataflow::cli {

class process_provider final : public task_manager_provider {
public:
  /// Errors: invalid_option for a command that cannot be filled; io_failed and the like for the logs' directory.
  explicit process_provider(configuration settings);
  ~process_provider() override;
  process_provider(const process_provider&) = delete;

  void start(const task_manager_pool::order& what) override;
  void stop(const std::string& id) override;
  std::vector<ending> ended() override;
  void job_manager_listens(std::uint16_t port) override;
  /// Of logs.
  const std::string& directory() const noexcept { return directory_; }

private:
  struct child {
    pid_t pid = -1;                     // -1: its command has ended, and it is elsewhere
    std::optional<steady_time> kill_at; // it is to end
  };
  bool local() const;
  void launch(const task_manager_pool::order& what);
  pid_t spawn(std::vector<std::string> arguments, const std::string& id) const;
  std::vector<std::string> local_arguments(const task_manager_pool::order& what) const;
  void begin_to_stop(const std::string& id);
  void run_stop_command(const std::string& id);
  void look();
  std::string log_of(const std::string& id) const;
  std::string output_of(const std::string& id) const;
  void tidy(const std::string& id, bool in_order) const;
  std::string last_words(const std::string& id, int status) const;

  const configuration settings_;
  const command_template command_, stop_command_;
  std::string directory_;
  const bool own_directory_;
  std::mutex mutex_;        // of all below
  int alive_[2] = {-1, -1}; // a pipe that nobody writes to: its readers hear when this process is gone
  std::uint16_t port_ = 0;
  std::vector<task_manager_pool::order> waiting_; // for the port
  std::map<std::string, child> children_;         // by resource id
  std::map<std::string, child> stops_;            // stop commands under way
  std::vector<ending> ended_;
};

/// Null when task managers are started by hand.
std::shared_ptr<task_manager_provider> provider_of(const configuration& settings);

} // namespace dataflow::cli
