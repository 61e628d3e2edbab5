#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/network/job_journal.hpp>
#include <dataflow/actors/network/leader_finder.hpp>
#include <dataflow/actors/network/nodes.hpp>
#include <dataflow/actors/network/remote_cluster.hpp>
#include <dataflow/actors/simulation/outcomes.hpp>
#include <dataflow/actors/simulation/simulated_network.hpp>
#include <dataflow/actors/simulation/simulated_nodes.hpp>
#include <dataflow/actors/simulation/simulated_world.hpp>
#include <dataflow/actors/simulation/trace_hash.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/high_availability/ha_services.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <map>
#include <optional>

namespace dataflow {

namespace {

using namespace actors;

enum class node_role : std::uint8_t { job_manager, task_manager, client };

constexpr std::uint16_t job_manager_port = 6123;
constexpr std::chrono::seconds restarted_after{1}; // a job manager that has ended by itself, by whoever runs it
constexpr std::uint64_t longest_end = 10'000'000;  // steps of a node that is killed, or of all at the end

std::uint64_t mixed(std::uint64_t seed, std::string_view name, std::uint64_t life) {
  trace_hasher h;
  h.add(seed);
  h.add(name);
  h.add(life);
  return random_source{h.value()}();
}

} // namespace

struct simulated_nodes::impl {
  /// One life of a node: what a process has. Members end in the order that a process would end in.
  struct life final : simulated_clock::source {
    life(impl& c, const std::string& name, std::uint64_t seed)
        : cluster(c), host(c.network, name, seed), clock(seed ^ 0xc10c), disk(c.files) {
      clock.attach(*this);
      world.clock = &clock;
      world.files = &disk;
      world.sockets = &c.sockets;
      world.threads = nullptr;
      world.seed = seed;
      world.out = &c.out;
      world.err = &c.err;
    }
    steady_time read() const noexcept override { return cluster.time; }
    void spend(steady_time t) noexcept override {
      if (ending) return;
      cluster.time += t;
      if (host.scheduler) host.scheduler->clock().current_time = caf::actor_clock::time_point{cluster.time};
    }
    node_ground ground() {
      node_ground g;
      g.world = &world;
      g.adapt = [this](caf::actor_system_config& config) { host.adapt(config); };
      g.sent = [this](const sent_element& e) {
        if (!ending) cluster.hash.add(e);
      };
      g.run_until = [this](const std::function<bool()>& done, std::chrono::milliseconds longest) {
        return cluster.run_until(done, cluster.time + longest);
      };
      return g;
    }

    impl& cluster;
    simulated_host host;
    simulated_clock clock;
    faulty_file_system disk;
    platform world;
    std::map<caf::actor_id, caf::weak_actor_ptr> actors; // those that have run
    ha_services services;                                // of a job manager
    std::shared_ptr<job_journal> journal;                // while it leads
    std::unique_ptr<job_manager_node> job_manager;
    std::unique_ptr<task_manager_node> task_manager;
    std::shared_ptr<remote_cluster> client;
    bool ending = false;
  };
  struct node {
    std::string name;
    node_role role;
    std::uint32_t lives = 0, registrations = 0;
    std::unique_ptr<life> now; ///< null: it is down
    bool doomed = false;       ///< its disk has failed on request: it dies before the next step
  };

  impl(std::uint64_t s, std::shared_ptr<const job_library> j, nodes_settings wanted)
      : seed(s), jobs(std::move(j)), settings(std::move(wanted)), choices(seed), network(seed ^ 0x6e65, time) {
    auto& all = settings.settings;
    const auto preset = [&](const char* key, const std::string& value) {
      if (!all.is_set(key)) all.set(key, value);
    };
    preset("high-availability.type", "filesystem");
    preset("high-availability.storageDir", "/high-availability");
    preset("high-availability.cluster-id", "simulated");
    preset("execution.checkpointing.dir", "/checkpoints");
    all.set("jobmanager.rpc.port", std::to_string(job_manager_port));
    all.set("jobmanager.rpc.address", "jm1");
    const auto add = [&](const std::string& name, node_role role) { nodes.push_back({name, role, 0, 0, {}, false}); };
    for (std::uint32_t i = 1; i <= std::max(1u, settings.job_managers); ++i)
      add("jm" + std::to_string(i), node_role::job_manager);
    for (std::uint32_t i = 1; i <= settings.task_managers; ++i)
      add("tm" + std::to_string(i), node_role::task_manager);
    add("client", node_role::client);
    for (auto& n : nodes)
      start(n);
  }
  ~impl() {
    agenda.clear();
    for (auto n = nodes.rbegin(); n != nodes.rend(); ++n)
      end(*n);
  }

  node* find(const std::string& name) {
    const auto n = std::find_if(nodes.begin(), nodes.end(), [&](auto& x) { return x.name == name; });
    return n == nodes.end() ? nullptr : &*n;
  }

  // ---- lives

  void start(node& n) {
    n.now = std::make_unique<life>(*this, n.name, mixed(seed, n.name, ++n.lives));
    n.doomed = false;
    auto& l = *n.now;
    note("start " + n.name);
    auto own = settings.settings;
    own.set("io.tmp.dirs", "/tmp/" + n.name);
    own.set("blob.storage.directory", "/tmp/" + n.name + "/blobs");
    own.set("taskmanager.host", n.name);
    if (n.role == node_role::task_manager) {
      const auto changed = [&n](const std::string& id, const error&) { n.registrations += id.empty() ? 0 : 1; };
      l.task_manager = std::make_unique<task_manager_node>(own, jobs, changed, l.ground());
      network.collect(l.host);
    } else if (n.role == node_role::job_manager) {
      l.services = make_ha_services(own, l.world, n.name + ":" + std::to_string(job_manager_port));
      if (l.services.election)
        campaign(n, n.lives, own);
      else
        lead(l, own);
    }
  }
  void lead(life& l, const configuration& own) {
    l.job_manager = std::make_unique<job_manager_node>(own, jobs, job_trial{}, l.journal, l.ground());
    network.collect(l.host);
  }
  /// What the process of a job manager does at each poll.
  void campaign(node& n, std::uint32_t which, const configuration& own) {
    if (n.lives != which || !n.now) return;
    auto& l = *n.now;
    after(l.services.poll_interval, [this, &n, which, own] { campaign(n, which, own); });
    if (l.host.stopped) return;
    const auto change = l.services.election->poll();
    if (change.what == election_change::kind::granted) {
      note(n.name + " leads");
      l.journal = std::make_shared<job_journal>(l.services.store, change.token, l.disk);
      lead(l, own);
    } else if (change.what == election_change::kind::lost) {
      note(n.name + " leads no more");
      end(n);
      after(restarted_after, [this, &n] {
        if (!n.now) start(n);
      });
    }
  }

  /// Its disk and its connections are gone at once; what its actors still do reaches nobody.
  void end(node& n) {
    if (!n.now) return;
    note("end " + n.name);
    auto l = std::move(n.now);
    l->ending = true;
    l->disk.fail_from(1);
    network.remove(l->host);
    l->services.election = nullptr;
    if (l->task_manager) l->task_manager->stop();
    if (l->job_manager) l->job_manager->stop();
    drain(*l);
    l->client = nullptr;
    l->task_manager = nullptr;
    l->job_manager = nullptr;
    l->journal = nullptr;
    l->services = {};
  }
  void drain(life& l) {
    if (!l.host.scheduler) return;
    auto& s = *l.host.scheduler;
    const auto run_all = [&] {
      for (std::uint64_t n = 0; !s.jobs.empty() && n < longest_end; ++n) {
        seen(l, s.jobs.front());
        s.try_run_once();
        network.collect(l.host);
      }
      s.clock().cancel_all();
    };
    for (int round = 0; round < 8; ++round) {
      network.collect(l.host);
      run_all();
      for (auto& [id, a] : l.actors)
        if (auto strong = a.lock()) caf::anon_send_exit(caf::actor_cast<caf::actor>(strong), caf::exit_reason::kill);
      run_all();
      if (s.jobs.empty() && !s.clock().has_pending_timeout() && l.host.system->registry().running() == 0) break;
    }
    l.actors.clear();
  }

  // ---- steps

  caf::scheduled_actor* seen(life& l, caf::resumable* job) {
    auto* a = dynamic_cast<caf::scheduled_actor*>(job);
    // CAF's own are not registered; they end with the system.
    if (a && a->getf(caf::abstract_actor::is_registered_flag))
      l.actors.try_emplace(a->id(), caf::actor_cast<caf::weak_actor_ptr>(a->ctrl()));
    return a;
  }

  void run_job(node& n, std::size_t index, std::size_t choice, std::size_t of) {
    auto& l = *n.now;
    auto& s = *l.host.scheduler;
    auto* job = s.jobs[index];
    auto* a = seen(l, job);
    const std::string_view name = a ? a->name() : "?";
    hash.add(std::uint64_t{a ? a->id() : 0});
    hash.add(name);
    hash.add(std::uint64_t{a ? a->mailbox().size() : 0});
    hash.add(std::uint64_t{choice});
    hash.add(std::uint64_t{of});
    if (settings.keep_trace)
      note(n.name + " " + std::string{name} + " " + std::to_string(a ? a->id() : 0) + " of " + std::to_string(of));
    std::swap(s.jobs.front(), s.jobs[index]);
    s.try_run_once();
    network.collect(l.host);
  }

  void fire_timers() {
    for (auto& n : nodes) {
      if (!n.now || n.now->host.stopped || !n.now->host.scheduler) continue;
      auto& clock = n.now->host.scheduler->clock();
      // Also when it is not behind: what is due at once has come since.
      const auto behind = std::max(steady_time{0}, time - steady_time{clock.now().time_since_epoch()});
      if (clock.advance_time(behind) > 0) network.collect(n.now->host);
    }
  }
  std::optional<steady_time> next_time() {
    auto soonest = network.next();
    const auto consider = [&](steady_time t) {
      if (!soonest || t < *soonest) soonest = t;
    };
    for (auto& n : nodes)
      if (n.now && !n.now->host.stopped && n.now->host.scheduler)
        if (auto& clock = n.now->host.scheduler->clock(); clock.has_pending_timeout())
          consider(clock.schedule().begin()->first.time_since_epoch());
    if (!agenda.empty()) consider(agenda.begin()->first);
    return soonest;
  }
  void act() {
    for (auto& n : nodes)
      if (n.doomed) {
        n.doomed = false;
        end(n);
      }
    while (!agenda.empty() && agenda.begin()->first <= time) {
      const auto what = std::move(agenda.begin()->second);
      agenda.erase(agenda.begin());
      what();
    }
  }

  /// Nothing happens at or after `until`; then time is `until`, and the answer false, as it is when nothing is left.
  bool step(steady_time until = steady_time::max()) {
    time += std::chrono::microseconds{1};
    for (;;) {
      fire_timers();
      act();
      happenings.clear();
      network.events(happenings);
      auto count = happenings.size();
      for (auto& n : nodes)
        if (n.now && !n.now->host.stopped && n.now->host.scheduler) count += n.now->host.scheduler->jobs.size();
      if (count > 0) {
        ++steps;
        run(choices.below(count), count);
        return true;
      }
      const auto next = next_time();
      if (!next) return false;
      if (*next >= until) {
        time = std::max(time, until);
        return false;
      }
      time = std::max(time, *next);
    }
  }
  void run(std::size_t choice, std::size_t of) {
    hash.add(static_cast<std::uint64_t>(time.count()));
    if (choice < happenings.size()) {
      const auto& e = happenings[choice];
      hash.add(e.connection * 8 + static_cast<std::uint64_t>(e.what) * 2 + static_cast<std::uint64_t>(e.side));
      hash.add(std::uint64_t{of});
      if (settings.keep_trace)
        note(e.host->name + " connection " + std::to_string(e.connection) +
             (e.what == simulated_network::event::kind::bytes ? " bytes"
              : e.what == simulated_network::event::kind::end ? " end"
                                                              : " accept"));
      return network.run(e);
    }
    auto index = choice - happenings.size();
    for (auto& n : nodes) {
      if (!n.now || n.now->host.stopped || !n.now->host.scheduler) continue;
      const auto jobs_here = n.now->host.scheduler->jobs.size();
      if (index < jobs_here) return run_job(n, index, choice, of);
      index -= jobs_here;
    }
  }
  bool run_until(const std::function<bool()>& done, steady_time until) {
    until = std::min(until, time + steady_time{settings.time_limit});
    while (!done()) {
      if (time >= until || steps >= settings.step_limit) return false;
      if (!step(until) && time < until) return done();
    }
    return true;
  }

  void after(steady_time t, std::function<void()> what) { agenda.emplace(time + t, std::move(what)); }
  void note(std::string what) {
    if (settings.keep_trace) lines.push_back(std::to_string(time.count() / 1000) + " us " + std::move(what));
  }

  // ---- the client

  void connect(node& n) {
    auto& l = *n.now;
    if (l.client) return;
    auto find_leader = leader_finder(settings.settings, l.world);
    if (find_leader) // the first of them may take a while
      run_until(
          [&] {
            try {
              find_leader();
              return true;
            } catch (const error&) {
              return false;
            }
          },
          time + std::chrono::minutes{1});
    for (int attempt = 0;; ++attempt) {
      try {
        l.client =
            remote_cluster::connect({"jm1", job_manager_port}, std::chrono::hours{24}, find_leader, {}, l.ground());
        return;
      } catch (const error&) {
        if (attempt == 100) throw;
      }
      const auto later = time + std::chrono::milliseconds{100};
      run_until([] { return false; }, later);
    }
  }

  const std::uint64_t seed;
  const std::shared_ptr<const job_library> jobs;
  nodes_settings settings;
  random_source choices;
  steady_time time{1};
  trace_hasher hash;
  std::uint64_t steps = 0;
  std::vector<std::string> lines;
  memory_file_system files;
  memory_network sockets;
  text_buffer out, err;
  simulated_network network;
  std::vector<simulated_network::event> happenings; // of the step at hand
  std::multimap<steady_time, std::function<void()>> agenda;
  std::vector<node> nodes;
};

simulated_nodes::simulated_nodes(std::uint64_t seed, std::shared_ptr<const job_library> jobs, nodes_settings settings)
    : impl_(std::make_unique<impl>(seed, std::move(jobs), std::move(settings))) {}
simulated_nodes::~simulated_nodes() = default;

std::shared_ptr<job_client> simulated_nodes::submit(const std::string& job, std::vector<std::string> arguments,
                                                    const configuration& settings) {
  auto& client = *impl_->find("client");
  impl_->connect(client);
  auto origin = std::make_shared<job_origin>();
  origin->entry = job;
  origin->name = job;
  origin->arguments = std::move(arguments);
  origin->settings = settings;
  origin->submit_time = timestamp{simulated_clock::start_of_time};
  origin->random_seed = dataflow::detail::simulated_job_seed;
  environment_options options;
  options.configuration = settings;
  options.submit_time = origin->submit_time;
  options.random_seed = origin->random_seed;
  options.code = impl_->jobs;
  environment env{options};
  auto args = parameters::from_args(origin->arguments);
  impl_->jobs->build(job, env, args);
  origin->files = args.captured_files();
  origin->fingerprint = fingerprint_of(env.graph(job));
  return client.now->client->submit(origin);
}

bool simulated_nodes::step() { return impl_->step(); }
void simulated_nodes::run_for(std::chrono::milliseconds virtual_time) {
  impl_->run_until([] { return false; }, impl_->time + virtual_time);
}

bool simulated_nodes::kill(const std::string& node) {
  auto* n = impl_->find(node);
  if (!n || !n->now) return false;
  impl_->hash.add(node);
  impl_->end(*n);
  return true;
}
bool simulated_nodes::kill_at_disk_call(const std::string& node, std::uint64_t n) {
  auto* found = impl_->find(node);
  if (!found || !found->now) return false;
  found->now->disk.fail_from(n, [found] { found->doomed = true; });
  return true;
}
bool simulated_nodes::restart(const std::string& node) {
  auto* n = impl_->find(node);
  if (!n || n->now) return false;
  impl_->start(*n);
  return true;
}
bool simulated_nodes::stop(const std::string& node) {
  auto* n = impl_->find(node);
  if (!n || !n->now || n->now->host.stopped) return false;
  impl_->note("stop " + node);
  n->now->host.stopped = true;
  return true;
}
bool simulated_nodes::resume(const std::string& node) {
  auto* n = impl_->find(node);
  if (!n || !n->now || !n->now->host.stopped) return false;
  impl_->note("resume " + node);
  n->now->host.stopped = false;
  return true;
}
void simulated_nodes::cut(const std::string& from, const std::string& to) {
  impl_->note("cut " + from + " -> " + to);
  impl_->network.cut(from, to, true);
}
void simulated_nodes::heal(const std::string& from, const std::string& to) {
  impl_->note("heal " + from + " -> " + to);
  impl_->network.cut(from, to, false);
}
void simulated_nodes::delay(const std::string& from, const std::string& to, std::chrono::microseconds longer) {
  impl_->network.delay(from, to, longer);
}
bool simulated_nodes::reset_connection() {
  impl_->note("reset a connection");
  return impl_->network.reset_one();
}
void simulated_nodes::after(std::chrono::milliseconds virtual_time, std::function<void()> what) {
  impl_->after(virtual_time, std::move(what));
}

std::vector<std::string> simulated_nodes::names() const {
  std::vector<std::string> all;
  for (auto& n : impl_->nodes)
    all.push_back(n.name);
  return all;
}
bool simulated_nodes::is_up(const std::string& node) const {
  const auto* n = impl_->find(node);
  return n && n->now;
}
std::string simulated_nodes::leader() const {
  for (auto& n : impl_->nodes)
    if (n.now && n.now->job_manager) return n.name;
  return {};
}
std::uint32_t simulated_nodes::registrations(const std::string& task_manager) const {
  const auto* n = impl_->find(task_manager);
  return n ? n->registrations : 0;
}
std::uint64_t simulated_nodes::seed() const noexcept { return impl_->seed; }
std::uint64_t simulated_nodes::steps() const noexcept { return impl_->steps; }
std::uint64_t simulated_nodes::trace_hash() const noexcept { return impl_->hash.value(); }
const std::vector<std::string>& simulated_nodes::trace() const noexcept { return impl_->lines; }
std::chrono::nanoseconds simulated_nodes::now() const noexcept { return impl_->time; }
memory_file_system& simulated_nodes::files() noexcept { return impl_->files; }
const std::string& simulated_nodes::printed() const noexcept { return impl_->out.all; }

} // namespace dataflow
