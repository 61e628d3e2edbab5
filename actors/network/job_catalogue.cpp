#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/network/job_catalogue.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <utility>

namespace dataflow::actors {

bool job_catalogue::expect(const std::string& job, const std::string& fingerprint) {
  std::lock_guard lock{mutex_};
  auto& j = jobs_[job][fingerprint];
  const bool failed = static_cast<bool>(std::exchange(j.failure, error{}));
  return !std::exchange(j.announced, true) || failed;
}

void job_catalogue::loaded(const std::string& job, const std::string& fingerprint,
                           std::shared_ptr<const job_description> description, error failure) {
  std::vector<taker> waiting;
  {
    std::lock_guard lock{mutex_};
    const auto j = jobs_.find(job);
    if (j == jobs_.end()) return; // it has ended meanwhile
    auto& loaded = j->second[fingerprint];
    loaded.description = description;
    loaded.failure = failure;
    waiting = std::exchange(loaded.waiting, {});
  }
  for (auto& take : waiting)
    take(description, failure);
}

void job_catalogue::when_ready(const std::string& job, const std::string& fingerprint, taker take) {
  std::shared_ptr<const job_description> description;
  error failure;
  {
    std::lock_guard lock{mutex_};
    auto& j = jobs_[job][fingerprint];
    if (!j.over()) return j.waiting.push_back(std::move(take));
    description = j.description;
    failure = j.failure;
  }
  take(std::move(description), failure);
}

void job_catalogue::forget(const std::string& job) {
  std::lock_guard lock{mutex_};
  jobs_.erase(job);
}

void job_catalogue::use_artifacts(caf::actor artifacts) {
  std::lock_guard lock{mutex_};
  artifacts_ = std::move(artifacts);
}

caf::actor job_catalogue::artifacts() const {
  std::lock_guard lock{mutex_};
  return artifacts_;
}

namespace {

constexpr std::chrono::seconds fetch_deadline{20};

class job_loader_actor final : public caf::event_based_actor {
public:
  job_loader_actor(caf::actor_config& config, cluster_context context, prepare_job job)
      : event_based_actor(config), context_(std::move(context)), job_(std::move(job)) {
    keep_exception_texts(*this);
  }
  caf::behavior make_behavior() override {
    const auto& hash = job_.origin->artifact;
    try {
      if (hash.empty() || context_.jobs->store().find(hash).complete)
        load();
      else
        fetch(0);
    } catch (...) {
      over(nullptr, current_error(errc::internal));
    }
    return {[](run_step) {}}; // waits for answers only
  }
  void on_exit() override { context_.release(); }
  const char* name() const override { return "dataflow.job-loader"; }

private:
  void fetch(std::uint64_t offset) {
    request(context_.jobs->artifacts(), fetch_deadline, fetch_artifact{job_.origin->artifact, offset})
        .then(
            [this](const artifact_frame& m) {
              try {
                const auto there = context_.jobs->store().append(m.hash, m.size, m.offset, m.bytes);
                there.complete ? load() : fetch(there.size);
              } catch (...) {
                over(nullptr, current_error(errc::internal));
              }
            },
            [this](caf::error& e) { over(nullptr, from_caf(e, "fetching the job library")); });
  }
  void load() {
    std::shared_ptr<const job_description> made;
    error failure;
    try {
      auto& jobs = *context_.jobs;
      const auto& origin = *job_.origin;
      const auto path = origin.artifact.empty() ? std::string{} : jobs.store().path(origin.artifact);
      made =
          describe_job(job_, library_of(origin, path, jobs.own()), jobs.settings(), context_.where.id, *context_.world);
    } catch (...) {
      failure = current_error(errc::internal);
    }
    over(std::move(made), failure);
  }
  void over(std::shared_ptr<const job_description> made, const error& failure) {
    if (failure) log_error({"task manager", job_.id, {}}, "the job cannot run here: " + failure.to_string());
    context_.jobs->loaded(job_.id, job_.fingerprint, std::move(made),
                          failure ? failure.within("task manager " + context_.where.id) : error{});
    quit();
  }

  cluster_context context_;
  const prepare_job job_;
};

} // namespace

caf::actor spawn_job_loader(caf::actor_system& system, const cluster_context& context, prepare_job job) {
  return context.own_threads ? system.spawn<job_loader_actor, caf::detached>(context, std::move(job))
                             : system.spawn<job_loader_actor>(context, std::move(job));
}

} // namespace dataflow::actors
