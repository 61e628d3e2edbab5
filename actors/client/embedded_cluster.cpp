#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/client/fine_timers.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/jobmanager/job_manager.hpp>
#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/network/random_id.hpp>
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <caf/all.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <algorithm>
#include <future>
#include <thread>

namespace dataflow::actors {

namespace {

constexpr std::size_t max_throughput = 10;
constexpr std::size_t max_safe_throughput = 50;

struct own_config : caf::actor_system_config {
  explicit own_config(std::uint32_t threads) { configure(*this, threads); }
};

std::uint32_t count_of(const configuration& c, std::string_view key) {
  return static_cast<std::uint32_t>(std::max<std::int64_t>(0, c.integer(key)));
}

} // namespace

void configure(caf::actor_system_config& config, std::uint32_t threads) {
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-throughput", max_throughput);
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  config.set("scheduler.max-threads", std::size_t{threads});
}

std::vector<std::string> unsafe_settings(caf::actor_system& system) {
  std::vector<std::string> lines;
  if (auto t = system.scheduler().max_throughput(); t > max_safe_throughput)
    lines.push_back("scheduler.max-throughput is " +
                    (t == std::numeric_limits<std::size_t>::max() ? std::string{"unlimited"} : std::to_string(t)) +
                    ": a busy task would starve all others; set it to 10 to 50");
  return lines;
}

rocksdb_options state_memory_of(const configuration& settings) {
  rocksdb_options o;
  o.memory_bytes = o.row_bytes = settings.memory_size("taskmanager.memory.managed.size") / 2;
  o.write_buffer_ratio = settings.real("state.backend.rocksdb.memory.write-buffer-ratio");
  return o;
}

caf::actor spawn_cluster(caf::actor_system& system, cluster_context context, const configuration& settings) {
  const auto slots = settings.integer("taskmanager.numberOfTaskSlots");
  context.elastic_slots = slots <= 0;
  context.state_memory = state_memory_of(settings);
  const std::uint32_t managers = 1;
  const auto initial = slots > 0 ? static_cast<std::uint32_t>(slots) : 0u;
  return context.own_threads ? system.spawn<job_manager_actor, caf::detached>(context, managers, initial)
                             : system.spawn<job_manager_actor>(context, managers, initial);
}

std::shared_ptr<const job_submission> make_submission(std::shared_ptr<const stream_graph> graph,
                                                      const configuration& settings, std::uint64_t id_seed,
                                                      const platform& world) {
  return make_submission(make_id(id_seed), std::move(graph), settings, world);
}

namespace {

bool has_checkpoints(const std::string& id, const configuration& settings, file_system& files) {
  const auto root = checkpoint_settings::from(settings).directory;
  if (root.empty()) return false;
  const auto all = file_checkpoint_storage{files, root, id, 0}.list();
  return std::any_of(all.begin(), all.end(), [](const stored_checkpoint& c) { return c.published; });
}

} // namespace

std::shared_ptr<const job_submission> make_submission(std::string id, std::shared_ptr<const stream_graph> graph,
                                                      const configuration& settings, const platform& world,
                                                      std::shared_ptr<const job_origin> origin, bool recovered) {
  auto name = graph->settings.name;
  auto job =
      std::make_shared<job_submission>(job_submission{std::move(id), std::move(name), std::move(graph), settings});
  job->origin = std::move(origin);
  try {
    job->restore = restore_point_of(settings_of(*job), *world.files);
  } catch (const error& e) {
    if (!recovered || !has_checkpoints(job->id, settings_of(*job), *world.files)) throw;
    log_warn({"job manager", job->id, {}}, "what the job was started from cannot be read any more, it goes on from its "
                                           "own checkpoints: " +
                                               e.to_string());
  }
  const auto plan = plan_of(*job);
  if (job->restore) check_restore(*job->restore, *plan, world);
  return job;
}

void hand_in(caf::actor_system& system, const caf::actor& job_manager, const std::shared_ptr<const job_submission>& job,
             const client_pair& client) {
  // A dispatcher may die with the request in its mailbox, and a while may pass before the job manager hears of it and
  // starts another one: until then requests come back at once.
  constexpr int attempts = 30;
  constexpr std::chrono::milliseconds longest_pause{100};
  caf::scoped_actor self{system};
  error failure;
  std::chrono::milliseconds pause{1};
  for (int i = 0; i < attempts; ++i) {
    if (failure) {
      self->receive(caf::after(pause) >> [] {});
      pause = std::min(2 * pause, longest_pause);
    }
    failure = {};
    self->request(job_manager, std::chrono::seconds{30}, submit_job{job, client.actor})
        .receive([] {}, [&](caf::error& e) { failure = from_caf(e, "the job manager"); });
    if (!failure) return;
    if (failure.code() != errc::component_lost) break;
  }
  caf::anon_send_exit(client.actor, caf::exit_reason::user_shutdown);
  throw failure;
}

struct embedded_cluster::impl {
  configuration settings;
  std::unique_ptr<own_config> config; // of our own system
  std::unique_ptr<caf::actor_system> own;
  caf::actor_system* system = nullptr;
  caf::actor job_manager;
  std::future<void> all_ended;

  void start() {
    std::promise<void> ended;
    all_ended = ended.get_future();
    cluster_context context;
    context.world = &system_platform();
    context.alive = std::shared_ptr<const void>(
        new char, [p = std::make_shared<std::promise<void>>(std::move(ended))](const char* c) {
          delete c;
          p->set_value();
        });
    job_manager = spawn_cluster(*system, context, settings);
  }
  ~impl() {
    if (!job_manager) return;
    caf::anon_send_exit(job_manager, caf::exit_reason::user_shutdown);
    job_manager = nullptr;
    all_ended.wait();
  }
};

embedded_cluster::embedded_cluster(caf::actor_system& system, configuration settings)
    : impl_(std::make_shared<impl>()) {
  if (auto unsafe = unsafe_settings(system); !unsafe.empty()) {
    std::string all;
    for (auto& line : unsafe)
      all += (all.empty() ? "" : "; ") + line;
    throw error{errc::unsafe_configuration, "the actor_system cannot host a cluster: " + all,
                "call dataflow::actors::configure(config) before the system is made"};
  }
  impl_->settings = std::move(settings);
  impl_->system = &system;
  impl_->start();
}

embedded_cluster::embedded_cluster(configuration settings) : impl_(std::make_shared<impl>()) {
  fine_timers slack;
  impl_->settings = std::move(settings);
  impl_->config = std::make_unique<own_config>(count_of(impl_->settings, "taskmanager.scheduler.threads"));
  impl_->own = std::make_unique<caf::actor_system>(*impl_->config);
  impl_->system = impl_->own.get();
  impl_->start();
}

embedded_cluster::~embedded_cluster() = default;

const caf::actor& embedded_cluster::job_manager() const noexcept { return impl_->job_manager; }
caf::actor_system& embedded_cluster::system() noexcept { return *impl_->system; }

std::shared_ptr<job_client> embedded_cluster::submit(std::shared_ptr<const stream_graph> graph) {
  return start(std::move(graph)).client;
}

client_pair embedded_cluster::start(std::shared_ptr<const stream_graph> graph) {
  auto job = make_submission(std::move(graph), impl_->settings, random_seed(), system_platform());
  auto client = make_client(*impl_->system, impl_->job_manager, *job, impl_);
  hand_in(*impl_->system, impl_->job_manager, job, client);
  return client;
}

std::string embedded_cluster::describe_tree() {
  std::string text;
  caf::scoped_actor self{*impl_->system};
  self->request(impl_->job_manager, std::chrono::seconds{10}, actors::describe_tree{})
      .receive([&](std::string& t) { text = std::move(t); },
               [&](caf::error& e) { text = from_caf(e, "the job manager").to_string(); });
  return text;
}

namespace {
/// Programs that link this library and name no executor get an embedded cluster.
[[maybe_unused]] const bool registered = [] {
  set_default_executor([](const configuration& settings) -> std::shared_ptr<executor> {
    return std::make_shared<embedded_cluster>(settings);
  });
  return true;
}();
} // namespace

} // namespace dataflow::actors
