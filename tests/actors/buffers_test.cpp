// Buffers in the mailbox of a task that is killed go back to their pools.
#include <dataflow/actors/jobmanager/job_master.hpp>
#include <dataflow/actors/taskmanager/task.hpp>
#include <dataflow/util/log.hpp>

#include <caf/scheduler/test_coordinator.hpp>

#include <tests/actors/test_cluster.hpp>

using namespace dataflow;
using namespace dataflow::test;

TEST_CASE("a receiver with a full mailbox is killed 1,000 times and every buffer is back in its pool") {
  log_capture log;
  struct settings : caf::actor_system_config {
    settings() { set("scheduler.policy", caf::atom("testing")); }
  } config;
  caf::actor_system system{config};
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  auto control = std::make_shared<job_control>();
  auto submission = actors::make_submission(paced_job(control), {}, 1, system_platform());
  auto job = std::make_shared<const actors::job_description>(
      actors::job_description{"1", "job", actors::plan_of(*submission), {}});
  const auto sink = static_cast<task_index>(job->plan->tasks().size() - 1);
  auto others = system.spawn([](caf::event_based_actor* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    return {[](int) {}};
  });
  const auto before = batches_outstanding();
  auto pool = batch_pool::make(record_type_of<std::int64_t>());
  for (int i = 0; i < 1000; ++i) {
    const actors::task_key key{sink, 0};
    auto task = system.spawn<actors::task_actor>(actors::task_arguments{
        job, key, others, &system_platform(), std::make_shared<actors::task_control>(), nullptr});
    if (i % 3 > 0)
      caf::anon_send(task, actors::start_task{key, {}, {{others, {}, {}, 0, 0, 0}, {others, {}, {}, 0, 0, 0}}});
    for (std::uint64_t n = 0; n < 8; ++n) {
      auto b = pool->get();
      b.as<std::int64_t>().records.push_back(1);
      caf::anon_send(task, actors::channel_data{0, static_cast<std::uint32_t>(n % 2), n / 2, 8, element::of(b)});
    }
    if (i % 3 == 2) // some of it has been handled when the end comes
      for (int k = 0; k < i % 7; ++k)
        scheduler.try_run_once();
    caf::anon_send_exit(task, caf::exit_reason::kill);
    task = nullptr;
    scheduler.run();
    REQUIRE(pool->outstanding() == 0);
  }
  CHECK(batches_outstanding() == before);
  caf::anon_send_exit(others, caf::exit_reason::kill);
  others = nullptr;
  scheduler.run();
}
