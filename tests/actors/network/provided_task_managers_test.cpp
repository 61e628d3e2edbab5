// Task managers that the job manager has started when jobs need slots, here as nodes of this process.
#include <dataflow/resources/task_manager_provider.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <tests/actors/network/network_cluster.hpp>

DATAFLOW_JOB(provided_finite) {
  env.sequence(1, 1000).filter([](std::int64_t) { return false; }).print();
}

DATAFLOW_JOB(provided_endless) {
  env.sequence(1, std::numeric_limits<std::int64_t>::max(), 1000).filter([](std::int64_t) { return false; }).print();
}

namespace provided_task_managers_test {

using namespace dataflow;
using namespace dataflow::actors;
using namespace std::chrono_literals;

/// Task managers as nodes.
class nodes_of_this_process final : public task_manager_provider {
public:
  explicit nodes_of_this_process(configuration settings) : settings_(std::move(settings)) {}

  void start(const task_manager_pool::order& what) override {
    std::lock_guard lock{mutex_};
    orders_.push_back(what);
    changed_.notify_all();
    if (!failure_.empty()) throw error{errc::io_failed, failure_};
    if (held_) return;
    auto own = settings_;
    own.set("jobmanager.rpc.address", "127.0.0.1");
    own.set("jobmanager.rpc.port", std::to_string(port_));
    own.set("taskmanager.resource-id", what.id);
    nodes_[what.id] = std::make_unique<task_manager_node>(own, test::own_jobs());
  }
  void stop(const std::string& id) override {
    std::lock_guard lock{mutex_};
    if (const auto n = nodes_.find(id); n != nodes_.end())
      n->second->leave();
    else
      ended_.push_back({id, "nobody"});
  }
  std::vector<ending> ended() override {
    std::lock_guard lock{mutex_};
    for (auto n = nodes_.begin(); n != nodes_.end();) {
      if (!n->second->wait_for(0ms)) {
        ++n;
        continue;
      }
      ended_.push_back({n->first, "left"});
      n = nodes_.erase(n);
      changed_.notify_all();
    }
    return std::exchange(ended_, {});
  }
  void job_manager_listens(std::uint16_t port) override {
    std::lock_guard lock{mutex_};
    port_ = port;
  }

  /// Nothing is started, for this reason.
  void fail_with(const std::string& why) {
    std::lock_guard lock{mutex_};
    failure_ = why;
  }
  /// What is started never comes.
  void hold() {
    std::lock_guard lock{mutex_};
    held_ = true;
  }
  /// One dies, without a word.
  void kill(const std::string& id) {
    std::lock_guard lock{mutex_};
    nodes_.at(id)->stop();
  }
  std::vector<task_manager_pool::order> orders() {
    std::lock_guard lock{mutex_};
    return orders_;
  }
  /// Waits until so many have been ordered since the beginning.
  task_manager_pool::order wait_for_order(std::size_t n) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return orders_.size() >= n; });
    return orders_[n - 1];
  }
  void wait_until_empty() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return nodes_.empty(); });
  }

private:
  const configuration settings_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint16_t port_ = 0;
  std::string failure_;
  bool held_ = false;
  std::vector<task_manager_pool::order> orders_;
  std::map<std::string, std::unique_ptr<task_manager_node>> nodes_;
  std::vector<ending> ended_;
};

/// A cluster without a task manager.
struct providing_cluster {
  configuration settings;
  std::shared_ptr<nodes_of_this_process> provider;
  job_manager_node job_manager;
  std::shared_ptr<remote_cluster> client;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> awaited;

  explicit providing_cluster(std::vector<std::pair<std::string, std::string>> more = {})
      : settings(test::network_settings(std::move(more))), provider(std::make_shared<nodes_of_this_process>(settings)),
        job_manager(settings, test::own_jobs(), {}, {}, {}, provider),
        client(remote_cluster::connect({"127.0.0.1", job_manager.port()}, 5s)) {
    client->on_waiting([this](const std::string& what) {
      std::lock_guard lock{mutex};
      awaited.push_back(what);
      changed.notify_all();
    });
  }
  std::shared_ptr<job_client> submit(const std::string& entry, const std::string& parallelism = "1") {
    configuration of_job;
    of_job.set("parallelism.default", parallelism);
    return client->submit(test::origin_of(entry, {}, of_job));
  }
  /// Until a client is told that a job waits, with these words.
  void wait_for_word(const std::string& text) {
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] {
      return std::any_of(awaited.begin(), awaited.end(), [&](auto& a) { return a.find(text) != std::string::npos; });
    });
  }
};

std::vector<std::pair<std::string, std::string>> restarting() {
  return {{"restart-strategy.type", "fixed-delay"},
          {"restart-strategy.fixed-delay.attempts", "100"},
          {"restart-strategy.fixed-delay.delay", "1 ms"}};
}

} // namespace provided_task_managers_test
using namespace provided_task_managers_test;

TEST_CASE("a job that needs slots has task managers started, which are stopped when it has ended") {
  providing_cluster c;
  CHECK(c.submit("provided_finite", "2")->wait().status == job_status::finished);
  c.provider->wait_until_empty();
  const auto orders = c.provider->orders();
  REQUIRE(orders.size() == 2);
  CHECK(orders[0].id != orders[1].id);
  CHECK(orders[0].job == orders[1].job);
  CHECK(orders[0].slots == 1);
  CHECK(c.submit("provided_finite")->wait().status == job_status::finished); // on another one
  CHECK(c.provider->orders().size() == 3);
}

TEST_CASE("a job whose started task manager dies goes on on another one, and its neighbour does not notice") {
  providing_cluster c{restarting()};
  const auto first = c.submit("provided_endless");
  REQUIRE(test::wait_for_status(*first, job_status::running));
  const auto second = c.submit("provided_endless");
  REQUIRE(test::wait_for_status(*second, job_status::running));
  CHECK(c.provider->wait_for_order(1).job == first->id());
  CHECK(c.provider->wait_for_order(2).job == second->id());
  c.provider->kill(c.provider->wait_for_order(1).id);
  CHECK(c.provider->wait_for_order(3).job == first->id());
  while (first->report().restarts == 0 || !test::wait_for_status(*first, job_status::running)) {
  }
  CHECK(second->report().restarts == 0);
  CHECK(second->status() == job_status::running);
  first->cancel();
  second->cancel();
  CHECK(first->wait().status == job_status::canceled);
  CHECK(second->wait().status == job_status::canceled);
  c.provider->wait_until_empty();
}

TEST_CASE("started task managers may be shared by jobs, and are stopped when idle") {
  providing_cluster c{{{"resourcemanager.provider.per-job", "false"},
                       {"taskmanager.numberOfTaskSlots", "2"},
                       {"resourcemanager.taskmanager-timeout", "100 ms"}}};
  const auto first = c.submit("provided_endless");
  REQUIRE(test::wait_for_status(*first, job_status::running));
  const auto second = c.submit("provided_endless");
  REQUIRE(test::wait_for_status(*second, job_status::running));
  CHECK(c.provider->orders().size() == 1);
  CHECK(c.provider->orders()[0].slots == 2);
  first->cancel();
  second->cancel();
  c.provider->wait_until_empty();
  CHECK(c.provider->orders().size() == 1);
}

TEST_CASE("a job that waits says that task managers are being started, and why the last one was not") {
  providing_cluster held{};
  held.provider->hold();
  const auto waits = held.submit("provided_finite", "2");
  held.wait_for_word(
      "the job needs 2 slots, 0 of 0 are free, 2 are missing; 2 task managers are being started; it waits until ");
  waits->cancel();
  CHECK(waits->wait().status == job_status::canceled);

  providing_cluster c{{{"slot.request.timeout", "300 ms"}, {"resourcemanager.start-worker.retry-interval", "20 ms"}}};
  c.provider->fail_with("no such machine");
  const auto failed = c.submit("provided_finite")->wait();
  CHECK(failed.status == job_status::failed);
  CHECK(failed.failure.code() == errc::no_resources);
  CHECK(failed.failure.cause() == "the job needs 1 slots, 0 of 0 are free, 1 is missing; the last start failed: "
                                  "no such machine");
  c.wait_for_word("the last start failed: no such machine; it waits until ");
  CHECK(c.provider->orders().size() > 1); // it was tried again
}

TEST_CASE("a job that needs more slots than may be started fails at once") {
  providing_cluster c{{{"slotmanager.number-of-slots.max", "3"}, {"taskmanager.numberOfTaskSlots", "2"}}};
  const auto result = c.submit("provided_finite", "3")->wait();
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.code() == errc::no_resources);
  CHECK(result.failure.cause() == "the job needs 3 slots, and task managers are started for at most 2");
  CHECK(result.failure.advice().find("slotmanager.number-of-slots.max") != std::string::npos);
  CHECK(c.provider->orders().empty());
}

TEST_CASE("a job that cannot get its task managers does not hold up one that has its own") {
  providing_cluster c{{{"slotmanager.number-of-slots.max", "2"}}};
  const auto first = c.submit("provided_endless");
  REQUIRE(test::wait_for_status(*first, job_status::running));
  const auto large = c.submit("provided_endless", "2"); // one is started, the second must wait
  c.wait_for_word("no more are started: slotmanager.number-of-slots.max is 2");
  first->cancel();
  CHECK(first->wait().status == job_status::canceled);
  CHECK(test::wait_for_status(*large, job_status::running));
  large->cancel();
  CHECK(large->wait().status == job_status::canceled);
  c.provider->wait_until_empty();
}

TEST_CASE("a task manager that was started by hand serves all jobs, also beside started ones") {
  providing_cluster c;
  test::registrations registered;
  auto own = c.settings;
  own.set("jobmanager.rpc.address", "127.0.0.1");
  own.set("jobmanager.rpc.port", std::to_string(c.job_manager.port()));
  const task_manager_node by_hand{own, test::own_jobs(), registered.taker()};
  registered.wait_for(1);
  std::size_t before = 0; // its slots come a moment after its registration
  do {
    before = c.provider->orders().size();
    REQUIRE(c.submit("provided_finite")->wait().status == job_status::finished);
  } while (c.provider->orders().size() != before);
  const auto first = c.submit("provided_endless");
  REQUIRE(test::wait_for_status(*first, job_status::running));
  CHECK(c.provider->orders().size() == before);
  CHECK(c.submit("provided_finite")->wait().status == job_status::finished);
  CHECK(c.provider->orders().size() == before + 1);
  first->cancel();
  CHECK(first->wait().status == job_status::canceled);
  CHECK(c.submit("provided_finite")->wait().status == job_status::finished);
  CHECK(c.provider->orders().size() == before + 1);
}
