#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/network/data_links.hpp>
#include <dataflow/actors/network/job_catalogue.hpp>
#include <dataflow/actors/network/job_manager_gateway.hpp>
#include <dataflow/actors/network/random_id.hpp>
#include <dataflow/actors/network/task_manager_member.hpp>
#include <dataflow/actors/network/transport.hpp>
#include <dataflow/actors/taskmanager/task_manager.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

namespace {

constexpr std::chrono::milliseconds shortest_pause{100}, longest_pause{5000};
constexpr std::chrono::seconds greeting_deadline{5}, farewell_deadline{2};
constexpr auto the_job_manager = "job manager"; // as one who is watched
const log_fields here{"task manager", {}, {}};

} // namespace

task_manager_member_actor::task_manager_member_actor(caf::actor_config& config, cluster_context context,
                                                     member_settings settings)
    : event_based_actor(config), context_(std::move(context)), settings_(std::move(settings)), random_(settings_.seed),
      pause_(shortest_pause) {
  keep_exception_texts(*this);
  set_down_handler([this](caf::down_msg& m) { down(m); });
}

caf::behavior task_manager_member_actor::make_behavior() {
  connect();
  return {
      [this](connect_now) { connect(); },
      [this](const heartbeat& m) {
        if (m.leader == leader_ && m.task_manager == context_.where.id)
          beats_.heard(the_job_manager, context_.world->clock->now());
      },
      [this](const expelled& m) {
        if (m.leader == leader_ && m.task_manager == context_.where.id)
          over(error{errc::component_lost, "the job manager has given this task manager up"});
      },
      [this](heartbeat_tick tick) {
        if (leader_.empty() || tick.round != round_) return;
        if (!beats_.tick(context_.world->clock->now()).empty())
          return over(error{errc::component_lost, "the job manager was silent for " +
                                                      std::to_string(beats_.settings().timeout.count()) + " ms"});
        send<caf::message_priority::high>(gateway_, heartbeat{leader_, context_.where.id});
        delayed_send(this, beats_.settings().interval, tick);
      },
      [this](leave_cluster) {
        if (std::exchange(leaving_, true)) return;
        if (leader_.empty()) return left();
        request(gateway_, farewell_deadline, farewell{leader_, context_.where.id})
            .then([this] { left(); }, [this](caf::error&) { left(); });
      },
  };
}

/// The jobs know why their tasks here end: now they may.
void task_manager_member_actor::left() {
  over(error{errc::component_lost, "the task manager leaves"});
  if (!ending_) quit();
}

void task_manager_member_actor::connect() {
  if (leaving_ || !leader_.empty() || ending_) return;
  const auto round = ++round_;
  if (settings_.leader) {
    try {
      auto where = settings_.leader();
      settings_.host = std::move(where.host);
      settings_.port = where.port;
    } catch (...) {
      return retry(current_error(errc::internal));
    }
  }
  connect_to(
      *this, settings_.host, settings_.port,
      [this, round](const caf::actor& gateway) {
        if (round == round_) greet(gateway);
      },
      [this, round](const error& e) {
        if (round == round_)
          retry(error{errc::component_lost, "no job manager can be reached at " + settings_.host + ":" +
                                                std::to_string(settings_.port) + " (" + e.cause() + ")"});
      });
}

/// For a moment CAF may know whoever listened there before: a request to it would wait for its deadline.
void task_manager_member_actor::greet(const caf::actor& gateway) {
  gateway_ = gateway;
  monitor(gateway_);
  context_.where.id = make_id(random_());
  request(gateway, greeting_deadline, hello{process_stamp(), context_.where.id, caf::actor_cast<caf::actor>(this)})
      .then(
          [this, round = round_](const welcome& m) {
            if (round == round_ && !leaving_) joined(m);
          },
          [this, round = round_](caf::error& e) {
            if (round != round_) return;
            demonitor(gateway_);
            gateway_ = nullptr;
            const auto why = from_caf(e, "the job manager");
            if (why.code() != errc::incompatible_library) return retry(why);
            if (settings_.changed) settings_.changed({}, why);
            quit(to_caf(why));
          });
}

void task_manager_member_actor::joined(const welcome& m) {
  leader_ = m.leader;
  pause_ = shortest_pause;
  beats_ = heartbeat_monitor{{m.interval, m.timeout}};
  beats_.watch(the_job_manager, context_.world->clock->now());
  delayed_send(this, std::chrono::milliseconds{0}, heartbeat_tick{round_});
  context_.jobs->use_artifacts(m.artifacts);
  if (context_.links) context_.links->become(context_.where.id);
  task_manager_ =
      context_.own_threads
          ? spawn<task_manager_actor, caf::detached + caf::monitored>(context_, m.index, settings_.slots, m.job_manager)
          : spawn<task_manager_actor, caf::monitored>(context_, m.index, settings_.slots, m.job_manager);
  context_.announce("task manager", task_manager_);
  log_info(here, "registered as " + context_.where.id + " with " + std::to_string(settings_.slots) + " slots");
  if (settings_.changed) settings_.changed(context_.where.id, {});
}

/// The registration is over. The next one begins when the task manager is gone.
void task_manager_member_actor::over(const error& why) {
  ++round_;
  if (!leader_.empty()) {
    if (!leaving_) log_warn(here, "registration " + context_.where.id + " is over: " + why.cause());
    if (gateway_) demonitor(gateway_);
    leader_.clear();
    if (context_.links) context_.links->become({});
    if (settings_.changed && !leaving_) settings_.changed({}, why);
  }
  gateway_ = nullptr;
  if (!task_manager_) return;
  ending_ = task_manager_.address();
  send_exit(std::exchange(task_manager_, {}), caf::exit_reason::kill);
}

void task_manager_member_actor::retry(const error& why) {
  log_warn(here, why.cause() + "; next try in " + std::to_string(pause_.count()) + " ms");
  if (settings_.changed) settings_.changed({}, why);
  delayed_send(this, pause_, connect_now{});
  pause_ = std::min(2 * pause_, longest_pause);
}

void task_manager_member_actor::down(const caf::down_msg& m) {
  if (ending_ && m.source == ending_) {
    ending_ = nullptr;
    if (leaving_) return quit();
    return connect();
  }
  if (task_manager_ && m.source == task_manager_) {
    task_manager_ = nullptr;
    if (!leader_.empty()) send(gateway_, farewell{leader_, context_.where.id});
    over(from_caf(m.reason, "the task manager"));
    return retry(from_caf(m.reason, "the task manager"));
  }
  if (!gateway_ || m.source != gateway_) return;
  const error why{errc::component_lost, "the connection to the job manager ended"};
  if (!leader_.empty()) return over(why);
  ++round_; // it was greeted
  gateway_ = nullptr;
  retry(why);
}

void task_manager_member_actor::on_exit() {
  if (task_manager_) send_exit(task_manager_, caf::exit_reason::kill);
  task_manager_ = nullptr;
  gateway_ = nullptr;
  context_.release();
}

} // namespace dataflow::actors
