// Failures of adaptive jobs, on many nodes in one thread and in virtual time: the restart strategy outlives a rescale.
#include <dataflow/actors/simulation/simulated_nodes.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>
#include <tests/support/effort.hpp>
#include <utility>

using namespace dataflow;
using namespace std::chrono_literals;

namespace adaptive_restarts_test {

const std::string grows = "goes on with a parallelism of 2 instead of 1";
const std::string to_grow = "takes a checkpoint, to go on with a parallelism of 2";
const std::string shrinks = "goes on with a parallelism of 1 instead of 2";

/// A job of two subtasks an operator, on two task managers with a slot each; it throws when the test says so.
struct adaptive_cluster {
  log_capture said{log_level::info};
  std::shared_ptr<bool> throws = std::make_shared<bool>(false);
  simulated_nodes nodes;
  std::shared_ptr<job_client> job;

  using more_settings = std::vector<std::pair<std::string, std::string>>;

  adaptive_cluster(const std::string& restarts, const std::string& delay, const more_settings& more = {},
                   std::uint32_t task_managers = 2, std::uint64_t seed = 1)
      : nodes(seed,
              job_library::of_function("numbers",
                                       [throws = throws](environment& env, const parameters& args) {
                                         env.set_parallelism(2);
                                         env.sequence(1, 10'000'000, args.get("rate", 200.0))
                                             .map([throws](std::int64_t n) {
                                               if (std::exchange(*throws, false)) throw std::runtime_error{"broken"};
                                               return n;
                                             })
                                             .key_by([](std::int64_t n) { return n % 7; })
                                             .reduce([](std::int64_t a, std::int64_t b) { return a + b; })
                                             .discard();
                                       }),
              settings(restarts, delay, more, task_managers)) {}

  static nodes_settings settings(const std::string& restarts, const std::string& delay, const more_settings& more,
                                 std::uint32_t task_managers) {
    nodes_settings s;
    s.job_managers = 1;
    s.task_managers = task_managers;
    s.step_limit = 2'000'000;
    s.settings.set("high-availability.type", "none");
    s.settings.set("taskmanager.numberOfTaskSlots", "1");
    s.settings.set("jobmanager.scheduler", "adaptive");
    s.settings.set("jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", "50 ms");
    s.settings.set("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "20 ms");
    s.settings.set("restart-strategy.type", "fixed-delay");
    s.settings.set("restart-strategy.fixed-delay.attempts", restarts);
    s.settings.set("restart-strategy.fixed-delay.delay", delay);
    s.settings.set("execution.checkpointing.interval", "200 ms");
    for (auto& [key, value] : more)
      s.settings.set(key, value);
    return s;
  }

  void start(std::vector<std::string> arguments = {}) {
    job = nodes.submit("numbers", std::move(arguments));
    run_until([&] { return job->status() == job_status::running; });
  }
  /// Runs until it is there.
  void restart(const std::string& task_manager) {
    const auto before = nodes.registrations(task_manager);
    REQUIRE(nodes.restart(task_manager));
    run_until([&] { return nodes.registrations(task_manager) > before; });
  }
  template <class Condition>
  void run_until(Condition condition) {
    while (!condition())
      REQUIRE(nodes.step());
  }
  /// A record throws; runs until the job has noticed.
  void fail() {
    *throws = true;
    run_until([&] { return job->status() != job_status::running; });
  }
  void run_again() {
    run_until([&] { return job->status() == job_status::running || job->status() == job_status::failed; });
  }
};

} // namespace adaptive_restarts_test
using namespace adaptive_restarts_test;

TEST_CASE("the restarts that an adaptive job may have are counted across its rescales") {
  adaptive_cluster c{"2", "100 ms"};
  REQUIRE(c.nodes.kill("tm2"));
  c.start();
  c.fail();
  c.run_again();
  REQUIRE(c.job->status() == job_status::running);
  REQUIRE(c.nodes.restart("tm2"));
  c.run_until([&] { return c.said.contains(grows); }); // none of the restarts that it may have
  c.run_until([&] { return c.job->status() != job_status::running; });
  c.run_again();
  c.fail();
  c.run_again();
  REQUIRE(c.job->status() == job_status::running); // the second one
  c.fail();
  c.run_again();
  REQUIRE(c.job->status() == job_status::failed);
  CHECK(c.job->wait().failure.cause().find("broken") != std::string::npos);
  CHECK(c.job->wait().restarts == 3);
}

TEST_CASE("an adaptive job that loses slots goes on with fewer when the delay of its restart is over, not before") {
  adaptive_cluster c{"1", "20 s"};
  c.start();
  c.nodes.run_for(1s);
  REQUIRE(c.nodes.kill("tm2"));
  const auto lost = c.nodes.now();
  c.run_until([&] { return c.said.contains(shrinks); });
  CHECK(c.nodes.now() - lost >= 20s);
  CHECK(c.nodes.now() - lost < 25s);
  c.run_again();
  REQUIRE(c.job->status() == job_status::running);
  CHECK(c.job->report().restarts == 1); // one loss, one restart
  c.fail();                             // the loss of the slot was the one that it may have
  c.run_again();
  CHECK(c.job->status() == job_status::failed);
}

TEST_CASE("an adaptive job whose restart is due goes on with more slots when it is, not before") {
  adaptive_cluster c{"1", "20 s"};
  REQUIRE(c.nodes.kill("tm2"));
  c.start();
  c.fail();
  const auto failed = c.nodes.now();
  REQUIRE(c.nodes.restart("tm2"));
  c.run_until([&] { return c.said.contains(grows) || c.job->status() == job_status::running; });
  CHECK(c.nodes.now() - failed >= 20s);
  c.run_until([&] { return c.said.contains(grows); });
  CHECK(c.nodes.now() - failed < 30s);
}

TEST_CASE("an adaptive job that loses its slots while there are more than enough elsewhere has failed all the same") {
  // It can go on at once. It did so before its restart strategy had heard of the failure.
  adaptive_cluster c{"0", "0 ms", {{"jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "1 h"}}, 3};
  REQUIRE(c.nodes.kill("tm2"));
  REQUIRE(c.nodes.kill("tm3"));
  c.start();
  c.restart("tm2");
  c.restart("tm3");
  c.nodes.run_for(1s);
  REQUIRE(c.job->status() == job_status::running);
  REQUIRE(c.nodes.kill("tm1"));
  c.run_until([&] { return c.job->status() == job_status::failed || c.said.contains(grows); });
  CHECK(c.job->status() == job_status::failed);
}

TEST_CASE("an adaptive job that fails at whichever step of a rescale waits for its restart, or has gone on before") {
  // With 37 the failure is there before the word that the checkpoint is complete; with 5 that word comes as a
  // millisecond ends.
  for (const std::uint64_t seed : {37, 5}) {
    std::size_t waited = 0;
    bool grown = false;
    for (std::size_t step = 1; !grown && step <= dataflow::test::rounds(120); ++step) {
      CAPTURE(seed);
      CAPTURE(step);
      adaptive_cluster c{"1", "20 s", {}, 2, seed};
      REQUIRE(c.nodes.kill("tm2"));
      c.start({"--rate", "20000"});
      c.restart("tm2");
      c.run_until([&] { return c.said.contains(to_grow); });
      for (std::size_t i = 0; i < step; ++i)
        REQUIRE(c.nodes.step());
      if (c.said.contains(grows)) {
        grown = true;
        const auto lines = c.said.lines();
        CHECK(std::count_if(lines.begin(), lines.end(), [](auto& l) { return l.find(to_grow) != l.npos; }) == 1);
        continue;
      }
      *c.throws = true;
      c.run_until([&] { return c.said.contains(grows) || c.job->status() == job_status::restarting; });
      if (c.said.contains(grows)) continue;
      ++waited;
      const auto failed = c.nodes.now();
      c.run_until([&] { return c.said.contains(grows) || c.job->status() == job_status::running; });
      CHECK(c.nodes.now() - failed > 19s);
    }
    CHECK(waited > 0);
    CHECK((grown || dataflow::test::sanitized));
  }
}

TEST_CASE("an adaptive job that makes no checkpoints leaves slots alone that come, and does nothing about them") {
  adaptive_cluster c{"1", "0 ms", {{"execution.checkpointing.interval", "-1"}}};
  REQUIRE(c.nodes.kill("tm2"));
  c.start();
  c.restart("tm2");
  const auto before = c.nodes.steps();
  c.nodes.run_for(5s);
  CHECK(c.nodes.steps() - before < 10'000); // it asked itself again at once, for ever
  CHECK_FALSE(c.said.contains(grows));
  CHECK(c.job->status() == job_status::running);
}
