// One checkpoint, step by step: whoever dies at whichever step of it, every record is counted once. Aligned and
// unaligned, on both backends.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include "tests/support/effort.hpp"
#include "tests/support/simulated_jobs.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace protocol_steps_test {

struct form {
  const char* backend = "hashmap";
  bool unaligned = false;
};

simulation_settings settings_for(const form& f) {
  simulation_settings s;
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.attempts", "100");
  s.settings.set("restart-strategy.fixed-delay.delay", "10 ms");
  s.settings.set("taskmanager.batch.records", "16");
  s.settings.set("execution.buffer-timeout", "1 ms");
  s.settings.set("execution.checkpointing.interval", "20 ms");
  s.settings.set("execution.checkpointing.dir", "/checkpoints");
  s.settings.set("execution.checkpointing.tolerable-failed-checkpoints", "1000");
  s.settings.set("execution.checkpointing.data-inline-threshold", "0"); // uploads are files
  s.settings.set("state.backend.type", f.backend);
  s.settings.set("execution.checkpointing.incremental", "true");
  s.settings.set("execution.checkpointing.unaligned.enabled", f.unaligned ? "true" : "false");
  return s;
}

/// Under back-pressure, so that unaligned barriers have something to overtake.
const keyed_job_options job_in_steps{.numbers = 1600, .rate = 5000, .slowness = 100us};

/// The steps of the second checkpoint: from its directory to some time behind its notices.
struct steps_of_checkpoint {
  std::uint64_t first = 0, published = 0, last = 0;
};
steps_of_checkpoint steps_of(const form& f) {
  steps_of_checkpoint found;
  simulated_cluster sim{1, settings_for(f)};
  auto job = sim.submit(keyed_job(job_in_steps));
  const auto there = [&](const std::string& part) {
    const auto paths = sim.files().paths();
    return std::any_of(paths.begin(), paths.end(), [&](auto& p) { return p.find(part) != std::string::npos; });
  };
  while (!is_terminal(job->status()) && sim.step()) {
    if (found.first == 0 && there("/chk-2/")) found.first = sim.steps();
    if (found.published == 0 && there("/chk-2/_metadata")) found.published = sim.steps();
  }
  const auto result = job->wait();
  REQUIRE(result.status == job_status::finished);
  CHECK(last_per_key(collected_of(result)) == expected_totals(job_in_steps));
  REQUIRE(found.first > 0);
  REQUIRE(found.published > found.first);
  found.first -= std::min<std::uint64_t>(found.first - 1, 60); // triggers and barriers, before the first object
  found.last = found.published + 60;
  return found;
}

void check_every_step(const form& f) {
  CAPTURE(f.backend);
  CAPTURE(f.unaligned);
  log_capture quiet;
  const auto steps = steps_of(f);
  const bool on_disk = std::string_view{f.backend} == "rocksdb"; // which is slow
  const std::uint64_t stride = (on_disk ? 23 : 3) * (rounds(10) == 1 ? 7 : 1);
  std::uint64_t runs = 0, restored = 0;
  for (auto kind : {actor_kind::task, actor_kind::slot, actor_kind::task_manager, actor_kind::job_master})
    for (auto step = steps.first + static_cast<std::uint64_t>(kind) % stride; step <= steps.last; step += stride) {
      CAPTURE(to_string(kind));
      CAPTURE(step);
      simulated_cluster sim{1, settings_for(f)};
      sim.kill_after(step, kind);
      auto job = sim.submit(keyed_job(job_in_steps));
      const auto result = job->wait();
      INFO(result.failure.to_string());
      REQUIRE(result.status == job_status::finished);
      CHECK(sim.kills() == 1);
      REQUIRE(collected_of(result).size() == expected_records(job_in_steps));
      REQUIRE(last_per_key(collected_of(result)) == expected_totals(job_in_steps));
      ++runs;
      restored += result.final_report.checkpoints.restored;
    }
  CHECK(runs >= 4 * ((steps.last - steps.first) / stride));
  CHECK(restored * 2 >= runs); // not those whose job master died: their results are lost with it, and they begin anew
}

} // namespace protocol_steps_test

using namespace protocol_steps_test;

TEST_CASE("whoever dies at whichever step of an aligned checkpoint: every record once") {
  check_every_step({"hashmap", false});
}
TEST_CASE("whoever dies at whichever step of an unaligned checkpoint: every record once") {
  check_every_step({"hashmap", true});
}
TEST_CASE("whoever dies at whichever step of an aligned checkpoint of state on the disk: every record once") {
  check_every_step({"rocksdb", false});
}
TEST_CASE("whoever dies at whichever step of an unaligned checkpoint of state on the disk: every record once") {
  check_every_step({"rocksdb", true});
}
