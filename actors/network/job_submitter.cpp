#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/network/job_journal.hpp>
#include <dataflow/actors/network/job_submitter.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

namespace dataflow::actors {

namespace {

class job_submitter_actor final : public caf::event_based_actor {
public:
  job_submitter_actor(caf::actor_config& config, cluster_context context, std::shared_ptr<const job_intake> intake,
                      caf::actor job_manager)
      : event_based_actor(config), context_(std::move(context)), intake_(std::move(intake)),
        job_manager_(std::move(job_manager)) {
    keep_exception_texts(*this);
  }
  caf::behavior make_behavior() override {
    return {
        [this](const submit_origin& m) {
          auto promise = make_response_promise<job_accepted>();
          try {
            auto job = build(m);
            if (m.check_only) {
              promise.deliver(answer_about(*job));
              quit();
            } else {
              hand_in(m, std::move(job), promise);
            }
          } catch (...) {
            const auto why = current_error(errc::internal);
            if (!m.check_only) log_warn({"job manager", m.id, {}}, "a submission is refused: " + why.to_string());
            promise.deliver(to_caf(why));
            quit();
          }
          return promise;
        },
    };
  }
  void on_exit() override {
    context_.release();
    job_manager_ = nullptr;
  }
  const char* name() const override { return "dataflow.job-submitter"; }

private:
  std::shared_ptr<const job_submission> build(const submit_origin& m) {
    if (!m.origin) throw error{errc::invalid_argument, "a submission without a job"};
    const auto& origin = *m.origin;
    const auto path = origin.artifact.empty() ? std::string{} : intake_->store->path(origin.artifact);
    if (intake_->trial) intake_->trial(origin, path);
    const auto graph = build_graph(origin, library_of(origin, path, intake_->own));
    auto job = make_submission(m.id, graph, merged(intake_->settings, origin.settings), *context_.world, m.origin);
    if (context_.journal && !m.check_only) context_.journal->accepted(m.id, origin, path);
    return job;
  }
  static job_accepted answer_about(const job_submission& job) {
    return {job.id,
            {},
            job.restore ? job.restore->directory : std::string{},
            checkpoints_of(settings_of(job), plan_of(job)->graph()).has_value()};
  }
  void hand_in(const submit_origin& m, std::shared_ptr<const job_submission> job,
               caf::typed_response_promise<job_accepted> promise) {
    auto answer = answer_about(*job);
    request(job_manager_, std::chrono::seconds{30}, submit_job{std::move(job), m.client})
        .then(
            [this, promise, answer = std::move(answer)]() mutable {
              promise.deliver(std::move(answer));
              quit();
            },
            [this, promise](caf::error& e) mutable {
              promise.deliver(to_caf(from_caf(e, "the job manager")));
              quit();
            });
  }

  cluster_context context_;
  const std::shared_ptr<const job_intake> intake_;
  caf::actor job_manager_;
};

} // namespace

caf::actor spawn_job_submitter(caf::actor_system& system, const cluster_context& context,
                               std::shared_ptr<const job_intake> intake, caf::actor job_manager) {
  return context.own_threads
             ? system.spawn<job_submitter_actor, caf::detached>(context, std::move(intake), std::move(job_manager))
             : system.spawn<job_submitter_actor>(context, std::move(intake), std::move(job_manager));
}

} // namespace dataflow::actors
