#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/client/fine_timers.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/jobmanager/job_manager.hpp>
#include <dataflow/actors/network/job_catalogue.hpp>
#include <dataflow/actors/network/job_journal.hpp>
#include <dataflow/actors/network/job_manager_gateway.hpp>
#include <dataflow/actors/network/leader_finder.hpp>
#include <dataflow/actors/network/link_system.hpp>
#include <dataflow/actors/network/nodes.hpp>
#include <dataflow/actors/network/random_id.hpp>
#include <dataflow/actors/network/task_manager_member.hpp>
#include <dataflow/actors/network/transport.hpp>
#include <dataflow/actors/network/wire.hpp>
#include <dataflow/resources/task_manager_provider.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/process_directory.hpp>
#include <dataflow/util/random.hpp>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <optional>

namespace dataflow::actors {

std::uint64_t node_ground::seed() const { return world ? world->seed : random_seed(); }

namespace {

std::chrono::milliseconds time_of(const configuration& settings, std::string_view key) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(settings.duration(key));
}

/// The job manager is watched by CAF's heartbeats, which task managers want of whom they are connected to, and watches
/// nobody by them: it has its own for task managers, and clients may be silent.
struct node_config : caf::actor_system_config {
  explicit node_config(const configuration& settings) {
    configure(*this,
              static_cast<std::uint32_t>(std::max<std::int64_t>(0, settings.integer("taskmanager.scheduler.threads"))));
    add_wire_types(*this);
  }
  /// Of a job manager.
  node_config(const configuration& settings, const tls_files& tls, std::chrono::milliseconds silence)
      : node_config(settings) {
    use_network(*this, silence);
    if (tls.enabled()) use_tls(*this, tls);
  }
  /// Of a task manager.
  node_config(const configuration& settings, const tls_files& tls) : node_config(settings) {
    configure_links(*this, tls, time_of(settings, "heartbeat.timeout"));
  }
};

/// What both kinds of nodes have: a system, and the knowledge of when all actors have ended.
struct node {
  configuration settings;
  node_config config;
  node_ground ground;
  random_source ids;
  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<artifact_store> store;
  std::optional<process_directory> own_directory; // of job libraries, if the configuration names none
  std::future<void> ended;
  cluster_context context;

  template <class... More>
  explicit node(const configuration& s, node_ground g, const More&... more)
      : settings(s), config(s, more...), ground(std::move(g)), ids(ground.seed()) {
    fine_timers slack;
    if (ground.adapt) ground.adapt(config);
    system = make_system(config);
    auto& files = *ground.outside().files;
    auto directory = settings.text("blob.storage.directory");
    if (directory.empty())
      directory = own_directory.emplace(files, settings.text("io.tmp.dirs"), "dataflow-blobs-").path();
    store = std::make_shared<artifact_store>(files, directory, settings.memory_size("blob.max-size"));
    std::promise<void> p;
    ended = p.get_future();
    context.world = &ground.outside();
    context.own_threads = !ground.stepped();
    context.sent = ground.sent;
    context.elastic_slots = false;
    context.slot_timeout = time_of(settings, "slot.request.timeout");
    context.state_memory = state_memory_of(settings);
    context.state_memory.deterministic = ground.stepped();
    context.alive =
        std::shared_ptr<const void>(new char, [p = std::make_shared<std::promise<void>>(std::move(p))](const char* c) {
          delete c;
          p->set_value();
        });
  }
  ~node() {
    context.release(); // a node that could not be made still holds its links, whose actors would be waited for
    if (system && ground.stepped()) system->await_actors_before_shutdown(false); // whoever steps them has seen to it
    system.reset();
  }
  template <class Actor, class... Args>
  caf::actor spawn_root(Args&&... args) {
    return context.own_threads ? system->spawn<Actor, caf::detached>(std::forward<Args>(args)...)
                               : system->spawn<Actor>(std::forward<Args>(args)...);
  }
  void wait_for_actors() {
    if (!ground.stepped()) ended.wait();
  }
  bool wait_for(std::chrono::milliseconds time) const { return ended.wait_for(time) == std::future_status::ready; }
};

/// Hands the jobs of earlier leaders in again, one after the other, then says so and ends.
class recovery_actor final : public caf::event_based_actor {
public:
  recovery_actor(caf::actor_config& config, std::vector<job_journal::unfinished_job> jobs, caf::actor gateway,
                 std::function<void()> done)
      : event_based_actor(config), jobs_(std::move(jobs)), gateway_(std::move(gateway)), done_(std::move(done)) {}
  caf::behavior make_behavior() override {
    next();
    return {[](attach_client) {}}; // waits for answers only
  }
  void on_exit() override { gateway_ = nullptr; }
  const char* name() const override { return "dataflow.recovery"; }

private:
  void next() {
    if (at_ == jobs_.size()) {
      done_();
      return quit();
    }
    const auto& job = jobs_[at_++];
    const log_fields here{"job manager", job.id, {}};
    log_info(here, "the job is recovered");
    request(gateway_, std::chrono::minutes{1}, submit_origin{job.id, job.origin, nullptr, false, true})
        .then([this](const job_accepted&) { next(); },
              [this, here](caf::error& e) {
                log_error(here, "the job is not recovered: " + from_caf(e, "the job manager").to_string());
                next();
              });
  }
  const std::vector<job_journal::unfinished_job> jobs_;
  std::size_t at_ = 0;
  caf::actor gateway_;
  const std::function<void()> done_;
};

} // namespace

struct job_manager_node::impl : node {
  std::string leader = make_id(ids());
  caf::actor root, gateway;
  std::atomic<std::uint16_t> port{0};

  std::string address; // to listen on
  std::shared_ptr<task_manager_provider> provider;

  impl(const configuration& s, program_jobs own, job_trial trial, const std::shared_ptr<job_journal>& journal,
       const node_ground& g, std::shared_ptr<task_manager_provider> p)
      : impl(s, std::move(own), std::move(trial), journal, g, tls_files::from(s, *g.outside().files), std::move(p)) {}
  impl(const configuration& s, program_jobs own, job_trial trial, const std::shared_ptr<job_journal>& journal,
       node_ground g, const tls_files& tls, std::shared_ptr<task_manager_provider> p)
      : node(s, std::move(g), tls, std::chrono::milliseconds{0}), address(settings.text("jobmanager.bind-host")),
        provider(std::move(p)) {
    check_listener(address, "jobmanager.bind-host", tls);
    context.journal = journal;
    if (provider)
      context.provided = std::make_shared<provided_task_managers>(provided_task_managers{
          provider, task_manager_pool{pool_settings_of(settings, "taskmanager-" + leader.substr(0, 8))}});
    auto intake = std::make_shared<const job_intake>(job_intake{settings, store, std::move(own), std::move(trial)});
    const heartbeat_settings beats{time_of(settings, "heartbeat.interval"), time_of(settings, "heartbeat.timeout")};
    if (beats.timeout <= beats.interval)
      throw error{errc::invalid_option, "heartbeat.timeout is not longer than heartbeat.interval",
                  "allow for several intervals"};
    root = spawn_root<job_manager_actor>(context, 0u, 0u);
    gateway = spawn_root<job_manager_gateway_actor>(context, intake, beats, leader, root);
    context.release();
    try {
      if (journal) recover(*journal);
      if (!journal || !ground.stepped()) open();
    } catch (...) {
      stop();
      wait_for_actors();
      throw;
    }
  }
  ~impl() {
    stop();
    wait_for_actors();
  }
  void open() {
    port = listen(*system, gateway, static_cast<std::uint16_t>(settings.integer("jobmanager.rpc.port")), address);
    if (provider) provider->job_manager_listens(port);
  }
  /// A client that comes back finds its job: nobody can connect before.
  void recover(job_journal& journal) {
    auto recovered = std::make_shared<std::promise<void>>();
    system->spawn<recovery_actor>(journal.unfinished(*store), gateway, [this, recovered] {
      if (ground.stepped()) open();
      recovered->set_value();
    });
    if (!ground.stepped()) recovered->get_future().wait();
  }
  void stop() {
    if (!root) return;
    if (port != 0 && !ground.stepped()) stop_listening(*system, port); // else with the actor system
    caf::anon_send_exit(root, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(gateway, caf::exit_reason::user_shutdown);
    root = nullptr;
    gateway = nullptr;
  }
};

job_manager_node::job_manager_node(const configuration& settings, program_jobs own, job_trial trial,
                                   std::shared_ptr<job_journal> journal, const node_ground& ground,
                                   std::shared_ptr<task_manager_provider> provider)
    : impl_(std::make_unique<impl>(settings, std::move(own), std::move(trial), journal, ground, std::move(provider))) {}
job_manager_node::~job_manager_node() = default;
void job_manager_node::stop() { impl_->stop(); }
std::uint16_t job_manager_node::port() const noexcept { return impl_->port; }
const std::string& job_manager_node::leader() const noexcept { return impl_->leader; }
bool job_manager_node::wait_for(std::chrono::milliseconds time) const { return impl_->wait_for(time); }

std::string job_manager_node::describe_tree() {
  std::string text;
  caf::scoped_actor self{*impl_->system};
  self->request(impl_->root, std::chrono::seconds{10}, actors::describe_tree{})
      .receive([&](std::string& t) { text = std::move(t); },
               [&](caf::error& e) { text = from_caf(e, "the job manager").to_string(); });
  return text;
}

struct task_manager_node::impl : node {
  std::shared_ptr<data_links> links;
  caf::actor member;
  mutable std::mutex mutex;
  error why;

  impl(const configuration& s, program_jobs own, std::function<void(const std::string&, const error&)> changed,
       const node_ground& g)
      : impl(s, std::move(own), std::move(changed), g, tls_files::from(s, *g.outside().files)) {}
  impl(const configuration& s, program_jobs own, std::function<void(const std::string&, const error&)> changed,
       node_ground g, const tls_files& tls)
      : node(s, std::move(g), tls) {
    links = std::make_shared<data_links>(*system, *context.world->clock, data_links_settings_of(settings, tls, ids()));
    context.jobs = std::make_shared<job_catalogue>(settings, store, std::move(own));
    context.links = links;
    context.where.host = settings.text("taskmanager.host");
    context.resource_id = settings.text("taskmanager.resource-id");
    const auto announced = settings.integer("taskmanager.data.port");
    context.where.data_port = announced != 0 ? static_cast<std::uint16_t>(announced) : links->port();
    member_settings m;
    m.host = settings.text("jobmanager.rpc.address");
    m.port = static_cast<std::uint16_t>(settings.integer("jobmanager.rpc.port"));
    m.leader = leader_finder(settings, *context.world);
    m.slots = static_cast<std::uint32_t>(std::max<std::int64_t>(1, settings.integer("taskmanager.numberOfTaskSlots")));
    m.seed = ids();
    m.changed = [this, told = std::move(changed)](const std::string& id, const error& e) {
      if (e.code() == errc::incompatible_library) {
        std::lock_guard lock{mutex};
        why = e;
      }
      if (told) told(id, e);
    };
    member = spawn_root<task_manager_member_actor>(context, m);
    context.release();
  }
  ~impl() {
    stop();
    wait_for_actors();
    links->close();
    if (!ground.stepped()) system.reset();
  }
  void stop() {
    if (!member) return;
    caf::anon_send_exit(member, caf::exit_reason::user_shutdown);
    if (ground.stepped()) links->close(); // its actors end with those that are stepped to their end
    member = nullptr;
  }
};

task_manager_node::task_manager_node(const configuration& settings, program_jobs own,
                                     std::function<void(const std::string&, const error&)> changed,
                                     const node_ground& ground)
    : impl_(std::make_unique<impl>(settings, std::move(own), std::move(changed), ground)) {}
task_manager_node::~task_manager_node() = default;
void task_manager_node::stop() { impl_->stop(); }
void task_manager_node::leave() { caf::anon_send<caf::message_priority::high>(impl_->member, leave_cluster{}); }
bool task_manager_node::wait_for(std::chrono::milliseconds time) const { return impl_->wait_for(time); }
error task_manager_node::failure() const {
  std::lock_guard lock{impl_->mutex};
  return impl_->why;
}

} // namespace dataflow::actors
