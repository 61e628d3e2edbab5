/// A cluster of real processes on free ports of this machine.
#pragma once

#include <memory>
#include <string>
#include <tests/integration/program.hpp>
#include <tests/support/tree_paths.hpp>
#include <vector>

namespace dataflow::test {

inline const std::string job_libraries = build_path("tests/job_libraries/");

class cluster_processes {
public:
  /// `settings`: of all processes; `environment`: NAME=value, of the job manager.
  explicit cluster_processes(int task_managers, std::vector<std::string> settings = {},
                             const std::vector<std::string>& environment = {})
      : settings_(std::move(settings)) {
    start_job_manager("0", environment);
    for (int i = 0; i < task_managers; ++i)
      add_task_manager();
  }
  void start_job_manager(const std::string& port, const std::vector<std::string>& environment = {}) {
    auto command = dataflow_command({"jobmanager", "-Djobmanager.rpc.port=" + port});
    command.insert(command.end(), settings_.begin(), settings_.end());
    command.insert(command.begin(), environment.begin(), environment.end());
    if (!environment.empty()) command.insert(command.begin(), "/usr/bin/env");
    job_manager = std::make_unique<program>(command);
    address = job_manager->wait_for_line("The job manager listens on ");
    address.pop_back(); // the full stop
  }
  /// `own`: settings of it alone; `by`: where it reaches the job manager, if not directly.
  program& add_task_manager(const std::vector<std::string>& own = {}, const std::string& by = {}) {
    auto command = dataflow_command({"taskmanager", "-m", by.empty() ? address : by});
    command.insert(command.end(), settings_.begin(), settings_.end());
    command.insert(command.end(), own.begin(), own.end());
    task_managers.push_back(std::make_unique<program>(command));
    task_managers.back()->wait_for_line("has registered with");
    return *task_managers.back();
  }
  /// A client's command: the verb, then -m, then the rest.
  outcome client(const std::string& verb, std::vector<std::string> rest = {}) const {
    return dataflow(arguments(verb, std::move(rest)));
  }
  std::vector<std::string> arguments(const std::string& verb, std::vector<std::string> rest = {}) const {
    std::vector<std::string> all{verb, "-m", address};
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
  }
  /// The id of a job that was submitted detached.
  static std::string id_in(const std::string& text) {
    const std::string before = "Job has been submitted with JobID ";
    const auto at = text.find(before);
    return at == std::string::npos ? "" : text.substr(at + before.size(), 32);
  }
  /// The directory of a savepoint that a command has made.
  static std::string savepoint_in(const std::string& text) {
    const std::string before = "Savepoint completed. Path: file:";
    const auto at = text.find(before);
    return at == std::string::npos ? "" : text.substr(at + before.size(), text.find('\n', at) - at - before.size());
  }
  std::string port() const { return address.substr(address.rfind(':') + 1); }

  std::unique_ptr<program> job_manager;
  std::vector<std::unique_ptr<program>> task_managers;
  std::string address;

private:
  const std::vector<std::string> settings_;
};

} // namespace dataflow::test
