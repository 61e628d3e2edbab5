// What a job counts can be read while it runs and after its end, and there is one place where it is counted.
#include <dataflow/util/log.hpp>

#include <algorithm>
#include <tests/actors/test_cluster.hpp>

using namespace dataflow;
using namespace dataflow::test;

namespace {

/// Passes records on; counts the odd ones.
struct counts_odd {
  accumulator* odd = nullptr;
  void open(runtime_context& context) { odd = &context.counter("numOdd"); }
  std::int64_t operator()(std::int64_t x) {
    odd->add(x % 2);
    return x;
  }
};

template <class Condition>
void wait_until(job_client& job, Condition condition) {
  while (!condition() && !job.wait_for(std::chrono::milliseconds{1})) {
  }
}

} // namespace

TEST_CASE("a job's metrics can be read from its handle while it runs and after its end, users' counters included") {
  test_cluster cluster;
  auto control = std::make_shared<job_control>();
  const auto job = cluster.start(paced_job(control, counts_odd{})).client;
  wait_until(*job, [&] { return job->metrics().of_operator("Map", "numOdd") > 0; });
  CHECK(!is_terminal(job->status()));
  const auto early = job->metrics();
  control->may_end = true;
  REQUIRE(result_of(*job).status == job_status::finished);
  const auto m = job->metrics();
  const auto all = static_cast<double>(control->consumed.load());
  CHECK(m.of_operator("Source: paced", "numRecordsOut") == all);
  CHECK(m.of_task("Source: paced", "numRecordsOut") == all);
  CHECK(m.of_task("Map", "numRecordsIn") == all);
  CHECK(m.of_operator("Map", "numRecordsIn") == all);
  CHECK(m.of_operator("Map", "numOdd") == all / 2);
  CHECK(m.of_task("Sink: count", "numBytesIn") == all * 8);
  CHECK(m.of_task("Sink: count", "numStaleMessages") == 0);
  CHECK(m.of_job("numRestarts") == 0);
  REQUIRE(m.groups.size() == 1 + 4 + 4); // the job; a task and an operator for each subtask
  for (const auto& name : {"inputQueueLength", "outputQueueLength", "mailboxQueueSize", "accumulateBusyTimeMs",
                           "accumulateIdleTimeMs", "accumulateBackPressuredTimeMs"})
    CHECK(std::count_if(m.groups[1].metrics.begin(), m.groups[1].metrics.end(),
                        [&](const metric& x) { return x.name == name; }) == 1);
  CHECK(early.of_task("Map", "numRecordsIn") <= all);
  CHECK(with_rates(m, early).of_task("Map", "numRecordsInPerSecond") >= 0);
}

TEST_CASE("after a restart the metrics are those of the new attempts, and the job counts its restarts") {
  log_capture log;
  test_cluster cluster{restarting(3)};
  auto control = std::make_shared<job_control>();
  const auto job = cluster.start(paced_job(control, counts_odd{})).client;
  control->wait_for_records(*job, 10);
  cluster.kill("task", 4);
  cluster.wait_for("task", 8);
  control->wait_for_records(*job, 10);
  control->may_end = true;
  REQUIRE(result_of(*job).status == job_status::finished);
  const auto m = job->metrics();
  CHECK(m.of_job("numRestarts") == 1);
  for (const auto& group : m.groups)
    if (group.scope.vertex != metric_scope::none) CHECK(group.attempt == 1);
  CHECK(m.of_operator("Map", "numOdd") * 2 == m.of_operator("Map", "numRecordsIn")); // both began again at 0
}

TEST_CASE("channel messages of another attempt are dropped and counted, and the task says so once") {
  log_capture log;
  auto control = std::make_shared<job_control>();
  caf::actor sink;
  std::mutex mutex;
  std::size_t tasks = 0;
  test_cluster cluster{{}, [&](std::string_view kind, std::size_t number, const caf::actor& who) {
                         if (kind != "task") return;
                         const std::lock_guard lock{mutex};
                         tasks = number;
                         sink = who; // any of them
                       }};
  const auto job = cluster.start(paced_job(control)).client;
  control->wait_for_records(*job, 10);
  {
    const std::lock_guard lock{mutex};
    REQUIRE(tasks == 4);
    for (std::uint64_t i = 0; i < 3; ++i)
      caf::anon_send(sink, actors::channel_data{7, 0, i, 0, element::control(element_kind::end)});
    caf::anon_send(sink, actors::channel_credit_grant{8, 0, 0, 1, 1});
    sink = nullptr;
  }
  const auto stale = [&] {
    double sum = 0;
    for (const auto& g : job->metrics().groups)
      sum += g.value("numStaleMessages");
    return sum;
  };
  wait_until(*job, [&] { return stale() >= 4; });
  CHECK(stale() == 4);
  control->may_end = true;
  CHECK(result_of(*job).status == job_status::finished); // the false end has not ended anything
  const auto lines = log.lines();
  CHECK(std::count_if(lines.begin(), lines.end(), [](const std::string& l) {
          return l.find("a channel message of attempt 7 was dropped") != std::string::npos;
        }) == 1);
}
