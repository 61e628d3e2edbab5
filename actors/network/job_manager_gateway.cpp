#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/network/job_manager_gateway.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <utility>

namespace dataflow::actors {

namespace {

/// Gives out and takes in job libraries: it waits for the disk.
class artifact_actor final : public caf::event_based_actor {
public:
  artifact_actor(caf::actor_config& config, std::shared_ptr<const job_intake> intake, std::shared_ptr<const void> alive)
      : event_based_actor(config), intake_(std::move(intake)), alive_(std::move(alive)) {
    keep_exception_texts(*this);
  }
  caf::behavior make_behavior() override {
    return {
        [this](const query_artifact& m) -> caf::result<artifact_state> {
          return answer([&] { return state_of(intake_->store->find(m.hash)); });
        },
        [this](const artifact_frame& m) -> caf::result<artifact_state> {
          return answer([&] { return state_of(intake_->store->append(m.hash, m.size, m.offset, m.bytes)); });
        },
        [this](const fetch_artifact& m) -> caf::result<artifact_frame> {
          try {
            artifact_frame frame{m.hash, 0, m.offset, {}};
            frame.bytes = intake_->store->read(m.hash, m.offset, largest_frame, frame.size);
            return frame;
          } catch (...) {
            return to_caf(current_error(errc::internal));
          }
        },
    };
  }
  void on_exit() override { alive_.reset(); }
  const char* name() const override { return "dataflow.artifacts"; }

private:
  static artifact_state state_of(artifact_store::state s) { return {s.complete, s.size}; }
  template <class F>
  caf::result<artifact_state> answer(F&& f) {
    try {
      return f();
    } catch (...) {
      return to_caf(current_error(errc::internal));
    }
  }
  const std::shared_ptr<const job_intake> intake_;
  std::shared_ptr<const void> alive_; ///< see cluster_context
};

const log_fields here{"job manager", {}, {}};
constexpr std::chrono::seconds told_deadline{5};

} // namespace

job_manager_gateway_actor::job_manager_gateway_actor(caf::actor_config& config, cluster_context context,
                                                     std::shared_ptr<const job_intake> intake, heartbeat_settings beats,
                                                     std::string leader, caf::actor job_manager)
    : event_based_actor(config), context_(std::move(context)), intake_(std::move(intake)), leader_(std::move(leader)),
      job_manager_(std::move(job_manager)), beats_(beats) {
  keep_exception_texts(*this);
  artifacts_ = context_.own_threads ? spawn<artifact_actor, caf::detached + caf::linked>(intake_, context_.alive)
                                    : spawn<artifact_actor, caf::linked>(intake_, context_.alive);
  monitor(job_manager_);
  set_down_handler([this](caf::down_msg& m) {
    if (m.source == job_manager_) return quit(std::move(m.reason));
    for (auto& [id, who] : members_)
      if (who.actor == m.source)
        return lost(std::string{id}, error{errc::task_lost, "task manager " + id + " is gone: its connection ended"});
  });
}

caf::behavior job_manager_gateway_actor::make_behavior() {
  delayed_send(this, beats_.settings().interval, heartbeat_tick{});
  return {
      [this](const hello& m) { return greet(m); },
      [this](const heartbeat& m) { heard(m); },
      [this](const farewell& m) {
        auto promise = make_response_promise();
        if (current(m.leader) && members_.count(m.task_manager) > 0)
          lost(m.task_manager, error{errc::task_lost, "task manager " + m.task_manager + " was shut down"}, promise);
        else
          promise.deliver(caf::unit);
        return promise;
      },
      [this](heartbeat_tick) { tick(); },
      [this](const submit_origin& m) {
        auto promise = make_response_promise();
        promise.delegate(spawn_job_submitter(system(), context_, intake_, job_manager_), m);
        return promise;
      },
  };
}

caf::result<welcome> job_manager_gateway_actor::greet(const hello& m) {
  if (m.stamp != process_stamp()) {
    const error why{errc::incompatible_library,
                    "the job manager is \"" + process_stamp() + "\", this process is \"" + m.stamp + "\"",
                    "run the same build of dataflow everywhere"};
    log_warn(here, "a process is refused: " + why.cause());
    return to_caf(why);
  }
  welcome answer{leader_, 0, beats_.settings().interval, beats_.settings().timeout, job_manager_, artifacts_};
  if (m.task_manager.empty()) return answer;
  auto [i, fresh] = members_.try_emplace(m.task_manager);
  if (fresh) {
    i->second = {m.member, next_index_++};
    monitor(m.member);
    send(job_manager_, task_manager_joined{m.task_manager});
    log_info(here, "task manager " + m.task_manager + " has joined");
  }
  beats_.watch(m.task_manager, context_.world->clock->now());
  answer.index = i->second.index;
  return answer;
}

void job_manager_gateway_actor::heard(const heartbeat& m) {
  if (!current(m.leader)) return;
  if (beats_.heard(m.task_manager, context_.world->clock->now())) return;
  // It was taken for dead and is not: it must not go on as what it was.
  if (const auto who = caf::actor_cast<caf::actor>(current_sender()))
    send<caf::message_priority::high>(who, expelled{leader_, m.task_manager});
}

bool job_manager_gateway_actor::current(const std::string& leader) {
  if (leader == leader_) return true;
  if (refused_++ == 0)
    log_warn(here,
             "a word to leader " + leader + " is refused: this is " + leader_ + "; further ones are only counted");
  return false;
}

void job_manager_gateway_actor::tick() {
  const auto now = context_.world->clock->now();
  for (auto& id : beats_.tick(now)) {
    const auto who = members_.at(id).actor;
    lost(id, error{errc::task_lost, "task manager " + id + " was silent for " +
                                        std::to_string(beats_.settings().timeout.count()) + " ms"});
    send<caf::message_priority::high>(who, expelled{leader_, id});
  }
  for (auto& [id, who] : members_)
    send<caf::message_priority::high>(who.actor, heartbeat{leader_, id});
  delayed_send(this, beats_.settings().interval, heartbeat_tick{});
}

void job_manager_gateway_actor::lost(const std::string& id, error why, std::optional<caf::response_promise> then) {
  then ? log_info(here, why.cause()) : log_warn(here, why.cause()); // a farewell is nothing to worry about
  const auto m = members_.extract(id);
  if (m) demonitor(m.mapped().actor);
  beats_.forget(id);
  auto told = [then]() mutable {
    if (then) then->deliver(caf::unit);
  };
  request<caf::message_priority::high>(job_manager_, told_deadline, task_manager_lost{id, std::move(why)})
      .then(told, [told](caf::error&) mutable { told(); });
}

void job_manager_gateway_actor::on_exit() {
  members_.clear();
  job_manager_ = nullptr;
  artifacts_ = nullptr;
  context_.release();
}

} // namespace dataflow::actors
