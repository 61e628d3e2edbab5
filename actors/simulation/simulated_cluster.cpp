#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/jobmanager/job_manager.hpp>
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/actors/simulation/simulated_world.hpp>
#include <dataflow/actors/simulation/trace_hash.hpp>
#include <dataflow/util/random.hpp>

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <algorithm>
#include <map>
#include <optional>

namespace dataflow {

namespace {

constexpr std::string_view kind_names[] = {"any",        "job-manager",  "dispatcher", "resource-manager",
                                           "job-master", "task-manager", "slot",       "task"};
constexpr std::string_view name_prefix = "dataflow.";

struct test_config : caf::actor_system_config {
  test_config() { set("scheduler.policy", caf::atom("testing")); }
};

std::optional<actor_kind> kind_of(std::string_view name) {
  if (name.substr(0, name_prefix.size()) != name_prefix) return {};
  name.remove_prefix(name_prefix.size());
  for (std::size_t i = 1; i < std::size(kind_names); ++i)
    if (name == kind_names[i]) return static_cast<actor_kind>(i);
  return {};
}

} // namespace

std::string_view to_string(actor_kind kind) noexcept { return kind_names[static_cast<std::size_t>(kind)]; }

struct simulated_cluster::impl final : actors::simulated_clock::source, std::enable_shared_from_this<impl> {
  struct seen_actor {
    actor_kind kind;
    caf::weak_actor_ptr actor;
  };
  struct planned_kill {
    std::uint64_t at;
    actor_kind kind;
  };
  class client;

  impl(std::uint64_t seed_value, simulation_settings s)
      : seed(seed_value), settings(std::move(s)), choices(seed), ids(seed ^ 0x1d5), world(seed), system(config),
        scheduler(dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())) {
    world.clock.attach(*this);
    const auto slots = settings.settings.integer("taskmanager.numberOfTaskSlots");
    actors::cluster_context context;
    context.world = &world.world;
    context.own_threads = false;
    context.elastic_slots = slots <= 0;
    context.state_memory = actors::state_memory_of(settings.settings);
    context.state_memory.deterministic = true;
    context.sent = [this](const actors::sent_element& e) { hash.add(e); };
    job_manager = system.spawn<actors::job_manager_actor>(context, std::max(1u, settings.task_managers),
                                                          slots > 0 ? static_cast<std::uint32_t>(slots) : 0u);
  }

  /// Ends all actors before their system: whoever has a timer or a message left would keep it alive.
  ~impl() override {
    planned.clear();
    caf::anon_send_exit(job_manager, caf::exit_reason::user_shutdown);
    job_manager = nullptr;
    drain();
    for (auto& [id, a] : seen)
      if (auto strong = a.actor.lock())
        caf::anon_send_exit(caf::actor_cast<caf::actor>(strong), caf::exit_reason::kill);
    drain();
    seen.clear();
    if (system.registry().running() > 0) system.await_actors_before_shutdown(false);
  }

  void drain() {
    do
      while (!scheduler.jobs.empty())
        run(choices.below(scheduler.jobs.size()));
    while (drop_timers());
  }
  bool drop_timers() {
    if (!scheduler.clock().has_pending_timeout()) return false;
    scheduler.clock().cancel_all(); // what it drops may wake others
    return true;
  }

  // the clock's side
  steady_time read() const noexcept override {
    return const_cast<caf::scheduler::test_coordinator&>(scheduler).clock().current_time.time_since_epoch();
  }
  void spend(steady_time t) noexcept override { scheduler.clock().current_time += t; }

  /// One message of the actor at this place of the queue.
  void run(std::size_t index) {
    auto& jobs = scheduler.jobs;
    auto* job = jobs[index];
    std::uint64_t id = 0;
    std::size_t mail = 0;
    std::string_view name = "?";
    if (auto* a = dynamic_cast<caf::scheduled_actor*>(job)) {
      id = a->id();
      name = a->name();
      mail = a->mailbox().size();
      if (auto kind = kind_of(name); kind && !seen.count(id))
        seen.emplace(id, seen_actor{*kind, caf::actor_cast<caf::weak_actor_ptr>(a->ctrl())});
    }
    hash.add(id);
    hash.add(name);
    hash.add(static_cast<std::uint64_t>(read().count()));
    hash.add(mail);
    hash.add(jobs.size());
    if (settings.keep_trace)
      lines.push_back(std::to_string(read().count()) + " " + std::string{name} + " " + std::to_string(id) + " mail " +
                      std::to_string(mail) + " of " + std::to_string(jobs.size()));
    std::swap(jobs.front(), jobs[index]);
    ++steps;
    scheduler.try_run_once();
  }

  /// Nothing happens at or after `until`; then time is `until`, and the answer false, as it is when nothing is left.
  bool step(steady_time until = steady_time::max()) {
    while (!planned.empty() && planned.front().at <= steps) {
      auto kind = planned.front().kind;
      planned.erase(planned.begin());
      kill(kind);
    }
    auto& clock = scheduler.clock();
    clock.advance_time(std::chrono::microseconds{1});
    while (scheduler.jobs.empty()) {
      if (!clock.has_pending_timeout()) return false;
      const auto next = clock.schedule().begin()->first.time_since_epoch();
      if (next >= until) {
        if (read() < until) clock.advance_time(until - read());
        return false;
      }
      clock.advance_time(std::max(steady_time{0}, next - read()));
    }
    run(choices.below(scheduler.jobs.size()));
    return true;
  }

  bool kill(actor_kind kind) {
    std::vector<caf::actor> living;
    for (auto i = seen.begin(); i != seen.end();) {
      auto strong = i->second.actor.lock();
      if (!strong || caf::actor_cast<caf::abstract_actor*>(strong)->getf(caf::abstract_actor::is_terminated_flag)) {
        i = seen.erase(i);
        continue;
      }
      if (i->second.kind == kind || (kind == actor_kind::any && i->second.kind != actor_kind::job_manager))
        living.push_back(caf::actor_cast<caf::actor>(strong));
      ++i;
    }
    if (living.empty()) return false;
    auto& victim = living[choices.below(living.size())];
    if (settings.keep_trace) lines.push_back(std::to_string(read().count()) + " kill " + std::to_string(victim->id()));
    hash.add(victim->id());
    caf::anon_send_exit(victim, caf::exit_reason::kill);
    ++kills;
    return true;
  }

  [[noreturn]] void give_up(const std::string& job, const std::string& why) {
    throw error{errc::timed_out,
                "seed " + std::to_string(seed) + ": job " + job + " " + why + " (virtual time " +
                    std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(read()).count()) + " ms, " +
                    std::to_string(steps) + " steps)"};
  }

  /// Asks the job manager and runs until the answer is there. None: no answer came, and `failure`, if given, says why.
  template <class Answer, class Request>
  std::optional<Answer> ask(Request request, error* failure = nullptr,
                            caf::duration longest = caf::duration{std::chrono::seconds{10}}) {
    struct outcome {
      std::optional<Answer> answer;
      error failure;
    };
    auto got = std::make_shared<outcome>();
    const error silence{errc::component_lost, "the job manager does not answer"};
    if (!job_manager) got->failure = silence;
    if (job_manager)
      system.spawn([got, to = job_manager, request, longest](caf::event_based_actor* self) {
        self->request(to, longest, request)
            .then([got](Answer& a) { got->answer = std::move(a); },
                  [got](caf::error& e) { got->failure = actors::from_caf(e, "the job manager"); });
      });
    while (!got->answer && !got->failure && step()) {
    }
    if (failure && !got->answer) *failure = got->failure ? got->failure : silence;
    return std::move(got->answer);
  }

  const std::uint64_t seed;
  const simulation_settings settings;
  random_source choices, ids;
  actors::simulated_world world;
  test_config config;
  caf::actor_system system;
  caf::scheduler::test_coordinator& scheduler;
  caf::actor job_manager;
  std::map<caf::actor_id, seen_actor> seen; // in the order of their birth
  std::vector<planned_kill> planned;        // by step
  actors::trace_hasher hash;
  std::uint64_t steps = 0;
  std::uint32_t kills = 0;
  std::vector<std::string> lines;
};

/// A job client whose waiting drives the simulation.
class simulated_cluster::impl::client final : public job_client {
public:
  client(std::shared_ptr<impl> cluster, std::shared_ptr<job_client> inner)
      : cluster_(std::move(cluster)), inner_(std::move(inner)) {}
  ~client() override { inner_.reset(); }

  const std::string& id() const noexcept override { return inner_->id(); }
  job_status status() const override { return inner_->status(); }
  void cancel() override { inner_->cancel(); }
  job_result wait() override {
    const auto end = cluster_->read() + cluster_->settings.time_limit;
    const auto last_step = cluster_->steps + cluster_->settings.step_limit;
    while (!ended()) {
      if (!cluster_->step()) cluster_->give_up(id(), "hangs: no message and no timer is left");
      if (cluster_->read() >= end || cluster_->steps >= last_step) cluster_->give_up(id(), "does not end");
    }
    return inner_->wait();
  }
  bool wait_for(std::chrono::milliseconds timeout) override {
    const auto end = cluster_->read() + timeout;
    while (!ended() && cluster_->read() < end && cluster_->step(end)) {
    }
    return ended();
  }
  job_report report() override {
    if (!ended())
      if (auto r = cluster_->ask<job_report>(actors::query_job{id()})) return std::move(*r);
    if (ended()) return inner_->report();
    job_report r;
    r.id = id();
    r.status = status();
    return r;
  }

protected:
  std::string take(const checkpoint_request& what) override {
    error failure;
    const auto taken = cluster_->ask<actors::checkpoint_taken>(actors::request_checkpoint{id(), what}, &failure,
                                                               caf::duration{caf::infinite});
    if (!taken) throw failure;
    if (what.after != after_savepoint::go_on || what.cancel) wait();
    return taken->path;
  }

private:
  bool ended() const { return is_terminal(inner_->status()); }
  std::shared_ptr<impl> cluster_;
  std::shared_ptr<job_client> inner_;
};

simulated_cluster::simulated_cluster(std::uint64_t seed, simulation_settings settings)
    : impl_(std::make_shared<impl>(seed, std::move(settings))) {}
simulated_cluster::~simulated_cluster() = default;

std::shared_ptr<job_client> simulated_cluster::submit(std::shared_ptr<const stream_graph> graph) {
  auto job = actors::make_submission(std::move(graph), impl_->settings.settings, impl_->ids(), impl_->world.world);
  auto client = actors::make_client(impl_->system, impl_->job_manager, *job, nullptr);
  bool accepted = false;
  error failure;
  impl_->system.spawn([&, to = impl_->job_manager](caf::event_based_actor* self) {
    self->request(to, std::chrono::seconds{30}, actors::submit_job{job, client.actor})
        .then([&] { accepted = true; }, [&](caf::error& e) { failure = actors::from_caf(e, "the job manager"); });
  });
  while (!accepted && !failure && impl_->step()) {
  }
  if (!accepted) {
    caf::anon_send_exit(client.actor, caf::exit_reason::user_shutdown);
    throw failure ? failure : error{errc::component_lost, "the job manager does not answer"};
  }
  return std::make_shared<impl::client>(impl_, std::move(client.client));
}

bool simulated_cluster::step() { return impl_->step(); }

void simulated_cluster::run_for(std::chrono::milliseconds virtual_time) {
  const auto end = impl_->read() + virtual_time;
  while (impl_->read() < end && impl_->step(end)) {
  }
}

bool simulated_cluster::kill(actor_kind kind) { return impl_->kill(kind); }

void simulated_cluster::kill_after(std::uint64_t steps, actor_kind kind) {
  auto& p = impl_->planned;
  const impl::planned_kill k{impl_->steps + steps, kind};
  p.insert(std::upper_bound(p.begin(), p.end(), k, [](auto& a, auto& b) { return a.at < b.at; }), k);
}

std::uint32_t simulated_cluster::kills() const noexcept { return impl_->kills; }
std::uint64_t simulated_cluster::seed() const noexcept { return impl_->seed; }
std::uint64_t simulated_cluster::steps() const noexcept { return impl_->steps; }
std::uint64_t simulated_cluster::trace_hash() const noexcept { return impl_->hash.value(); }
const std::vector<std::string>& simulated_cluster::trace() const noexcept { return impl_->lines; }
std::chrono::nanoseconds simulated_cluster::now() const noexcept { return impl_->read(); }
const std::string& simulated_cluster::printed() const noexcept { return impl_->world.out.all; }
const std::string& simulated_cluster::printed_errors() const noexcept { return impl_->world.err.all; }
memory_file_system& simulated_cluster::files() noexcept { return impl_->world.files; }
faulty_file_system& simulated_cluster::disk() noexcept { return impl_->world.disk; }
memory_network& simulated_cluster::sockets() noexcept { return impl_->world.sockets; }
dataflow::platform& simulated_cluster::platform() noexcept { return impl_->world.world; }
caf::actor_system& simulated_cluster::system() noexcept { return impl_->system; }

std::string simulated_cluster::describe_tree() {
  return impl_->ask<std::string>(actors::describe_tree{}).value_or("the job manager does not answer");
}

} // namespace dataflow
