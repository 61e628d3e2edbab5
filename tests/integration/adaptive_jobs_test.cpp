// Adaptive jobs on clusters of real processes that come and are killed.
#include <doctest/doctest.h>

#include <csignal>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>
#include <tests/support/effort.hpp>

using dataflow::test::cluster_processes;
using dataflow::test::program;

TEST_CASE("an adaptive job grows and shrinks with its cluster, and publishes each result once") {
  const dataflow::test::scratch dir;
  const std::int64_t records = 20'000;
  cluster_processes c{1,
                      {"-Djobmanager.scheduler=adaptive",
                       "-Djobmanager.adaptive-scheduler.submission.resource-stabilization-timeout=50ms",
                       "-Djobmanager.adaptive-scheduler.executing.cooldown-after-rescaling=50ms",
                       "-Dtaskmanager.numberOfTaskSlots=1", "-Drestart-strategy.type=fixed-delay",
                       "-Drestart-strategy.fixed-delay.attempts=1000", "-Drestart-strategy.fixed-delay.delay=20ms"}};
  program run{dataflow::test::dataflow_command(c.arguments(
      "run", dataflow::test::counted_job(dir, records, dataflow::test::sanitized ? "1000" : "5000", {"-p", "2"})))};
  REQUIRE(c.job_manager->wait_for_error("goes on with a parallelism of 1 instead of 2; 2 is wanted"));
  c.add_task_manager();
  REQUIRE(c.job_manager->wait_for_error("goes on with a parallelism of 2 instead of 1; 2 is wanted"));
  c.task_managers[0]->signal(SIGKILL);
  REQUIRE(c.job_manager->wait_for_error("goes on with a parallelism of 1 instead of 2; 2 is wanted", 2));
  dataflow::test::check_counted(run, dir, records, true);
}
