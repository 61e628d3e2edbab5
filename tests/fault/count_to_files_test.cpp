// The example count_to_files, its actors killed at any moment: every line is counted in the finished files once.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <apps/examples/count_to_files.hpp>
#include <set>

#include "tests/support/effort.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace count_to_files_test {

struct counted_run {
  std::multiset<std::string> lines;
  std::uint64_t steps = 0, restored = 0;
  std::uint32_t kills = 0;
};

counted_run count(std::uint64_t seed, const std::vector<std::pair<std::uint64_t, actor_kind>>& kills) {
  simulation_settings s;
  s.settings.set("taskmanager.batch.records", "16");
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.attempts", "100");
  s.settings.set("restart-strategy.fixed-delay.delay", "5 ms");
  s.settings.set("execution.checkpointing.interval", "5 ms");
  s.settings.set("execution.checkpointing.tolerable-failed-checkpoints", "1000");
  const auto sim = std::make_shared<simulated_cluster>(seed, s);
  std::string text;
  for (int i = 0; i < 1500; ++i)
    text += "word" + std::to_string(i % 7) + " and more of line " + std::to_string(i) + "\n";
  sim->files().write_file("/in", text);
  for (auto& [steps, kind] : kills)
    sim->kill_after(steps, kind);
  environment_options o;
  o.runner = sim;
  environment env{o};
  env.set_parallelism(2);
  examples::count_to_files(env, {"/in"}, "/out");
  const auto result = env.execute();
  counted_run out;
  out.steps = sim->steps();
  out.kills = sim->kills();
  out.restored = result.final_report.checkpoints.restored;
  for (auto& path : sim->files().paths()) {
    if (path.substr(0, 5) != "/out/") continue;
    REQUIRE(file_name(path).substr(0, 7) == "counts-"); // nothing in progress is left
    const auto all = sim->files().read_file(path);
    for (std::size_t at = 0, end = 0; at < all.size(); at = end + 1) {
      end = all.find('\n', at);
      out.lines.insert(all.substr(at, end - at));
    }
  }
  return out;
}

} // namespace count_to_files_test
using namespace count_to_files_test;

TEST_CASE("the example count_to_files counts every line once, whatever dies") {
  log_capture quiet;
  std::multiset<std::string> expected;
  for (int i = 0; i < 1500; ++i)
    expected.insert("word" + std::to_string(i % 7) + "," + std::to_string(i / 7 + 1));
  const auto whole = count(1, {});
  CHECK(whole.lines == expected);
  std::uint64_t restored = 0;
  const auto seeds = rounds(40);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed ", seed);
    random_source choices{seed * 7919};
    const actor_kind kinds[] = {actor_kind::task, actor_kind::task_manager, actor_kind::job_master};
    const auto run = count(seed, {{choices.below(whole.steps), kinds[choices.below(3)]},
                                  {choices.below(whole.steps), kinds[choices.below(3)]}});
    REQUIRE(run.lines == expected);
    restored += run.restored;
  }
  CHECK(restored >= seeds / 4);
}
