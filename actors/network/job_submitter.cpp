#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/network/job_journal.hpp>
#include <dataflow/actors/network/job_submitter.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <optional>

namespace dataflow::actors {

namespace {

constexpr std::chrono::milliseconds between_attempts{100};

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
          promise_ = make_response_promise<job_accepted>();
          try {
            auto job = build(m);
            if (m.check_only) {
              over(answer_about(*job));
            } else {
              job_ = submit_job{std::move(job), m.client};
              recovered_ = m.recovered;
              hand_in();
            }
          } catch (...) {
            const auto why = current_error(errc::internal);
            if (!m.check_only) log_warn({"job manager", m.id, {}}, "a submission is refused: " + why.to_string());
            over(to_caf(why));
          }
          return promise_;
        },
        [this](run_step) { hand_in(); },
    };
  }
  void on_exit() override {
    context_.release();
    job_manager_ = nullptr;
    job_.reset();
  }
  const char* name() const override { return "dataflow.job-submitter"; }

private:
  std::shared_ptr<const job_submission> build(const submit_origin& m) {
    if (!m.origin) throw error{errc::invalid_argument, "a submission without a job"};
    const auto& origin = *m.origin;
    const auto path = origin.artifact.empty() ? std::string{} : intake_->store->path(origin.artifact);
    if (intake_->trial) intake_->trial(origin, path);
    const auto graph = build_graph(origin, library_of(origin, path, intake_->own));
    auto job = make_submission(m.id, graph, merged(intake_->settings, origin.settings), *context_.world, m.origin,
                               m.recovered);
    if (context_.journal && !m.check_only) context_.journal->accepted(m.id, origin, path);
    return job;
  }
  static job_accepted answer_about(const job_submission& job) {
    return {job.id,
            {},
            job.restore ? job.restore->directory : std::string{},
            checkpoints_of(settings_of(job), plan_of(job)->graph()).has_value()};
  }
  /// A dispatcher that dies with the request in its mailbox has a successor that knows nothing of the job: it is asked
  /// again. Asking one that has the job changes nothing.
  void hand_in() {
    request(job_manager_, std::chrono::seconds{30}, *job_)
        .then([this] { over(answer_about(*job_->job)); },
              [this](caf::error& e) {
                const auto why = from_caf(e, "the job manager");
                if (why.code() == errc::component_lost && --attempts_ > 0)
                  return delayed_send(this, between_attempts, run_step{});
                // One that was submitted before runs; what an earlier leader has accepted is left to the next one.
                if (why.code() != errc::invalid_argument && !recovered_) withdraw();
                over(to_caf(why));
              });
  }
  void withdraw() {
    send(job_manager_, cancel_job{job_->job->id}); // a slow dispatcher may still take it on
    try {
      if (context_.journal) context_.journal->refused(job_->job->id);
    } catch (const error& e) {
      log_error({"job manager", job_->job->id, {}}, "the next leader may run a job that was refused: " + e.to_string());
    }
  }
  template <class Answer>
  void over(Answer answer) {
    promise_.deliver(std::move(answer));
    quit();
  }

  cluster_context context_;
  const std::shared_ptr<const job_intake> intake_;
  caf::actor job_manager_;
  std::optional<submit_job> job_;
  caf::typed_response_promise<job_accepted> promise_;
  bool recovered_ = false;
  int attempts_ = 30;
};

} // namespace

caf::actor spawn_job_submitter(caf::actor_system& system, const cluster_context& context,
                               std::shared_ptr<const job_intake> intake, caf::actor job_manager) {
  return context.own_threads
             ? system.spawn<job_submitter_actor, caf::detached>(context, std::move(intake), std::move(job_manager))
             : system.spawn<job_submitter_actor>(context, std::move(intake), std::move(job_manager));
}

} // namespace dataflow::actors
