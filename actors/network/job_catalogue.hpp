/// The jobs whose code is in this process, for slots that are asked to run their tasks.
///
/// A job master announces a job (prepare_job) before it deploys its first task here. Deploys may overtake the loading:
/// they wait for it. A job that is to run at another parallelism is another one here, which is why each goes by the
/// fingerprint of its graph, too. A job that cannot be loaded fails each of its tasks with the reason; when it starts
/// again, it is announced again, and loaded anew. A deploy that overtakes that announcement fails once more. Threading:
/// safe from any thread; functions that wait are called on the thread that ends their waiting. Ownership: descriptions
/// are shared with the tasks that run them.
#pragma once

#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/artifact_store.hpp>
#include <dataflow/actors/network/job_code.hpp>

#include <caf/actor.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace dataflow::actors {

class job_catalogue {
public:
  job_catalogue(configuration settings, std::shared_ptr<artifact_store> store, program_jobs own)
      : settings_(std::move(settings)), store_(std::move(store)), own_(std::move(own)) {}

  using taker = std::function<void(std::shared_ptr<const job_description>, const error&)>;
  /// True: somebody has to load the job: nobody has announced it before, or it could not be loaded then.
  bool expect(const std::string& job, const std::string& fingerprint);
  void loaded(const std::string& job, const std::string& fingerprint,
              std::shared_ptr<const job_description> description, error failure);
  /// Calls `take` once: now, or when the job is loaded, or will not be.
  void when_ready(const std::string& job, const std::string& fingerprint, taker take);
  /// The job has ended.
  void forget(const std::string& job);

  const configuration& settings() const noexcept { return settings_; }
  artifact_store& store() noexcept { return *store_; }
  const program_jobs& own() const noexcept { return own_; }
  /// Of the job manager: who gives out libraries.
  void use_artifacts(caf::actor artifacts);
  caf::actor artifacts() const;

private:
  struct entry {
    bool announced = false;
    std::shared_ptr<const job_description> description;
    error failure;
    std::vector<taker> waiting;
    bool over() const noexcept { return description || failure; }
  };
  const configuration settings_;
  const std::shared_ptr<artifact_store> store_;
  const program_jobs own_;
  mutable std::mutex mutex_;
  caf::actor artifacts_;
  std::map<std::string, std::map<std::string, entry>> jobs_; // by id, then by fingerprint
};

struct cluster_context;

/// Fetches the job's library if need be, builds its graph, tells the catalogue, and ends. On a thread of its own where
/// the cluster has threads.
caf::actor spawn_job_loader(caf::actor_system& system, const cluster_context& context, prepare_job job);

} // namespace dataflow::actors
