/// A job manager, task managers and a client as nodes of one process, over loopback, for jobs of the test program.
#pragma once

#include <dataflow/actors/network/nodes.hpp>
#include <dataflow/actors/network/remote_cluster.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/api/job.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace dataflow::test {

using namespace actors;

inline configuration network_settings(std::vector<std::pair<std::string, std::string>> more = {}) {
  configuration c;
  c.set("jobmanager.rpc.port", "0");
  for (auto& [key, value] : more)
    c.set(key, value);
  return c;
}

/// Registrations of a task manager, to wait for.
class registrations {
public:
  auto taker() {
    return [this](const std::string& id, const error& why) {
      std::lock_guard lock{mutex_};
      if (!id.empty()) ids_.push_back(id);
      if (why) last_ = why;
      changed_.notify_all();
    };
  }
  /// The id of the n-th registration; waits for it.
  std::string wait_for(std::size_t n) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return ids_.size() >= n; });
    return ids_[n - 1];
  }
  error wait_for_failure() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return static_cast<bool>(last_); });
    return last_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> ids_;
  error last_;
};

inline std::shared_ptr<const job_library> own_jobs() { return job_library::of_program(dataflow_job_library()); }

inline std::shared_ptr<job_origin> origin_of(const std::string& entry, std::vector<std::string> arguments = {},
                                             const configuration& settings = {}) {
  auto origin = std::make_shared<job_origin>();
  origin->entry = entry;
  origin->name = entry;
  origin->arguments = std::move(arguments);
  origin->settings = settings;
  origin->submit_time = timestamp{std::chrono::milliseconds{1'000'000}};
  origin->random_seed = 7;
  const auto library = own_jobs();
  environment_options options;
  options.configuration = settings;
  options.submit_time = origin->submit_time;
  options.random_seed = origin->random_seed;
  options.code = library;
  environment env{options};
  library->build(entry, env, parameters::from_args(origin->arguments));
  origin->fingerprint = fingerprint_of(env.graph(entry));
  return origin;
}

/// One job manager, `count` task managers of `slots` slots, a client.
struct network_cluster {
  configuration settings;
  job_manager_node job_manager;
  std::vector<std::unique_ptr<registrations>> registered;
  std::vector<std::unique_ptr<task_manager_node>> task_managers;
  std::shared_ptr<remote_cluster> client;

  explicit network_cluster(int count, int slots = 1, std::vector<std::pair<std::string, std::string>> more = {})
      : settings(network_settings(std::move(more))), job_manager(settings, own_jobs()) {
    settings.set("jobmanager.rpc.address", "127.0.0.1");
    settings.set("jobmanager.rpc.port", std::to_string(job_manager.port()));
    settings.set("taskmanager.numberOfTaskSlots", std::to_string(slots));
    for (int i = 0; i < count; ++i)
      add_task_manager();
    for (auto& r : registered)
      r->wait_for(1);
    client = remote_cluster::connect({"127.0.0.1", job_manager.port()}, std::chrono::seconds{5});
  }
  void add_task_manager() {
    registered.push_back(std::make_unique<registrations>());
    task_managers.push_back(std::make_unique<task_manager_node>(settings, own_jobs(), registered.back()->taker()));
  }
  std::shared_ptr<job_client> submit(const std::string& entry, std::vector<std::string> arguments = {},
                                     const configuration& of_job = {}) {
    return client->submit(origin_of(entry, std::move(arguments), of_job));
  }
};

/// Waits until the job is in that state, or has ended.
inline bool wait_for_status(job_client& job, job_status status) {
  while (job.status() != status)
    if (job.wait_for(std::chrono::milliseconds{5})) return job.status() == status;
  return true;
}

} // namespace dataflow::test
