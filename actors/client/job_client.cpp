#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/client/watched_job.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>

#include <caf/all.hpp>

#include <utility>
#include <vector>

namespace dataflow::actors {

namespace {

/// Listens to the cluster on behalf of a job client.
class client_actor final : public caf::event_based_actor {
public:
  client_actor(caf::actor_config& config, std::shared_ptr<job_state> state, caf::actor job_manager, std::string id,
               std::string job_name, std::vector<std::shared_ptr<source_listener>> listeners)
      : event_based_actor(config), state_(std::move(state)), job_manager_(job_manager), id_(std::move(id)),
        name_(std::move(job_name)), listeners_(std::move(listeners)) {
    keep_exception_texts(*this);
    monitor(job_manager);
    set_down_handler([this](caf::down_msg& m) { lost(from_caf(m.reason, "the job manager")); });
  }
  caf::behavior make_behavior() override {
    return {
        [this](const job_update& m) { state_->update(m.status); },
        [this](const job_ended& m) {
          state_->end(m.result);
          tell_listeners(m.result->failure);
          m.result->failure ? quit(to_caf(m.result->failure)) : quit();
        },
        [this](const cancel_job& m) { cancel(m); },
    };
  }
  void on_exit() override {
    lost(error{errc::component_lost, "the connection to the job ended"});
    job_manager_ = nullptr;
  }
  const char* name() const override { return "dataflow.client"; }

private:
  /// Until somebody has taken note of it: it must not be lost with a dispatcher.
  void cancel(const cancel_job& m) {
    request<caf::message_priority::high>(job_manager_, std::chrono::seconds{10}, m)
        .then([] {}, [this, m](caf::error&) { delayed_send(this, std::chrono::milliseconds{10}, m); });
  }
  void lost(error why) {
    auto r = std::make_shared<job_result>();
    r->id = id_;
    r->name = name_;
    r->status = job_status::failed;
    r->failure = why;
    state_->end(std::move(r)); // no effect when the job has ended
    tell_listeners(why);
    quit(to_caf(why));
  }
  void tell_listeners(const error& failure) {
    for (auto& l : std::exchange(listeners_, {}))
      l->job_ended(failure);
  }
  std::shared_ptr<job_state> state_;
  caf::actor job_manager_;
  const std::string id_, name_;
  std::vector<std::shared_ptr<source_listener>> listeners_;
};

/// Binds the sources that are fed from outside to this job: all of them or none.
std::vector<std::shared_ptr<source_listener>> bind_listeners(const job_submission& job) {
  std::vector<std::shared_ptr<source_listener>> bound;
  try {
    for (auto& node : job.graph->nodes()) {
      if (!node.source || !node.source->listener) continue;
      node.source->listener->job_submitted(job.id, job.name);
      bound.push_back(node.source->listener);
    }
  } catch (...) {
    for (auto& l : bound)
      l->job_ended(current_error());
    throw;
  }
  return bound;
}

class actor_job_client final : public watched_job {
public:
  actor_job_client(caf::actor_system& system, caf::actor job_manager, caf::actor handle, std::string id,
                   std::shared_ptr<job_state> state, std::shared_ptr<const void> keep_alive)
      : watched_job(std::move(id), std::move(state)), keep_alive_(std::move(keep_alive)), system_(system),
        job_manager_(std::move(job_manager)), handle_(std::move(handle)) {}

  void cancel() override { caf::anon_send<caf::message_priority::high>(handle_, cancel_job{id_}); }

protected:
  std::string take(const checkpoint_request& what) override {
    std::string path;
    error failure;
    caf::scoped_actor self{system_};
    self->request(job_manager_, caf::infinite, request_checkpoint{id_, what})
        .receive([&](checkpoint_taken& c) { path = std::move(c.path); },
                 [&](caf::error& e) { failure = from_caf(e, "the job manager"); });
    if (failure) throw failure;
    if (what.after != after_savepoint::go_on || what.cancel) wait();
    return path;
  }
  job_report ask_report() override {
    job_report answer;
    error failure;
    caf::scoped_actor self{system_};
    self->request(job_manager_, std::chrono::seconds{10}, query_job{id_})
        .receive([&](job_report& r) { answer = std::move(r); },
                 [&](caf::error& e) { failure = from_caf(e, "the job manager"); });
    if (failure) throw failure;
    return answer;
  }

private:
  /// The cluster, when it is our own. It goes after the actors: its end waits until nobody holds one any more.
  std::shared_ptr<const void> keep_alive_;
  caf::actor_system& system_;
  caf::actor job_manager_, handle_;
};

} // namespace

client_pair make_client(caf::actor_system& system, const caf::actor& job_manager, const job_submission& job,
                        std::shared_ptr<const void> keep_alive) {
  auto state = std::make_shared<job_state>();
  auto actor = system.spawn<client_actor>(state, job_manager, job.id, job.name, bind_listeners(job));
  return {actor, std::make_shared<actor_job_client>(system, job_manager, actor, job.id, state, std::move(keep_alive))};
}

} // namespace dataflow::actors
