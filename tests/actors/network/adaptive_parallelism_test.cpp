// An adaptive job on a cluster whose task managers come and go.
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <tests/actors/network/network_cluster.hpp>
#include <tests/support/temporary_directory.hpp>

using namespace dataflow;
using namespace dataflow::actors;
using namespace std::chrono_literals;

// `--records` numbers, counted by key; each subtask of the counting operator says its last count at the end.
DATAFLOW_JOB(adaptive_counts) {
  env.sequence(1, args.get("records", std::int64_t{1000}), args.get("rate", std::int64_t{1000}))
      .key_by([](std::int64_t i) { return i % 16; })
      .map([](std::int64_t) { return std::int64_t{1}; })
      .name("ones")
      .key_by([](std::int64_t one) { return one; })
      .reduce([](std::int64_t a, std::int64_t b) { return a + b; })
      .filter([last = args.get("records", std::int64_t{1000})](std::int64_t n) { return n >= last; })
      .print();
}

namespace adaptive_parallelism_test {

using settings = std::vector<std::pair<std::string, std::string>>;

settings adaptive(settings more = {}) {
  more.insert(more.end(), {{"jobmanager.scheduler", "adaptive"},
                           {"jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", "20 ms"},
                           {"jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "10 ms"},
                           {"jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout", "20 ms"},
                           {"restart-strategy.type", "fixed-delay"},
                           {"restart-strategy.fixed-delay.attempts", "1000000"},
                           {"restart-strategy.fixed-delay.delay", "5 ms"}});
  return more;
}

configuration of_job(std::string parallelism, const std::string& checkpoints = {}) {
  configuration c;
  c.set("parallelism.default", std::move(parallelism));
  if (checkpoints.empty()) return c;
  c.set("execution.checkpointing.interval", "10 ms");
  c.set("execution.checkpointing.dir", checkpoints);
  return c;
}

/// The highest parallelism of a task; waits until all tasks run at `wanted`.
void wait_for_parallelism(job_client& job, std::uint32_t wanted) {
  const auto all_run = [&] {
    const auto r = job.report();
    std::uint32_t most = 0;
    for (auto& t : r.tasks)
      most = std::max(most, t.parallelism);
    return most == wanted && std::all_of(r.tasks.begin(), r.tasks.end(), [](auto& t) {
             return t.status == task_status::running || t.status == task_status::finished; // a reader without a split
           });
  };
  while (!all_run())
    REQUIRE_FALSE(job.wait_for(5ms));
}

} // namespace adaptive_parallelism_test
using namespace adaptive_parallelism_test;

TEST_CASE("an adaptive job begins with the slots that there are, grows when more come, and shrinks when they go") {
  const dataflow::test::temporary_directory checkpoints;
  dataflow::test::network_cluster c{1, 2, adaptive()};
  const auto job = c.submit("adaptive_counts", {"--records", std::to_string(std::numeric_limits<std::int64_t>::max())},
                            of_job("4", checkpoints.path()));
  wait_for_parallelism(*job, 2);
  c.add_task_manager();
  wait_for_parallelism(*job, 4);
  CHECK(job->report().failures.empty());
  for (auto& t : job->report().tasks)
    CHECK(t.attempt > 0); // no attempt of an earlier job master comes again
  const auto restored = job->report().checkpoints.restored;
  CHECK(restored >= 1); // it did not begin anew
  c.task_managers.erase(c.task_managers.begin());
  wait_for_parallelism(*job, 2);
  CHECK(job->report().checkpoints.restored > restored);
  CHECK_FALSE(job->report().failures.empty()); // what an earlier job master has seen
  CHECK(job->report().restarts >= 2);
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
}

TEST_CASE("an adaptive job that does not get a single slot fails, and says what it needs") {
  dataflow::test::network_cluster c{
      0, 1, adaptive({{"jobmanager.adaptive-scheduler.submission.resource-wait-timeout", "50 ms"}})};
  const auto result = c.submit("adaptive_counts", {}, of_job("4"))->wait();
  CHECK(result.status == job_status::failed);
  CHECK(result.failure.code() == errc::no_resources);
  CHECK(result.failure.cause() == "the job needs 1 slots at a parallelism of 1, and has got 0");
}

TEST_CASE("of two adaptive jobs the first gets what there is, and the other one the rest, or waits for it") {
  dataflow::test::network_cluster c{1, 3, adaptive()};
  const auto endless = std::to_string(std::numeric_limits<std::int64_t>::max());
  const auto first = c.submit("adaptive_counts", {"--records", endless}, of_job("2"));
  wait_for_parallelism(*first, 2);
  const auto second = c.submit("adaptive_counts", {"--records", endless}, of_job("2"));
  wait_for_parallelism(*second, 1);
  const auto third = c.submit("adaptive_counts", {"--records", "10"}, of_job("2"));
  while (third->status() != job_status::created) // it has nothing yet
    REQUIRE_FALSE(third->wait_for(5ms));
  first->cancel();
  CHECK(third->wait().status == job_status::finished);
  second->cancel();
  CHECK(second->wait().status == job_status::canceled);
}

TEST_CASE("an adaptive job with all its slots runs as any other") {
  dataflow::test::network_cluster c{2, 2, adaptive()};
  const auto result = c.submit("adaptive_counts", {"--records", "2000", "--rate", "100000"}, of_job("4"))->wait();
  CHECK(result.status == job_status::finished);
  CHECK(result.restarts == 0);
}
