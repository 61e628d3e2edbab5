// The resource manager and task managers that were started for it, without a cluster around it.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/jobmanager/resource_manager.hpp>
#include <dataflow/resources/task_manager_provider.hpp>

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include <mutex>

namespace resource_manager_test {

using namespace dataflow;
using namespace dataflow::actors;

/// Remembers what it is asked for.
class notebook final : public task_manager_provider {
public:
  void start(const task_manager_pool::order& what) override {
    std::lock_guard lock{mutex_};
    started_.push_back(what.id);
  }
  void stop(const std::string& id) override {
    std::lock_guard lock{mutex_};
    stopped_.push_back(id);
  }
  std::vector<ending> ended() override { return {}; }
  void job_manager_listens(std::uint16_t) override {}
  std::vector<std::string> started() {
    std::lock_guard lock{mutex_};
    return started_;
  }
  std::vector<std::string> stopped() {
    std::lock_guard lock{mutex_};
    return stopped_;
  }

private:
  std::mutex mutex_;
  std::vector<std::string> started_, stopped_;
};

struct system_config : caf::actor_system_config {
  system_config() { configure(*this, 1); }
};

struct bench {
  system_config config;
  caf::actor_system system{config};
  std::shared_ptr<notebook> provider = std::make_shared<notebook>();
  cluster_context context;
  caf::scoped_actor master{system}, task_manager{system}, slot{system};
  caf::actor manager;

  bench() {
    context.world = &system_platform();
    context.own_threads = false;
    context.elastic_slots = false;
    task_manager_pool_settings s;
    s.most_slots = 10;
    context.provided = std::make_shared<provided_task_managers>(provided_task_managers{provider, task_manager_pool{s}});
    start();
  }
  ~bench() { caf::anon_send_exit(manager, caf::exit_reason::kill); }
  void start() { manager = system.spawn<resource_manager_actor>(context); }
  void kill() {
    master->monitor(manager);
    caf::anon_send_exit(manager, caf::exit_reason::kill);
    master->receive([](const caf::down_msg&) {});
  }
  /// What the job master is told while it waits.
  std::string wait_for_slot(const std::string& job) {
    master->send(manager, request_slots{job, 1, caf::actor_cast<caf::actor>(master)});
    std::string what;
    master->receive([&](const slots_awaited& m) { what = m.what; });
    return what;
  }
  void offer_slot(const std::string& resource_id) {
    const auto tm = caf::actor_cast<caf::actor>(task_manager);
    const task_manager_address where{"place", "localhost", 1};
    master->send(manager,
                 register_slots{tm, where, {{1, caf::actor_cast<caf::actor>(slot), tm, where, {}, {}}}, resource_id});
  }
  std::size_t granted() {
    std::size_t n = 0;
    master->receive([&](const slots_granted& m) { n = m.slots.size(); });
    return n;
  }
};

} // namespace resource_manager_test
using namespace resource_manager_test;

TEST_CASE("a resource manager that replaces another goes on with the task managers that were started for it") {
  bench b;
  b.wait_for_slot("job");
  REQUIRE(b.provider->started().size() == 1);
  const auto id = b.provider->started()[0];
  b.offer_slot(id);
  CHECK(b.granted() == 1);
  b.kill();
  b.start();
  CHECK(b.wait_for_slot("job").find("1 task manager is being started") != std::string::npos); // it registers again
  CHECK(b.provider->started().size() == 1);
  b.offer_slot(id);
  CHECK(b.granted() == 1);
  b.master->send(b.manager, slots_released{"job", {1}, true});
  b.wait_for_slot("other");
  CHECK(b.provider->stopped() == std::vector{id});
  CHECK(b.provider->started().size() == 2);
}

TEST_CASE("slots of a task manager that was given up are given to nobody") {
  bench b;
  b.wait_for_slot("job");
  const auto id = b.provider->started().at(0);
  b.master->send(b.manager, slots_released{"job", {}, true});
  b.offer_slot(id);
  b.wait_for_slot("job");
  CHECK(b.provider->stopped() == std::vector{id});
  CHECK(b.provider->started().size() == 2);
}
