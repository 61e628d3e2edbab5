#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <tests/actors/network/network_cluster.hpp>
#include <tests/support/error_of.hpp>
#include <tests/support/tcp_proxy.hpp>
#include <tests/support/temporary_directory.hpp>

using namespace dataflow;
using namespace dataflow::actors;
using test::network_cluster;

// Jobs of this program; `finite` counts records into an accumulator-like metric, `endless` never ends.
DATAFLOW_JOB(network_finite) {
  const auto n = args.get("records", std::int64_t{10'000});
  env.sequence(1, n)
      .key_by([](std::int64_t i) { return i % 10; })
      .reduce([](std::int64_t a, std::int64_t b) { return a + b; })
      .filter([](std::int64_t) { return false; })
      .print();
}

DATAFLOW_JOB(network_endless) {
  env.sequence(1, std::numeric_limits<std::int64_t>::max(), 1000).filter([](std::int64_t) { return false; }).print();
}

DATAFLOW_JOB(network_failing) {
  env.sequence(1, 100)
      .map([](std::int64_t i) {
        if (i == 50) throw std::runtime_error("fifty is too much");
        return i;
      })
      .print();
}

DATAFLOW_JOB(network_refusing) { throw error{errc::invalid_argument, "not today"}; }

// Built by the client, the job manager and the task manager, which fails.
DATAFLOW_JOB(network_loads_late) {
  static std::atomic<int> built{0};
  if (++built == 3) throw error{errc::io_failed, "the disk has a bad day"};
  env.sequence(1, 10).filter([](std::int64_t) { return false; }).print();
}

TEST_CASE("a task manager that could not load a job tries again when the job starts again") {
  // A deployment may overtake the announcement, and fails then for the reason of before.
  network_cluster c{1,
                    1,
                    {{"restart-strategy.type", "fixed-delay"},
                     {"restart-strategy.fixed-delay.delay", "1 ms"},
                     {"restart-strategy.fixed-delay.attempts", "100"}}};
  const auto job = c.submit("network_loads_late");
  const auto result = job->wait();
  CHECK(result.status == job_status::finished);
  const auto& failures = result.final_report.failures;
  CHECK(std::any_of(failures.begin(), failures.end(),
                    [](auto& f) { return f.cause.cause().find("a bad day") != std::string::npos; }));
}

// Only the task behind the exchange that is not with the source fails.
DATAFLOW_JOB(network_poisoned) {
  struct fails_far_away {
    std::uint32_t subtask = 0;
    void open(runtime_context& context) { subtask = context.subtask_index(); }
    std::int64_t operator()(std::int64_t i) const {
      if (subtask == 1) throw std::runtime_error("not here");
      return i;
    }
  };
  env.sequence(1, 200)
      .name("numbers")
      .set_parallelism(1)
      .rebalance()
      .map(fails_far_away{})
      .filter([](std::int64_t) { return false; })
      .print();
}

TEST_CASE("a record that fails a task on another task manager than its source again and again is named") {
  network_cluster c{2,
                    1,
                    {{"restart-strategy.type", "fixed-delay"},
                     {"restart-strategy.fixed-delay.delay", "1 ms"},
                     {"restart-strategy.fixed-delay.attempts", "6"}}};
  configuration two;
  two.set("parallelism.default", "2");
  const auto result = c.submit("network_poisoned", {}, two)->wait();
  CHECK(result.status == job_status::failed);
  const auto why = result.failure.to_string();
  CHECK_MESSAGE(why.find("the record at index ") != std::string::npos, why);
  CHECK(why.find(" of source \"Source: numbers\"") != std::string::npos);
}

TEST_CASE("a job runs on a task manager of another node, and its end reaches the client") {
  network_cluster c{1};
  const auto job = c.submit("network_finite");
  const auto result = job->wait();
  CHECK(result.status == job_status::finished);
  CHECK(result.failure.to_string() == error{}.to_string());
  CHECK(result.id == job->id());
  double in = 0;
  for (auto& g : result.final_report.metrics.groups)
    if (g.scope.operator_name == "Filter") in += g.value("numRecordsIn");
  CHECK(in == 10'000);
  const auto all = c.client->jobs();
  REQUIRE(all.size() == 1);
  CHECK(all[0].id == job->id());
  CHECK(all[0].status == job_status::finished);
  CHECK(all[0].name == "network_finite");
}

TEST_CASE("a job on a cluster can be watched and cancelled, and another client attaches to it") {
  network_cluster c{1};
  const auto job = c.submit("network_endless");
  REQUIRE(test::wait_for_status(*job, job_status::running));
  CHECK(job->report().tasks.size() >= 1);
  const auto other = remote_cluster::connect({"127.0.0.1", c.job_manager.port()});
  const auto same = other->attach(job->id());
  same->cancel();
  CHECK(same->wait().status == job_status::canceled);
  CHECK(test::error_of([&] { other->attach(std::string(32, 'a')); }).code() == errc::job_not_found);
}

TEST_CASE("a user's error on another node reaches the client with its text") {
  network_cluster c{1};
  const auto job = c.submit("network_failing");
  const auto result = job->wait();
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.to_string().find("fifty is too much") != std::string::npos);
}

TEST_CASE("a graph that differs from the client's, a job that does not exist and a refusal are told at submission") {
  network_cluster c{1};
  auto origin = test::origin_of("network_finite");
  origin->fingerprint = "0";
  const auto differs = test::error_of([&] { c.client->submit(origin); });
  CHECK(differs.code() == errc::incompatible_library);
  CHECK(differs.cause().find("another graph") != std::string::npos);
  origin->entry = "network_finit";
  CHECK(test::error_of([&] { c.client->submit(origin); }).code() == errc::job_not_found);
  origin->entry = "network_refusing";
  CHECK(test::error_of([&] { c.client->submit(origin); }).cause().find("not today") != std::string::npos);
  origin->artifact = std::string(64, 'a');
  CHECK(test::error_of([&] { c.client->submit(origin); }).code() == errc::file_not_found);
  CHECK(c.client->jobs().empty());
}

TEST_CASE("a submission that is too large for one message is refused, and names its files") {
  network_cluster c{1, 1, {{"heartbeat.timeout", "1 min"}}}; // so much takes a slow machine longer than 2 s
  auto origin = test::origin_of("network_finite");
  origin->files["/in/words.txt"] = std::string(40 << 20, 'w');
  origin->files["/in/more.txt"] = std::string(24 << 20, 'm');
  for (bool only_asked : {true, false}) {
    const auto refused = test::error_of([&] {
      if (only_asked)
        c.client->check(origin);
      else
        c.client->submit(origin);
    });
    CHECK(refused.code() == errc::record_too_large);
    CHECK(refused.cause().find("/in/words.txt (41943040 bytes)") != std::string::npos);
  }
  origin->files.erase("/in/more.txt");
  CHECK(c.client->submit(origin)->wait().status == job_status::finished);
}

TEST_CASE("a job waits for slots, is told which, and fails when none come in time") {
  network_cluster c{1, 1, {{"slot.request.timeout", "300 ms"}}};
  configuration two;
  two.set("parallelism.default", "2");
  std::mutex mutex;
  std::string waits;
  c.client->on_waiting([&](const std::string& what) {
    std::lock_guard lock{mutex};
    waits = what;
  });
  const auto result = c.submit("network_finite", {}, two)->wait();
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.code() == errc::no_resources);
  CHECK(result.failure.cause().find("needs 2 slots, 1 of 1 are free") != std::string::npos);
  std::lock_guard lock{mutex};
  CHECK(waits.find("needs 2 slots, 1 of 1 are free; it waits until ") != std::string::npos);
}

TEST_CASE("a job that waits for slots goes on when a task manager comes") {
  network_cluster c{0};
  const auto job = c.submit("network_finite");
  c.add_task_manager();
  CHECK(job->wait().status == job_status::finished);
}

TEST_CASE("a task manager that leaves in order is missed at once: its job goes on elsewhere") {
  network_cluster c{1, 1, {{"restart-strategy.type", "fixed-delay"}, {"restart-strategy.fixed-delay.delay", "1 ms"}}};
  const auto job = c.submit("network_endless");
  REQUIRE(test::wait_for_status(*job, job_status::running));
  c.task_managers[0]->leave();
  REQUIRE(c.task_managers[0]->wait_for(std::chrono::seconds{90}));
  CHECK_FALSE(c.task_managers[0]->failure());
  c.add_task_manager();
  while (job->report().restarts == 0 || job->status() != job_status::running)
    REQUIRE_FALSE(job->wait_for(std::chrono::milliseconds{5}));
  const auto failures = job->report().failures;
  CHECK(std::any_of(failures.begin(), failures.end(),
                    [](auto& f) { return f.cause.cause().find("was shut down") != std::string::npos; }));
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
}

TEST_CASE("a task manager finds a job manager that starts later, and registers anew with the next one") {
  auto first = std::make_unique<job_manager_node>(test::network_settings(), test::own_jobs());
  auto settings = test::network_settings(
      {{"jobmanager.rpc.port", std::to_string(first->port())}, {"jobmanager.rpc.address", "127.0.0.1"}});
  first.reset(); // nobody listens there
  test::registrations registered;
  task_manager_node task_manager{settings, test::own_jobs(), registered.taker()};
  CHECK(registered.wait_for_failure().cause().find("no job manager can be reached") != std::string::npos);
  first = std::make_unique<job_manager_node>(settings, test::own_jobs());
  const auto id = registered.wait_for(1);
  first.reset();
  first = std::make_unique<job_manager_node>(settings, test::own_jobs());
  CHECK(registered.wait_for(2) != id);
  const auto client = remote_cluster::connect({"127.0.0.1", first->port()});
  CHECK(client->submit(test::origin_of("network_finite"))->wait().status == job_status::finished);
}

TEST_CASE("a node keeps libraries in a directory of its own, and removes those of processes that were killed") {
  const test::temporary_directory directory;
  const auto libraries = [&] {
    std::size_t n = 0;
    for (auto& e : system_files().list(directory.path()))
      n += e.name.starts_with("dataflow-blobs-");
    return n;
  };
  system_files().create_directories(directory / "dataflow-blobs-1-0");
  system_files().write_file(directory / "dataflow-blobs-1-0/left-over", "");
  {
    const job_manager_node node{test::network_settings({{"io.tmp.dirs", directory.path()}}), test::own_jobs()};
    CHECK_FALSE(system_files().exists(directory / "dataflow-blobs-1-0"));
    CHECK(libraries() == 1);
  }
  CHECK(libraries() == 0);
}

TEST_CASE("two job managers do not share a port") {
  job_manager_node one{test::network_settings()};
  const auto taken = test::network_settings({{"jobmanager.rpc.port", std::to_string(one.port())}});
  const auto e = test::error_of([&] { job_manager_node{taken}; });
  CHECK(e.code() == errc::io_failed);
  CHECK(e.cause().find("port " + std::to_string(one.port())) != std::string::npos);
}

TEST_CASE("a client without a job manager is told where it looked") {
  std::uint16_t port = 0;
  {
    job_manager_node gone{test::network_settings()};
    port = gone.port();
  }
  const auto e = test::error_of([&] { remote_cluster::connect({"127.0.0.1", port}); });
  CHECK(e.code() == errc::component_lost);
  CHECK(e.cause().find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
  CHECK(test::error_of([] { remote_address::parse("localhost"); }).code() == errc::invalid_option);
  CHECK(test::error_of([] { remote_address::parse("localhost:70000"); }).code() == errc::invalid_option);
  CHECK(remote_address::parse("a:1").to_string() == "a:1");
}

TEST_CASE("an attached client finds its job again when its connection was cut") {
  network_cluster c{1};
  test::tcp_proxy between{c.job_manager.port()};
  const auto client = remote_cluster::connect({"127.0.0.1", between.port()}, std::chrono::seconds{30});
  const auto job = client->submit(test::origin_of("network_endless"));
  REQUIRE(test::wait_for_status(*job, job_status::running));
  for (int round = 0; round < 3; ++round) {
    REQUIRE(between.cut() > 0);
    while (job->report().tasks.empty()) // empty while nobody can be asked
      REQUIRE_FALSE(job->wait_for(std::chrono::milliseconds{5}));
  }
  c.client->cancel(job->id());
  CHECK(job->wait().status == job_status::canceled);
}

TEST_CASE("a client that finds its job manager no more says so, and that the job may run on") {
  network_cluster c{1};
  test::tcp_proxy between{c.job_manager.port()};
  const auto client = remote_cluster::connect({"127.0.0.1", between.port()}, std::chrono::milliseconds{300});
  const auto job = client->submit(test::origin_of("network_endless"));
  REQUIRE(test::wait_for_status(*job, job_status::running));
  between.allow(false);
  between.cut();
  const auto result = job->wait();
  CHECK(result.failure.code() == errc::component_lost);
  CHECK(result.failure.advice().find("dataflow list") != std::string::npos);
  CHECK(c.client->jobs().at(0).status == job_status::running);
}

TEST_CASE("a task manager whose connection was cut registers anew, and its job goes on there") {
  network_cluster c{0, 1, {{"restart-strategy.type", "fixed-delay"}, {"restart-strategy.fixed-delay.delay", "1 ms"}}};
  test::tcp_proxy between{c.job_manager.port()};
  c.settings.set("jobmanager.rpc.port", std::to_string(between.port()));
  c.add_task_manager();
  const auto id = c.registered[0]->wait_for(1);
  const auto job = c.submit("network_endless");
  REQUIRE(test::wait_for_status(*job, job_status::running));
  between.cut();
  CHECK(c.registered[0]->wait_for(2) != id);
  while (job->report().restarts == 0 || job->status() != job_status::running)
    REQUIRE_FALSE(job->wait_for(std::chrono::milliseconds{5}));
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
}
