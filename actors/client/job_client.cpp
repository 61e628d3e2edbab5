#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>

#include <caf/all.hpp>

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace dataflow::actors {

namespace {

/// What the client's actor learns and the user's threads wait for.
struct shared_state {
  std::mutex mutex;
  std::condition_variable changed;
  job_status status = job_status::initializing;
  std::shared_ptr<const job_result> result;

  void end(std::shared_ptr<const job_result> r) {
    std::lock_guard lock{mutex};
    if (result) return;
    status = r->status;
    result = std::move(r);
    changed.notify_all();
  }
};

/// Listens to the cluster on behalf of a job client.
class client_actor final : public caf::event_based_actor {
public:
  client_actor(caf::actor_config& config, std::shared_ptr<shared_state> state, caf::actor job_manager, std::string id,
               std::string job_name, std::vector<std::shared_ptr<source_listener>> listeners)
      : event_based_actor(config), state_(std::move(state)), job_manager_(job_manager), id_(std::move(id)),
        name_(std::move(job_name)), listeners_(std::move(listeners)) {
    keep_exception_texts(*this);
    monitor(job_manager);
    set_down_handler([this](caf::down_msg& m) { lost(from_caf(m.reason, "the job manager")); });
  }
  caf::behavior make_behavior() override {
    return {
        [this](const job_update& m) {
          std::lock_guard lock{state_->mutex};
          state_->status = m.status;
          state_->changed.notify_all();
        },
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
  std::shared_ptr<shared_state> state_;
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

class actor_job_client final : public job_client {
public:
  actor_job_client(caf::actor_system& system, caf::actor job_manager, caf::actor handle, std::string id,
                   std::shared_ptr<shared_state> state, std::shared_ptr<const void> keep_alive)
      : keep_alive_(std::move(keep_alive)), system_(system), job_manager_(std::move(job_manager)),
        handle_(std::move(handle)), id_(std::move(id)), state_(std::move(state)) {}

  const std::string& id() const noexcept override { return id_; }
  job_status status() const override {
    std::lock_guard lock{state_->mutex};
    return state_->status;
  }
  void cancel() override { caf::anon_send<caf::message_priority::high>(handle_, cancel_job{id_}); }
  job_result wait() override {
    std::unique_lock lock{state_->mutex};
    state_->changed.wait(lock, [&] { return state_->result != nullptr; });
    return *state_->result;
  }
  bool wait_for(std::chrono::milliseconds timeout) override {
    std::unique_lock lock{state_->mutex};
    return state_->changed.wait_for(lock, timeout, [&] { return state_->result != nullptr; });
  }
  job_report report() override {
    {
      std::lock_guard lock{state_->mutex};
      if (state_->result) return state_->result->final_report;
    }
    job_report answer;
    answer.id = id_;
    answer.status = status();
    caf::scoped_actor self{system_};
    self->request(job_manager_, std::chrono::seconds{10}, query_job{id_})
        .receive([&](job_report& r) { answer = std::move(r); }, [](caf::error&) {});
    return answer;
  }

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

private:
  /// The cluster, when it is our own. It goes last: its end waits until nobody holds an actor any more.
  std::shared_ptr<const void> keep_alive_;
  caf::actor_system& system_;
  caf::actor job_manager_, handle_;
  const std::string id_;
  std::shared_ptr<shared_state> state_;
};

} // namespace

client_pair make_client(caf::actor_system& system, const caf::actor& job_manager, const job_submission& job,
                        std::shared_ptr<const void> keep_alive) {
  auto state = std::make_shared<shared_state>();
  auto actor = system.spawn<client_actor>(state, job_manager, job.id, job.name, bind_listeners(job));
  return {actor, std::make_shared<actor_job_client>(system, job_manager, actor, job.id, state, std::move(keep_alive))};
}

} // namespace dataflow::actors
