// Every kind of actor dies, at every bad moment: the job ends finished or failed with the cause, never not at all.
#include <dataflow/actors/errors.hpp>
#include <dataflow/util/log.hpp>

#include <tests/actors/test_cluster.hpp>

using namespace dataflow;
using namespace dataflow::test;

namespace {

const std::string every_kind[] = {"task", "slot", "task manager", "resource manager", "dispatcher", "job master"};

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("each kind of actor is killed while a job runs: the job goes on to its end") {
  log_capture log;
  for (const auto& kind : every_kind) {
    INFO(kind);
    test_cluster cluster{restarting(3)};
    auto control = std::make_shared<job_control>();
    auto job = cluster.start(paced_job(control)).client;
    control->wait_for_records(*job, 50);
    const auto before = cluster.count(kind);
    cluster.kill(kind);
    cluster.wait_for(kind, before + 1);
    control->wait_for_records(*job, 50);
    control->may_end = true;
    const auto result = result_of(*job);
    CHECK_MESSAGE(result.status == job_status::finished, result.failure.to_string());
    const bool touches_data = kind == "task" || kind == "slot" || kind == "task manager";
    CHECK(result.restarts == (touches_data ? 1 : 0));
  }
}

TEST_CASE("each kind of actor is killed as soon as it exists: the job runs all the same") {
  log_capture log;
  for (const auto& kind : every_kind) {
    INFO(kind);
    test_cluster cluster{restarting(3), [&](std::string_view k, std::size_t number, const caf::actor& who) {
                           if (k == kind && number == 1) caf::anon_send_exit(who, caf::exit_reason::kill);
                         }};
    auto control = std::make_shared<job_control>();
    control->may_end = true;
    auto job = cluster.start(paced_job(control)).client;
    const auto result = result_of(*job);
    CHECK_MESSAGE(result.status == job_status::finished, result.failure.to_string());
  }
}

TEST_CASE("each kind of actor is killed while the job restarts: it restarts once more") {
  log_capture log;
  for (const auto& kind : every_kind) {
    INFO(kind);
    std::mutex mutex;
    std::map<std::string, caf::actor_addr, std::less<>> newest;
    test_cluster cluster{restarting(5), [&](std::string_view k, std::size_t number, const caf::actor& who) {
                           std::lock_guard lock{mutex};
                           newest[std::string{k}] = who.address();
                           if (k == "task" && number == 6) // the second task of the second attempt
                             caf::anon_send_exit(newest.find(kind)->second, caf::exit_reason::kill);
                         }};
    auto control = std::make_shared<job_control>();
    auto failed = std::make_shared<std::atomic<bool>>(false);
    auto job = cluster
                   .start(paced_job(control,
                                    [failed](std::int64_t x) -> std::int64_t {
                                      if (x == 30 && !failed->exchange(true)) throw std::runtime_error{"once"};
                                      return x;
                                    }))
                   .client;
    cluster.wait_for("task", 6);
    control->may_end = true;
    const auto result = result_of(*job);
    CHECK_MESSAGE(result.status == job_status::finished, result.failure.to_string());
    if (kind != "job master") CHECK(result.restarts >= 1); // a new job master counts from 0
  }
}

TEST_CASE("an exception in a down handler of each kind of actor is its death, and never leaves a job hanging") {
  log_capture log;
  struct {
    std::string watcher, victim;
  } const cases[] = {{"slot", "task"},
                     {"task manager", "slot"},
                     {"resource manager", "task manager"},
                     {"job master", "slot"},
                     {"dispatcher", "job master"}};
  for (const auto& c : cases) {
    INFO(c.watcher);
    std::atomic<bool> thrown{false};
    test_cluster cluster{restarting(5), {}, 3, [&](std::string_view kind, actors::actor_moment when) {
                           if (kind == c.watcher && when == actors::actor_moment::down_handler &&
                               !thrown.exchange(true))
                             throw std::runtime_error{"a bad day"};
                         }};
    auto control = std::make_shared<job_control>();
    auto job = cluster.start(paced_job(control)).client;
    control->wait_for_records(*job, 50);
    cluster.kill(c.victim);
    while (!thrown && !job->wait_for(std::chrono::milliseconds{1})) {
    }
    control->wait_for_records(*job, 50);
    control->may_end = true;
    const auto result = result_of(*job);
    CHECK(thrown);
    CHECK_MESSAGE(result.status == job_status::finished, result.failure.to_string());
    CHECK(log.contains("a bad day"));
  }
}

TEST_CASE("an exception in the constructor or a handler of each kind of actor never leaves a job hanging") {
  log_capture log;
  for (const auto when : {actors::actor_moment::constructor, actors::actor_moment::handler})
    for (const auto& kind : every_kind) {
      if (kind == "task") continue; // runs users' code, see user_errors_test.cpp
      INFO(kind);
      CAPTURE(static_cast<int>(when));
      std::atomic<bool> thrown{false};
      test_cluster cluster{restarting(5), {}, 3, [&](std::string_view k, actors::actor_moment w) {
                             if (k == kind && w == when && !thrown.exchange(true))
                               throw std::runtime_error{"a bad day"};
                           }};
      auto control = std::make_shared<job_control>();
      control->may_end = true;
      auto job = cluster.start(paced_job(control)).client;
      const auto result = result_of(*job);
      CHECK(thrown);
      CHECK_MESSAGE(result.status == job_status::finished, result.failure.to_string());
      CHECK(log.contains("a bad day"));
    }
}

TEST_CASE("an exception in the job manager ends the cluster; clients are told why") {
  log_capture log;
  {
    test_cluster cluster{restarting(5), {}, 3, [](std::string_view kind, actors::actor_moment when) {
                           if (kind == "job manager" && when == actors::actor_moment::down_handler)
                             throw std::runtime_error{"a bad day"};
                         }};
    auto control = std::make_shared<job_control>();
    auto job = cluster.start(paced_job(control)).client;
    control->wait_for_records(*job, 20);
    cluster.kill("resource manager");
    const auto result = result_of(*job);
    CHECK(result.status == job_status::failed);
    CHECK_MESSAGE(contains(result.failure.to_string(), "a bad day"), result.failure.to_string());
  }
  test_cluster cluster{restarting(5), {}, 3, [](std::string_view kind, actors::actor_moment when) {
                         if (kind == "job manager" && when == actors::actor_moment::handler)
                           throw std::runtime_error{"a bad day"};
                       }};
  CHECK_THROWS_AS(cluster.start(paced_job(std::make_shared<job_control>())), error);
}

TEST_CASE("with the failover strategy `full` a death restarts all tasks of the job, else those of its region") {
  log_capture log;
  for (const std::string strategy : {"region", "full"}) {
    INFO(strategy);
    auto settings = restarting(3);
    settings.set("jobmanager.execution.failover-strategy", strategy);
    test_cluster cluster{settings};
    auto control = std::make_shared<job_control>();
    auto graph = paced_job(control);
    for (node_id n = 0; n < graph->nodes().size(); ++n)
      graph->node(n).parallelism = 2; // two chains of everything: two regions
    auto job = cluster.start(graph).client;
    control->wait_for_records(*job, 20);
    cluster.wait_for("task", 2);
    cluster.kill("task");
    cluster.wait_for("task", strategy == "full" ? 4 : 3);
    control->may_end = true;
    const auto result = result_of(*job);
    CHECK(result.status == job_status::finished);
    CHECK(result.restarts == 1);
    CHECK(cluster.count("task") == (strategy == "full" ? 4 : 3));
  }
}

TEST_CASE("without a restart strategy the death of a task, slot or task manager fails the job with the cause") {
  log_capture log;
  for (const std::string kind : {"task", "slot", "task manager"}) {
    INFO(kind);
    test_cluster cluster;
    auto control = std::make_shared<job_control>();
    auto job = cluster.start(paced_job(control)).client;
    control->wait_for_records(*job, 20);
    cluster.kill(kind);
    const auto result = result_of(*job);
    CHECK(result.status == job_status::failed);
    CHECK(result.failure.code() == errc::task_lost);
    CHECK(contains(result.failure.cause(), kind == "task" ? "was killed" : "the slot that ran the task is gone"));
  }
}

TEST_CASE("the job manager is killed: clients are told, everything below it ends") {
  log_capture log;
  test_cluster cluster{restarting(3)};
  auto control = std::make_shared<job_control>();
  auto job = cluster.start(paced_job(control)).client;
  control->wait_for_records(*job, 20);
  caf::anon_send_exit(cluster.root, caf::exit_reason::kill);
  const auto result = result_of(*job);
  CHECK(result.status == job_status::failed);
  CHECK(contains(result.failure.to_string(), "the job manager was killed"));
  // The destructor of the cluster waits for every actor.
}

TEST_CASE("too many deaths of the control plane end the cluster, and the client has the chain of causes") {
  log_capture log;
  test_cluster cluster{{},
                       [](std::string_view k, std::size_t number, const caf::actor& who) {
                         if (k == "dispatcher" && number > 1) caf::anon_send_exit(who, caf::exit_reason::kill);
                       },
                       2};
  auto control = std::make_shared<job_control>();
  auto job = cluster.start(paced_job(control)).client;
  cluster.kill("dispatcher");
  const auto result = result_of(*job);
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.code() == errc::restart_limit_exceeded);
  CHECK(contains(result.failure.cause(), "job manager gave up restarting"));
  CHECK(contains(result.failure.cause(), "dispatcher was killed"));
  CHECK(cluster.count("dispatcher") == 3); // the first one and two restarts
}

TEST_CASE("a job whose job master dies again and again fails; other jobs notice nothing") {
  log_capture log;
  test_cluster cluster{{},
                       [](std::string_view k, std::size_t number, const caf::actor& who) {
                         if (k == "job master" && number > 1) caf::anon_send_exit(who, caf::exit_reason::kill);
                       },
                       2};
  auto good = std::make_shared<job_control>(), bad = std::make_shared<job_control>();
  auto running = cluster.start(paced_job(good)).client;
  good->wait_for_records(*running, 20);
  auto doomed = cluster.start(paced_job(bad)).client;
  const auto result = result_of(*doomed);
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.code() == errc::restart_limit_exceeded);
  CHECK(contains(result.failure.cause(), "was killed"));
  CHECK(result.final_report.failures.size() == 3);
  good->may_end = true;
  CHECK(result_of(*running).status == job_status::finished);
  CHECK(cluster.count("dispatcher") == 1);
}

TEST_CASE("the slots of a job master that died are free again") {
  log_capture log;
  auto settings = restarting(3);
  settings.set("taskmanager.numberOfTaskSlots", "2");
  test_cluster cluster{settings};
  auto control = std::make_shared<job_control>();
  auto job = cluster.start(paced_job(control)).client; // takes both
  for (std::size_t i = 1; i <= 3; ++i) {
    control->wait_for_records(*job, 20);
    cluster.kill("job master", i);
    cluster.wait_for("job master", i + 1);
  }
  control->wait_for_records(*job, 20);
  cluster.kill("resource manager");
  auto second_control = std::make_shared<job_control>();
  second_control->may_end = true;
  auto second = cluster.start(paced_job(second_control)).client;
  control->may_end = true;
  CHECK(result_of(*job).status == job_status::finished);
  CHECK(result_of(*second).status == job_status::finished);
}

TEST_CASE("a cancel is not lost with a dispatcher or a job master") {
  log_capture log;
  for (const std::string kind : {"dispatcher", "job master", "resource manager"}) {
    INFO(kind);
    test_cluster cluster{restarting(3)};
    auto control = std::make_shared<job_control>();
    auto job = cluster.start(paced_job(control)).client;
    cluster.kill(kind);
    job->cancel();
    CHECK(result_of(*job).status == job_status::canceled);
  }
}

TEST_CASE("the tree shows who was restarted and why") {
  log_capture log;
  test_cluster cluster{restarting(3)};
  auto control = std::make_shared<job_control>();
  auto job = cluster.start(paced_job(control)).client;
  control->wait_for_records(*job, 20);
  cluster.kill("dispatcher");
  cluster.wait_for("dispatcher", 2);
  cluster.kill("job master");
  cluster.wait_for("job master", 2);
  control->wait_for_records(*job, 20);
  const auto tree = cluster.tree();
  INFO(tree);
  CHECK(contains(tree, "dispatcher, restarted 1 times; last failure: component_lost: dispatcher was killed"));
  CHECK(contains(tree, "job master of"));
  CHECK(contains(tree, "slot 1"));
  CHECK(contains(tree, "failed: component_lost: the job master of"));
  control->may_end = true;
  CHECK(result_of(*job).status == job_status::finished);
}

TEST_CASE("the handle of a job is an actor that ends with the job, with its reason") {
  log_capture log;
  test_cluster cluster;
  auto reason_of = [&](const actors::client_pair& job) {
    caf::scoped_actor self{cluster.system};
    self->monitor(job.actor);
    caf::error reason;
    self->receive([&](caf::down_msg& m) { reason = m.reason; });
    return reason;
  };
  auto control = std::make_shared<job_control>();
  control->may_end = true;
  CHECK(reason_of(cluster.start(paced_job(control))) == caf::exit_reason::normal);
  auto failing = cluster.start(paced_job(control, [](std::int64_t) -> std::int64_t { throw std::logic_error{"no"}; }));
  const auto why = actors::from_caf(reason_of(failing), "the job");
  CHECK(why.code() == errc::user_function_failed);
  CHECK(contains(why.cause(), "std::logic_error: no"));
}
