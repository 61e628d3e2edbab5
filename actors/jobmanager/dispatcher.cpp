#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/dispatcher.hpp>
#include <dataflow/actors/jobmanager/job_history.hpp>
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/network/job_journal.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <tuple>
#include <utility>

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::query_again)

namespace dataflow::actors {

namespace {
constexpr unsigned masters_bits = 20; // of a token: job masters that one leader may start for a job
constexpr std::chrono::milliseconds between_queries{50};
} // namespace

dispatcher_actor::dispatcher_actor(caf::actor_config& config, cluster_context context, std::shared_ptr<job_store> store,
                                   caf::actor root, caf::actor resource_manager)
    : event_based_actor(config), context_(std::move(context)), store_(std::move(store)), root_(std::move(root)),
      resource_manager_(std::move(resource_manager)) {
  keep_exception_texts(*this);
  context_.reach("dispatcher", actor_moment::constructor);
  set_down_handler([this](caf::down_msg& m) {
    if (client_down(m)) return;
    context_.reach("dispatcher", actor_moment::down_handler);
    master_down(m);
  });
}

caf::behavior dispatcher_actor::make_behavior() {
  adopt();
  return {
      [this](submit_job& m) -> caf::result<caf::unit_t> {
        auto [i, fresh] = store_->jobs.try_emplace(m.job->id);
        if (!fresh && i->second.job == m.job) return caf::unit;
        if (!fresh) return to_caf(error{errc::invalid_argument, "job " + m.job->id + " was submitted already"});
        i->second.job = m.job;
        add_client(i->second, m.client);
        i->second.submitted = context_.world->clock->wall();
        i->second.history = std::make_shared<job_history>();
        // Tokens of a leader's job masters are between its own and the next leader's.
        if (context_.journal) i->second.history->leader = context_.journal->token() << masters_bits;
        supervise(i->second);
        return caf::unit;
      },
      [this](const job_update& m) {
        context_.reach("dispatcher", actor_moment::handler);
        auto j = store_->jobs.find(m.job);
        if (j == store_->jobs.end() || j->second.result) return;
        j->second.status = m.status;
        j->second.waits_for = m.waits_for;
        for (auto& client : j->second.clients)
          send(client, m);
      },
      [this](const job_ended& m) {
        auto j = store_->jobs.find(m.result->id);
        if (j == store_->jobs.end()) return;
        if (j->second.master) send(j->second.master, job_archived{m.result->id});
        if (!j->second.result) ended(j->second, m.result);
        forget_ended();
      },
      [this](const cancel_job& m) {
        auto j = store_->jobs.find(m.job);
        if (j == store_->jobs.end() || j->second.result) return;
        j->second.cancel_requested = true;
        if (j->second.master) send<caf::message_priority::high>(j->second.master, m);
      },
      [this](const query_job& m) {
        auto promise = make_response_promise<job_report>();
        query({m, promise});
        return promise;
      },
      [this](const query_again& m) { query(m); },
      [this](const request_checkpoint& m) {
        auto promise = make_response_promise();
        auto j = store_->jobs.find(m.job);
        if (j != store_->jobs.end() && !j->second.result && j->second.master)
          promise.delegate(j->second.master, m);
        else
          promise.deliver(to_caf(error{errc::job_not_found, "no job with the id " + m.job + " is running"}));
        return promise;
      },
      [this](const attach_client& m) -> caf::result<job_update> {
        const auto j = store_->jobs.find(m.job);
        if (j == store_->jobs.end()) return to_caf(error{errc::job_not_found, "no job with the id " + m.job});
        auto& r = j->second;
        if (r.result)
          send(m.client, job_ended{r.result});
        else
          add_client(r, m.client);
        return job_update{m.job, r.status, r.waits_for};
      },
      [this](list_jobs) { return list(); },
      [this](const query_origin& m) -> caf::result<origin_found> {
        const auto j = store_->jobs.find(m.job);
        if (j == store_->jobs.end()) return to_caf(error{errc::job_not_found, "no job with the id " + m.job});
        const auto& job = *j->second.job;
        if (!job.origin || !job.graph)
          return to_caf(error{errc::job_not_found, "the code of job " + m.job + " is not known any more",
                              "it ended under an earlier job manager: start the new one with `dataflow run -s`"});
        return origin_found{job.origin, checkpoint_settings::from(settings_of(job)).retention ==
                                            externalized_retention::retain_on_cancellation};
      },
      [this](const use_resource_manager& m) {
        resource_manager_ = m.resource_manager;
        for (auto& [id, r] : store_->jobs)
          if (r.master) send(r.master, m);
      },
      [this](const respawn_child& m) {
        for (auto& [id, master] : masters_)
          master->respawn(m);
        forget_ended();
      },
      [this](describe_tree) { return describe(); },
  };
}

/// A job master that dies, or makes way for the next one, takes the question along: the next one is asked.
void dispatcher_actor::query(query_again what) {
  const auto j = store_->jobs.find(what.query.job);
  if (j == store_->jobs.end())
    return (void)what.promise.deliver(to_caf(error{errc::job_not_found, "no job with the id " + what.query.job}));
  if (j->second.result) return (void)what.promise.deliver(j->second.result->final_report);
  const auto later = [this, what](const error& why) {
    auto next = what;
    if (why.code() != errc::component_lost || next.left-- == 0)
      next.promise.deliver(to_caf(why));
    else
      delayed_send(this, between_queries, std::move(next));
  };
  if (!j->second.master) return later(error{errc::component_lost, "the job master is about to start again"});
  request(j->second.master, caf::infinite, what.query)
      .then([what](job_report& r) mutable { what.promise.deliver(std::move(r)); },
            [later](caf::error& e) { later(from_caf(e, "the job master")); });
}

/// Takes over from a dispatcher that died.
void dispatcher_actor::adopt() {
  if (context_.journal && store_->jobs.empty())
    for (auto& result : context_.journal->results()) {
      auto& r = store_->jobs[result->id];
      r.job = std::make_shared<job_submission>(job_submission{result->id, result->name, nullptr, {}});
      r.status = result->status;
      r.submitted = result->final_report.started;
      r.ended = r.submitted + result->duration;
      r.result = std::move(result);
    }
  for (auto& [id, r] : store_->jobs) {
    if (!r.result) supervise(r);
    for (auto& client : r.clients)
      monitor(client);
  }
  forget_ended();
}

/// Supervises the job's master, which may be running already.
void dispatcher_actor::supervise(job_store::record& r) {
  auto& children =
      *(masters_[r.job->id] = std::make_unique<supervised_children>(
            *this, *context_.world->clock, "dispatcher, of job " + r.job->id, control_plane_supervision(context_)));
  children.on_escalation([this, &r](const std::vector<error>& causes) { ended(r, lost_result(r, folded(causes))); });
  children.start({"job master of \"" + r.job->name + "\" (" + r.job->id + ")"}, [this, &r](std::uint32_t attempt) {
    if (attempt > 0 || !r.master) return start_master(r);
    const auto self = caf::actor_cast<caf::actor>(this);
    send(r.master, use_dispatcher{self});
    send(r.master, use_resource_manager{resource_manager_});
    if (r.cancel_requested) send<caf::message_priority::high>(r.master, cancel_job{r.job->id});
    return r.master;
  });
}

caf::actor dispatcher_actor::start_master(job_store::record& r) {
  auto self = caf::actor_cast<caf::actor>(this);
  r.master = context_.own_threads
                 ? spawn<job_master_actor, caf::detached>(context_, r.job, r.history, root_, self, resource_manager_)
                 : spawn<job_master_actor>(context_, r.job, r.history, root_, self, resource_manager_);
  context_.announce("job master", r.master);
  send(r.master, start_job{});
  if (r.cancel_requested) send<caf::message_priority::high>(r.master, cancel_job{r.job->id});
  return r.master;
}

void dispatcher_actor::master_down(const caf::down_msg& m) {
  for (auto& [id, r] : store_->jobs) {
    if (!r.master || r.master.address() != m.source) continue;
    r.master = nullptr;
    if (r.result) return;
    if (std::exchange(r.history->replans, false)) {
      supervise(r); // also one that is to be cancelled: its checkpoints go, or stay, as it says
      break;
    }
    r.master_failures.push_back(
        {context_.world->clock->wall(), {}, from_caf(m.reason, "the job master of \"" + r.job->name + "\"")});
    if (r.cancel_requested)
      ended(r, lost_result(r, error{errc::job_canceled, "the job was cancelled"}));
    else
      masters_.at(id)->child_down(m);
    break;
  }
  forget_ended();
}

/// Jobs that have ended need no supervision; their masters end by themselves.
void dispatcher_actor::forget_ended() {
  std::erase_if(masters_, [&](auto& m) { return store_->jobs.at(m.first).result != nullptr; });
}

std::string dispatcher_actor::describe() const {
  std::string text;
  for (auto& [id, r] : store_->jobs) {
    if (auto m = masters_.find(id); m != masters_.end())
      text += m->second->describe(4);
    else
      text += "    job master of \"" + r.job->name + "\" (" + id + "), ended\n";
    text += "      job is " + std::string{to_string(r.status)} + "\n";
    for (auto& f : r.master_failures)
      text += "      failed: " + f.cause.to_string() + "\n";
    if (!r.result) continue;
    for (auto& f : r.result->final_report.failures)
      text += "      failed: " + (f.task.empty() ? "" : f.task + ": ") + f.cause.to_string() + "\n";
  }
  return text;
}

void dispatcher_actor::add_client(job_store::record& r, const caf::actor& client) {
  if (!client || std::find(r.clients.begin(), r.clients.end(), client) != r.clients.end()) return;
  r.clients.push_back(client);
  monitor(client);
}

bool dispatcher_actor::client_down(const caf::down_msg& m) {
  std::size_t gone = 0;
  for (auto& [id, r] : store_->jobs)
    gone += std::erase_if(r.clients, [&](auto& client) { return client.address() == m.source; });
  return gone > 0;
}

jobs_listed dispatcher_actor::list() const {
  jobs_listed all;
  for (auto& [id, r] : store_->jobs)
    all.jobs.push_back({id, r.job->name, r.status, r.submitted, r.ended, r.waits_for});
  std::sort(all.jobs.begin(), all.jobs.end(),
            [](auto& a, auto& b) { return std::tie(a.started, a.id) < std::tie(b.started, b.id); });
  return all;
}

void dispatcher_actor::ended(job_store::record& r, std::shared_ptr<const job_result> result) {
  r.result = std::move(result);
  if (context_.journal) {
    try {
      context_.journal->ended(*r.result);
    } catch (const error& e) { // the next leader runs it again from its last checkpoint
      log_error({"dispatcher", r.job->id, {}}, "the job's result is not stored: " + e.to_string());
    }
  }
  r.status = r.result->status;
  r.ended = context_.world->clock->wall();
  r.waits_for.clear();
  for (auto& client : std::exchange(r.clients, {}))
    send(client, job_ended{r.result});
  r.history = nullptr;
}

std::shared_ptr<const job_result> lost_result(const job_store::record& r, error why) {
  auto result = std::make_shared<job_result>();
  result->id = r.job->id;
  result->name = r.job->name;
  result->status = why.code() == errc::job_canceled ? job_status::canceled : job_status::failed;
  result->failure = std::move(why);
  result->final_report.id = r.job->id;
  result->final_report.name = r.job->name;
  result->final_report.status = result->status;
  result->final_report.failures = r.master_failures;
  return result;
}

void dispatcher_actor::on_exit() {
  masters_.clear(); // the job masters live on
  store_.reset();
  root_ = nullptr;
  resource_manager_ = nullptr;
  context_.release();
}

} // namespace dataflow::actors
