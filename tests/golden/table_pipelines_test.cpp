// The operator table as whole pipelines: at several parallelisms, chained and not, with small and large batches, on the
// real scheduler and under 20 schedules of the simulation.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <tests/support/effort.hpp>

#include "script.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace dataflow::test::golden;

namespace {

/// How a pipeline is laid out.
struct layout {
  std::int64_t parallelism = 1;
  bool chaining = true;
  bool single_records = false; ///< in every batch, from the source on
  state_backend backend = state_backend::hashmap;
};
std::vector<layout> all_layouts() {
  std::vector<layout> all;
  for (const std::int64_t parallelism : {1, 2, 4})
    for (const bool chaining : {true, false})
      for (const bool single : {false, true})
        // Every other one on the disk, chained and not, with single records and without.
        all.push_back({parallelism, chaining, single,
                       ((parallelism / 2) ^ (chaining ? 1 : 0) ^ (single ? 1 : 0)) & 1 ? state_backend::rocksdb
                                                                                       : state_backend::hashmap});
  return all;
}
std::string text_of(const row& r, const layout& l) {
  return r.data + " " + r.pick.dump() + " by " + r.operator_class + ", parallelism " + std::to_string(l.parallelism) +
         (l.chaining ? "" : ", not chained") + (l.single_records ? ", single records" : "") +
         (l.backend == state_backend::rocksdb ? ", on the disk" : "");
}

/// The script of each stream. `from`: when the first line is played, one a second; 0: all at once.
std::vector<std::vector<script_line>> scripts_of(const row& r, const expectation& e, std::int64_t from) {
  std::vector<std::vector<script_line>> scripts(r.streams);
  for (std::size_t i = 0; i < e.input.size(); ++i) {
    const auto& line = e.input[i];
    script_line l;
    if (from > 0) l.play_at = from + static_cast<std::int64_t>(i) * 1000;
    if (line.contains("id"))
      l.what = event_of(line);
    else if (line.contains("watermark"))
      l.watermark = line["watermark"];
    else if (line.contains("end") && r.event_time)
      l.watermark = ms(max_timestamp);
    else
      continue;
    scripts[line.value("in", 1u) - 1].push_back(std::move(l));
  }
  return scripts;
}

void lay_out(environment& env, const layout& l, bool at_once) {
  env.set_parallelism(l.parallelism);
  env.set_buffer_timeout(std::chrono::milliseconds{at_once ? 100 : 0});
  if (!l.chaining) env.disable_operator_chaining();
  if (l.single_records) env.configure("taskmanager.batch.records", "1");
  env.set_state_backend(l.backend);
}

std::string in_lines(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (auto& line : lines)
    all += line + "\n";
  return all;
}

std::string run_pipeline(environment& env, const row& r, const expectation& e, const layout& l, std::int64_t from) {
  lay_out(env, l, from == 0);
  std::vector<events> streams;
  for (auto& script : scripts_of(r, e, from))
    streams.push_back(env.from_collection(std::move(script))
                          .transform<event>("script", [] { return std::make_unique<script_operator>(); })
                          .set_parallelism(1));
  return in_lines(r.pipeline(streams).collect());
}
std::string records_of(const expectation& e) {
  std::vector<std::string> lines;
  for (auto line : e.expected) {
    if (!line.contains("out")) continue;
    line.erase("at");
    lines.push_back(line.dump());
  }
  return in_lines(std::move(lines));
}

constexpr std::int64_t a_minute_later = 1'704'067'260'000; // than the simulation's first moment

/// The pipeline printing its lines, every stream played a line a second.
void print_pipeline(environment& env, const row& r, const expectation& e, const layout& l) {
  lay_out(env, l, false);
  std::vector<events> streams;
  for (auto& script : scripts_of(r, e, a_minute_later))
    streams.push_back(env.from(script_source{std::move(script)}, "script")
                          .set_parallelism(1)
                          .transform<event>("script", [] { return std::make_unique<script_operator>(); })
                          .set_parallelism(1));
  r.pipeline(streams).print();
}
std::string printed_by(simulated_cluster& cluster) {
  std::vector<std::string> lines;
  std::string_view rest = cluster.printed();
  while (!rest.empty()) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    if (const auto prefix = line.find("> "); prefix < line.find('{')) line.remove_prefix(prefix + 2);
    lines.emplace_back(line);
  }
  return in_lines(std::move(lines));
}

enum class stopped_with { savepoint, checkpoint, unaligned_checkpoint };
const char* text_of(stopped_with how) {
  return how == stopped_with::savepoint    ? "savepoint"
         : how == stopped_with::checkpoint ? "checkpoint"
                                           : "unaligned checkpoint";
}

/// Runs to the middle between two lines, stops with a savepoint or with a checkpoint, and goes on in another layout.
std::string stopped_and_resumed(std::uint64_t seed, const row& r, const expectation& e, const layout& before,
                                const layout& after, stopped_with how) {
  auto cluster = std::make_shared<simulated_cluster>(seed);
  environment_options o;
  o.runner = cluster;
  std::string path;
  {
    environment env{o};
    print_pipeline(env, r, e, before);
    env.configure("execution.checkpointing.dir", "/checkpoints");
    env.configure("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    env.configure("execution.checkpointing.incremental", seed % 2 == 0 ? "true" : "false"); // of databases: their files
    if (how == stopped_with::unaligned_checkpoint) env.enable_unaligned_checkpoints();
    auto job = env.execute_async();
    const auto line = static_cast<std::int64_t>(e.input.size() * (seed % 3 + 1) / 4);
    const std::chrono::milliseconds stop{a_minute_later + line * 1000 - 500};
    cluster->run_for(stop - cluster->platform().clock->wall());
    if (how == stopped_with::savepoint) {
      path = job->stop_with_savepoint("/savepoints");
    } else {
      path = job->trigger_checkpoint();
      job->cancel();
      job->wait();
    }
  }
  environment env{o};
  print_pipeline(env, r, e, after);
  env.start_from(path);
  env.execute();
  return printed_by(*cluster);
}

} // namespace

TEST_CASE("operators of the table reproduce the golden cases in pipelines") {
  auto layouts = all_layouts();
  if (sanitized) layouts = {{1, true, false}, {2, false, true, state_backend::rocksdb}, {4, true, true}};
  for (auto& r : operator_table()) {
    if (r.pipelines != played::at_once) continue;
    const expectation e{r};
    const auto expected = records_of(e);
    for (auto& l : layouts) {
      INFO(text_of(r, l));
      environment env;
      CHECK(run_pipeline(env, r, e, l, 0) == expected);
    }
  }
}

TEST_CASE("operators of the table reproduce the golden cases on simulated clusters") {
  const auto layouts = all_layouts();
  std::size_t number = 0;
  for (auto& r : operator_table()) {
    if (r.pipelines == played::never) continue;
    const expectation e{r};
    const auto expected = records_of(e);
    ++number;
    for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
      const auto& l = layouts[(seed + number) % layouts.size()];
      INFO(text_of(r, l) << ", seed " << seed);
      simulated_cluster cluster{seed};
      environment_options o;
      o.runner = std::shared_ptr<executor>{std::shared_ptr<void>{}, &cluster};
      environment env{o};
      CHECK(run_pipeline(env, r, e, l, r.pipelines == played::line_by_line ? a_minute_later : 0) == expected);
    }
  }
}

TEST_CASE("operators of the table, stopped half-way and resumed, reproduce the golden cases, at any parallelism") {
  log_capture quiet;
  const auto layouts = all_layouts();
  std::size_t number = 0;
  for (auto& r : operator_table()) {
    if (r.pipelines == played::never) continue;
    const expectation e{r};
    const auto expected = records_of(e);
    ++number;
    for (std::uint64_t seed = 1; seed <= rounds(9); ++seed) {
      const auto& before = layouts[(seed * 5 + number) % layouts.size()];
      const auto& after = seed % 2 == 0 ? before : layouts[(seed * 7 + number + 4) % layouts.size()];
      const auto how = static_cast<stopped_with>((seed + number) % 3);
      INFO(text_of(r, before) << ", then " << text_of(r, after) << ", " << text_of(how) << ", seed " << seed);
      CHECK(stopped_and_resumed(seed, r, e, before, after, how) == expected);
    }
  }
}
