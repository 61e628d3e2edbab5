#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/network/data_links.hpp>
#include <dataflow/actors/network/link_actor.hpp>
#include <dataflow/actors/network/transport.hpp>

#include <caf/all.hpp>

#include <map>
#include <mutex>
#include <utility>

namespace dataflow::actors {

struct data_links::shared {
  caf::actor_system& system;
  const clock& time;
  const data_links_settings settings;
  std::shared_ptr<link_directory> directory = std::make_shared<link_directory>();
  std::mutex mutex; // guards what follows
  std::shared_ptr<const void> alive;
  std::string id;
  std::map<std::string, caf::actor> links; // by the other side's id
  random_source random;

  shared(caf::actor_system& s, const clock& t, data_links_settings how, std::shared_ptr<const void> held)
      : system(s), time(t), settings(std::move(how)), alive(std::move(held)), random(settings.seed) {}

  /// REQUIRES: mutex is locked and the process is a task manager.
  caf::actor link(const task_manager_address& peer) {
    auto& l = links[peer.id];
    if (!l) l = system.spawn<link_actor>(link_arguments{id, peer, settings.links, &time, random(), directory, alive});
    return l;
  }
  void end_links() {
    std::map<std::string, caf::actor> old;
    {
      std::lock_guard lock{mutex};
      old.swap(links);
      id.clear();
    }
    for (auto& [peer, link] : old)
      caf::anon_send_exit(link, caf::exit_reason::user_shutdown);
  }
};

namespace {

/// What other task managers reach at the data port: leads them to their link.
class door_actor final : public caf::event_based_actor {
public:
  door_actor(caf::actor_config& config, std::shared_ptr<data_links::shared> links, std::shared_ptr<const void> alive)
      : event_based_actor(config), links_(std::move(links)), alive_(std::move(alive)) {
    keep_exception_texts(*this);
  }
  caf::behavior make_behavior() override {
    return {[this](link_hello& m) -> caf::result<link_welcome> {
      if (m.version != link_version)
        return to_caf(error{errc::incompatible_library,
                            "a task manager with links of version " + std::to_string(m.version) +
                                " connected to one of " + std::to_string(link_version),
                            "run the same version everywhere"});
      caf::actor link;
      {
        std::lock_guard lock{links_->mutex};
        if (m.to.empty() || m.to != links_->id || m.from == m.to || m.from.empty())
          return to_caf(error{errc::stale_message, "there is no task manager " + m.to + " at this address (any more)"});
        link = links_->link({m.from, {}, 0});
      }
      delegate(link, std::move(m));
      return caf::delegated<link_welcome>{};
    }};
  }
  void on_exit() override {
    links_.reset();
    alive_.reset();
  }
  const char* name() const override { return "dataflow.door"; }

private:
  std::shared_ptr<data_links::shared> links_;
  std::shared_ptr<const void> alive_;
};

} // namespace

data_links::data_links(caf::actor_system& system, const clock& time, data_links_settings settings,
                       std::shared_ptr<const void> alive)
    : system_(system), shared_(std::make_shared<shared>(system, time, std::move(settings), alive)),
      door_(system.spawn<door_actor>(shared_, alive)), compress_(shared_->settings.compress) {
  const auto& s = shared_->settings;
  try {
    port_ = listen(system, door_, s.port, s.bind);
  } catch (const error& e) {
    close();
    throw error{e.code(), "for the data of other task managers, " + e.cause(),
                "another process may use it: stop that, or set taskmanager.data.port to another one (0: any)"};
  }
}

data_links::~data_links() { close(); }

void data_links::become(const std::string& id) {
  shared_->end_links();
  std::lock_guard lock{shared_->mutex};
  shared_->id = id;
}

caf::actor data_links::link_to(const task_manager_address& peer) {
  std::lock_guard lock{shared_->mutex};
  if (shared_->id.empty()) return {};
  return shared_->link(peer);
}

void data_links::add_task(std::uint64_t address, const caf::actor& task) { shared_->directory->add(address, task); }
void data_links::remove_task(std::uint64_t address) { shared_->directory->remove(address); }

data_links_statistics data_links::statistics() const {
  auto value = [](const std::atomic<std::uint64_t>& x) { return x.load(std::memory_order_relaxed); };
  const auto& c = shared_->directory->counts;
  return {value(c.frames_sent), value(c.frames_received), value(c.bytes_sent),   value(c.bytes_received),
          value(c.connections), value(c.broken),          value(c.stale_frames), value(c.unknown_tasks)};
}

void data_links::close() {
  if (!door_) return;
  if (port_ != 0) stop_listening(system_, port_);
  shared_->end_links();
  caf::anon_send_exit(door_, caf::exit_reason::user_shutdown);
  door_ = nullptr;
  std::lock_guard lock{shared_->mutex};
  shared_->alive.reset();
}

} // namespace dataflow::actors
