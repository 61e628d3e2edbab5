// Jobs with an exactly-once file sink on the deterministic cluster: whatever dies or fails, every record is in the
// finished files once.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/state/operator_list_state.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <charconv>
#include <set>

#include "tests/support/effort.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/simulated_jobs.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace exactly_once_files_test {

simulation_settings publishing_cluster(const char* interval = "15 ms") {
  simulation_settings s;
  s.settings.set("restart-strategy.type", "fixed-delay");
  s.settings.set("restart-strategy.fixed-delay.attempts", "100");
  s.settings.set("restart-strategy.fixed-delay.delay", "10 ms");
  s.settings.set("taskmanager.batch.records", "16");
  s.settings.set("execution.buffer-timeout", "1 ms");
  s.settings.set("execution.checkpointing.interval", interval);
  s.settings.set("execution.checkpointing.dir", "/checkpoints");
  s.settings.set("execution.checkpointing.tolerable-failed-checkpoints", "1000");
  return s;
}

auto totals_sink(delivery_guarantee g = delivery_guarantee::exactly_once) {
  return file_sink<keyed_number>::lines("/out").without_buckets().deliver(g);
}

/// The keyed job with files in the place of collected results.
template <class Sink>
std::shared_ptr<stream_graph> files_job(const keyed_job_options& o, const Sink& sink) {
  auto g = keyed_job(o);
  auto& node = g->node(4);
  node.name = "Sink: File: Writer";
  node.uid = "files";
  node.delivery = sink.delivery();
  node.make_operator = sink_operators(sink);
  return g;
}

/// What readers of the directory see: "(key, total)" per line.
std::vector<keyed_number> published_in(memory_file_system& disk) {
  std::vector<keyed_number> all;
  for (auto& path : disk.paths()) {
    if (path.substr(0, 5) != "/out/" || path.find("/.in-progress/") != std::string::npos) continue;
    const auto text = disk.read_file(path);
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find('\n', at);
      REQUIRE(end != std::string::npos); // readers see whole lines only
      const auto comma = text.find(", ", at);
      keyed_number r;
      std::from_chars(text.data() + at + 1, text.data() + comma, r.first);
      std::from_chars(text.data() + comma + 2, text.data() + end - 1, r.second);
      all.push_back(r);
      at = end + 1;
    }
  }
  return all;
}

std::size_t in_progress(memory_file_system& disk) {
  std::size_t n = 0;
  for (auto& path : disk.paths())
    if (path.find("/.in-progress/") != std::string::npos) ++n;
  return n;
}

std::map<std::int64_t, std::int64_t> highest_per_key(const std::vector<keyed_number>& all) {
  std::map<std::int64_t, std::int64_t> out;
  for (auto& [k, v] : all)
    out[k] = std::max(out[k], v);
  return out;
}

void check_whole(simulated_cluster& sim, const job_result& result, const keyed_job_options& o) {
  INFO(result.failure.to_string());
  REQUIRE(result.status == job_status::finished);
  const auto all = published_in(sim.files());
  REQUIRE(all.size() == expected_records(o));
  REQUIRE(std::set<keyed_number>(all.begin(), all.end()).size() == all.size());
  REQUIRE(highest_per_key(all) == expected_totals(o));
  REQUIRE(in_progress(sim.files()) == 0);
}

constexpr keyed_job_options files_steady{.numbers = 600, .rate = 3000};
constexpr keyed_job_options files_short{.numbers = 60, .rate = 1500};

} // namespace exactly_once_files_test
using namespace exactly_once_files_test;

TEST_CASE("a bounded job with an exactly-once sink publishes everything before it has finished") {
  log_capture quiet;
  for (const char* interval : {"15 ms", "1 h"}) { // the latter: it is over long before the first one
    CAPTURE(interval);
    simulated_cluster sim{1, publishing_cluster(interval)};
    const auto result = sim.submit(files_job(files_steady, totals_sink()))->wait();
    check_whole(sim, result, files_steady);
    CHECK(result.final_report.checkpoints.completed >= 1);
    CHECK(result.final_report.checkpoints.failed <= 3);
    CHECK(sim.now() < std::chrono::minutes{5});
    for (auto& path : sim.files().paths())
      CHECK(path.find("/checkpoints/") == std::string::npos);
  }
}

TEST_CASE("readers see nothing of a job that runs but what checkpoints have completed") {
  log_capture quiet;
  simulated_cluster sim{3, publishing_cluster("1 h")};
  auto job = sim.submit(files_job({.numbers = 100, .endless = true, .rate = 5000}, totals_sink().roll({.size = 200})));
  sim.run_for(std::chrono::milliseconds{400});
  CHECK(published_in(sim.files()).empty());
  CHECK(in_progress(sim.files()) > 5);
  job->cancel();
  job->wait();
  CHECK(published_in(sim.files()).empty());

  simulated_cluster other{3, publishing_cluster("50 ms")};
  auto publishing =
      other.submit(files_job({.numbers = 100, .endless = true, .rate = 5000}, totals_sink().roll({.size = 200})));
  other.run_for(std::chrono::milliseconds{400});
  CHECK(published_in(other.files()).size() > 200);
  publishing->cancel();
  publishing->wait();
}

namespace exactly_once_files_test {

void check_deaths_of_anybody(const simulation_settings& settings, const keyed_job_options& o, std::uint64_t seeds) {
  log_capture quiet;
  std::uint64_t steps = 0;
  {
    simulated_cluster sim{1, settings};
    check_whole(sim, sim.submit(files_job(o, totals_sink()))->wait(), o);
    steps = sim.steps();
  }
  std::uint64_t restored = 0;
  std::uint32_t kills = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed ", seed);
    simulated_cluster sim{seed, settings};
    random_source choices{seed * 7919};
    const actor_kind kinds[] = {actor_kind::task, actor_kind::slot, actor_kind::task_manager, actor_kind::job_master};
    for (int i = 0; i < 3; ++i)
      sim.kill_after(choices.below(steps * 5 / 4), kinds[choices.below(4)]);
    rolling_policy roll;
    roll.on_checkpoint = seed % 3 == 1;
    if (seed % 3 == 2) roll.size = 150;
    const auto sink = totals_sink().roll(roll).compact({.size = seed % 4 == 3 ? 300u : 0u, .checkpoints = 2});
    auto job = sim.submit(files_job(o, sink));
    job_result result;
    REQUIRE_NOTHROW(result = job->wait());
    check_whole(sim, result, o);
    restored += result.final_report.checkpoints.restored;
    kills += sim.kills();
  }
  CHECK(kills >= seeds);
  CHECK(restored >= seeds / 2);
}

} // namespace exactly_once_files_test

TEST_CASE("exactly-once files: anybody dies at any moment") {
  check_deaths_of_anybody(publishing_cluster(), files_steady, rounds(100));
}

TEST_CASE("exactly-once files under back-pressure, with unaligned checkpoints: anybody dies at any moment") {
  auto settings = publishing_cluster();
  settings.settings.set("execution.checkpointing.unaligned.enabled", "true");
  check_deaths_of_anybody(settings, {.numbers = 3000, .rate = 5000, .slowness = 1us}, rounds(40));
}

namespace exactly_once_files_test {

/// The k-th access to the disk of checkpoints and files fails, once, or with all that follow until the processes are
/// new; for k = 1, 1 + stride, ...
void check_failing_accesses(const simulation_settings& settings, const keyed_job_options& o, std::uint64_t stride) {
  log_capture quiet;
  if (rounds(10) == 1) stride *= 9;
  for (const bool all_that_follow : {false, true}) {
    std::uint64_t failures = 0;
    std::uint64_t k = all_that_follow ? 2 : 1;
    for (;; k += stride) {
      CAPTURE(all_that_follow);
      CAPTURE(k);
      simulated_cluster sim{k, settings};
      bool failed = false;
      if (all_that_follow)
        sim.disk().fail_from(k, [&] { failed = true; });
      else
        sim.disk().fail_any(k);
      auto job = sim.submit(files_job(o, totals_sink().roll({.on_checkpoint = k % 2 == 0})));
      while (all_that_follow && !failed && !is_terminal(job->status()) && sim.step()) {
      }
      if (failed) { // for the disk, the process has died there
        sim.kill(actor_kind::task_manager);
        for (int i = 0; i < 40 && sim.step(); ++i) {
        }
        sim.disk().heal();
      }
      job_result result;
      REQUIRE_NOTHROW(result = job->wait());
      const auto hit = sim.disk().failures();
      failures += hit;
      // A disk that is broken while a job begins may end the job, but it must not spoil the output.
      if (result.status == job_status::failed) {
        CHECK(published_in(sim.files()).empty());
        continue;
      }
      check_whole(sim, result, o);
      if (hit == 0) break;
    }
    CHECK(k > 100);
    CHECK(failures >= std::max<std::uint64_t>(1, 90 / stride));
  }
}

} // namespace exactly_once_files_test

TEST_CASE("exactly-once files: the k-th access to the disk fails, for every k, once or until the processes are new") {
  check_failing_accesses(publishing_cluster("7 ms"), files_short, 3);
}

TEST_CASE("exactly-once files with unaligned checkpoints, on both backends: the k-th access to the disk fails") {
  for (const char* backend : {"hashmap", "rocksdb"}) {
    CAPTURE(backend);
    auto settings = publishing_cluster("7 ms");
    settings.settings.set("execution.checkpointing.unaligned.enabled", "true");
    settings.settings.set("execution.checkpointing.data-inline-threshold", "0");
    settings.settings.set("execution.checkpointing.incremental", "true");
    settings.settings.set("state.backend.type", backend);
    const bool on_disk = std::string_view{backend} == "rocksdb"; // which is slow
    check_failing_accesses(settings, {.numbers = 150, .rate = 5000, .slowness = 200us}, on_disk ? 67 : 7);
  }
}

TEST_CASE("exactly-once files with aligned checkpoints of state on the disk: the k-th access to the disk fails") {
  auto settings = publishing_cluster("7 ms");
  settings.settings.set("execution.checkpointing.data-inline-threshold", "0");
  settings.settings.set("execution.checkpointing.incremental", "true");
  settings.settings.set("state.backend.type", "rocksdb");
  check_failing_accesses(settings, files_short, 67);
}

namespace exactly_once_files_test {

/// Says the sum of all when the input ends.
class total_at_end final : public stream_operator {
public:
  void open(operator_context& context) override {
    stream_operator::open(context);
    sum_.open(context.states());
    if (sum_.empty()) sum_.add(0);
  }
  void process(unsigned, batch_slice& slice) override {
    auto sum = sum_.get().front();
    for (; slice.cursor < slice.limit; ++slice.cursor)
      sum += slice.data.as<std::int64_t>().records[slice.cursor];
    sum_.update({sum});
  }
  progress finish() override {
    batch_ptr b = context().pool(record_type_of<std::int64_t>())->get();
    b.as<std::int64_t>().records.push_back(sum_.get().front());
    emit(std::move(b));
    return progress::done;
  }

private:
  operator_list_state<std::int64_t> sum_{operator_state("sum")};
};

std::shared_ptr<stream_graph> total_job() {
  auto g = std::make_shared<stream_graph>();
  g->settings.parallelism = 1;
  auto& numbers = g->add(node_kind::source, "Source: numbers");
  numbers.source = factories_of(sequence_source{1, 100, 2000.0});
  numbers.output_type = &record_type_of<std::int64_t>();
  auto& total = g->add(node_kind::one_input, "Total");
  total.make_operator = [] { return std::make_unique<total_at_end>(); };
  total.output_type = &record_type_of<std::int64_t>();
  auto& sink = g->add(node_kind::sink, "Sink: File: Writer");
  sink.make_operator = sink_operators(
      file_sink<std::int64_t>::lines("/out").without_buckets().deliver(delivery_guarantee::exactly_once));
  g->connect(0, 1);
  g->connect(1, 2);
  return g;
}

} // namespace exactly_once_files_test

TEST_CASE("what an operator says at its end is published once, whoever dies around the last checkpoint") {
  log_capture quiet;
  std::uint64_t steps = 0, restored = 0;
  {
    simulated_cluster sim{1, publishing_cluster("20 ms")};
    sim.submit(total_job())->wait();
    steps = sim.steps();
  }
  for (auto kind : {actor_kind::task, actor_kind::task_manager, actor_kind::job_master})
    for (std::uint64_t before_end = 1; before_end < 60; before_end += rounds(10) == 1 ? 9 : 1) {
      CAPTURE(to_string(kind));
      CAPTURE(before_end);
      simulated_cluster sim{1, publishing_cluster("20 ms")};
      sim.kill_after(steps - before_end, kind);
      const auto result = sim.submit(total_job())->wait();
      REQUIRE(result.status == job_status::finished);
      restored += result.final_report.checkpoints.restored;
      std::string all;
      for (auto& path : sim.files().paths())
        if (path.substr(0, 5) == "/out/") all += sim.files().read_file(path);
      REQUIRE(all == "5050\n");
    }
  CHECK(restored > 10);
}

TEST_CASE("exactly once without checkpoints is refused, and so is a mode in which barriers do not wait") {
  simulated_cluster plain{1};
  const auto none = error_of([&] { plain.submit(files_job(files_short, totals_sink()))->wait().raise(); });
  CHECK(none.code() == errc::invalid_graph);
  CHECK(none.cause().find("'Sink: File: Writer'") != std::string::npos);
  CHECK(none.cause().find("makes no checkpoints") != std::string::npos);
  CHECK(none.advice().find("execution.checkpointing.interval") != std::string::npos);
  auto settings = publishing_cluster();
  settings.settings.set("execution.checkpointing.mode", "AT_LEAST_ONCE");
  simulated_cluster lax{1, settings};
  const auto mode = error_of([&] { lax.submit(files_job(files_short, totals_sink()))->wait().raise(); });
  CHECK(mode.cause().find("AT_LEAST_ONCE") != std::string::npos);
}

TEST_CASE("a file sink without checkpoints publishes at least once") {
  log_capture quiet;
  simulation_settings s;
  s.settings.set("restart-strategy.type", "fixed-delay");
  simulated_cluster sim{1, s};
  const auto sink = file_sink<keyed_number>::lines("/out").without_buckets();
  const auto result = sim.submit(files_job(files_short, sink))->wait();
  check_whole(sim, result, files_short);
}

namespace exactly_once_files_test {

/// Damages the newest checkpoint (or all) of a running job, then lets a task die.
job_result damaged(bool all, bool allowed, std::string& log) {
  log_capture kept;
  auto settings = publishing_cluster("20 ms");
  settings.settings.set("execution.checkpointing.data-inline-threshold", "0");
  settings.settings.set("execution.checkpointing.allow-doubled-output", allowed ? "true" : "false");
  simulated_cluster sim{5, settings};
  auto job = sim.submit(files_job(files_steady, totals_sink().roll({.on_checkpoint = true})));
  while (job->report().checkpoints.completed < 4)
    sim.run_for(std::chrono::milliseconds{5});
  std::map<int, std::vector<std::string>> objects; // by checkpoint
  for (auto& path : sim.files().paths()) {
    const auto at = path.find("/chk-");
    if (at == std::string::npos || file_name(path) == "_metadata") continue;
    objects[std::atoi(path.c_str() + at + 5)].push_back(path);
  }
  REQUIRE(objects.size() >= 2);
  for (auto i = objects.rbegin(); i != objects.rend(); ++i) {
    for (auto& path : i->second)
      sim.files().write_file(path, "damaged");
    if (!all && sim.files().exists(parent_directory(i->second[0]) + "/_metadata")) break;
  }
  sim.kill(actor_kind::task_manager);
  auto result = job->wait();
  log.clear();
  if (result.status == job_status::finished) log = std::to_string(published_in(sim.files()).size());
  return result;
}

} // namespace exactly_once_files_test

TEST_CASE("a job does not go back behind what an exactly-once sink has published") {
  for (const bool all : {false, true}) {
    CAPTURE(all);
    std::string records;
    const auto result = damaged(all, false, records);
    CHECK(result.status == job_status::failed);
    CHECK(result.failure.cause().find("sink 'Sink: File: Writer' (uid 'files', up to checkpoint") != std::string::npos);
    CHECK(result.failure.cause().find("would be doubled") != std::string::npos);
    CHECK(result.failure.advice().find("execution.checkpointing.allow-doubled-output") != std::string::npos);
    const auto lax = damaged(all, true, records);
    INFO(lax.failure.to_string());
    CHECK(lax.status == job_status::finished);
    CHECK(std::atoi(records.c_str()) > static_cast<int>(expected_records(files_steady)));
  }
}
