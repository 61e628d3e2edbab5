// Savepoints, and jobs that go on from them: stopped, changed, rescaled, every record counted once. In the simulation.
#include <dataflow/util/log.hpp>

#include <set>

#include "tests/fault/savepoint_lab.hpp"
#include "tests/support/effort.hpp"
#include "tests/support/restarts.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

TEST_CASE("a job stops with a savepoint, another one goes on from it: every record is counted once") {
  log_capture quiet;
  for (const char* interval : {static_cast<const char*>(nullptr), "15 ms"})
    for (std::uint64_t seed = 1; seed <= test::rounds(20); ++seed) {
      CAPTURE(seed);
      lab l{seed, interval};
      const auto path = stopped(l, [](environment& env) { totals(env); });
      CHECK(path.find("/savepoints/savepoint-") == 0);
      auto lines = l.lines();
      CHECK(lines.size() > 50);
      CHECK(lines.size() < all_numbers - 50);
      auto env = l.env();
      totals(env);
      env.start_from(seed % 2 == 0 ? path : "file://" + path + "/_metadata");
      const auto result = env.execute("job");
      CHECK(result.final_report.checkpoints.restored == 1);
      for (auto& line : l.lines())
        lines.push_back(line);
      check_totals(lines);
      CHECK(l.exists(path + "/_metadata")); // nobody has claimed it
    }
}

TEST_CASE("a savepoint is taken of a job that runs on, with checkpoints and without") {
  log_capture quiet;
  for (const char* interval : {static_cast<const char*>(nullptr), "15 ms"}) {
    lab l{3, interval};
    auto env = l.env();
    totals(env);
    auto job = env.execute_async("job");
    l.cluster->run_for(60ms);
    const auto first = job->trigger_savepoint("/a");
    l.cluster->run_for(30ms);
    const auto second = job->trigger_savepoint("/a");
    CHECK(first != second);
    CHECK(job->wait().status == job_status::finished);
    check_totals(l.lines());
    auto total_of = [&](const std::string& path) {
      auto again = l.env();
      totals(again);
      again.start_from(path);
      again.execute("job");
      return l.lines().size();
    };
    const auto after_first = total_of(first), after_second = total_of(second);
    CHECK(after_first > after_second);
    CHECK(after_second > 0);
    // Checkpoints went with the job, savepoints did not.
    for (auto& path : l.cluster->files().paths())
      if (path.find("_metadata") != std::string::npos) CHECK(path.find("/a/savepoint-") == 0);
  }
}

TEST_CASE("a job is cancelled with a savepoint") {
  log_capture quiet;
  lab l;
  auto env = l.env();
  totals(env);
  auto job = env.execute_async("job");
  l.cluster->run_for(60ms);
  const auto path = job->cancel_with_savepoint("/savepoints");
  CHECK(job->wait().status == job_status::canceled);
  l.lines();
  auto again = l.env();
  totals(again);
  again.start_from(path);
  again.execute("job");
  const auto rest = l.lines();
  CHECK(rest.size() > 0);
  CHECK(rest.size() < all_numbers);
}

TEST_CASE("requests for savepoints that cannot be") {
  log_capture quiet;
  lab l;
  auto env = l.env();
  totals(env);
  auto job = env.execute_async("job");
  l.cluster->run_for(30ms);
  CHECK(test::error_of([&] { job->trigger_savepoint(); }).code() == errc::invalid_option); // nobody says where
  CHECK(test::error_of([&] { job->trigger_checkpoint(); }).code() == errc::checkpoint_failed);
  l.cluster->files().write_file("/file", "x");
  CHECK(test::error_of([&] { job->trigger_savepoint("/file"); }).code() != errc::none);
  CHECK(job->wait().status == job_status::finished);
  check_totals(l.lines());
  CHECK(test::error_of([&] { job->stop_with_savepoint("/s"); }).code() == errc::job_not_found);

  auto loop = l.env();
  auto begin = loop.sequence(1, 1'000'000'000, 100).iterate();
  begin.close_with(begin.filter([](std::int64_t n) { return n < 0; }));
  begin.discard();
  auto looping = loop.execute_async("loop");
  l.cluster->run_for(30ms);
  CHECK(test::error_of([&] { looping->stop_with_savepoint("/s"); }).cause().find("iteration") != std::string::npos);
  looping->cancel();
  looping->wait();
}

// ---- time stands still, or ends

namespace {

/// Event time goes with the records, 10 ms each; windows of a second count them.
void windows(environment& env) {
  env.generate([](std::int64_t i) { return i; }, {.count = 1000, .records_per_second = 1000})
      .uid("numbers")
      .set_parallelism(1)
      .assign_timestamps_and_watermarks(watermark_strategy<std::int64_t>::monotonous_timestamps().with_timestamp(
          [](std::int64_t i) { return i * 10; }))
      .uid("times")
      .key_by([](std::int64_t i) { return i % 5; })
      .window(tumbling_event_time_windows{1s})
      .process([](const std::int64_t& key, window_context<time_window>& ctx, std::span<const std::int64_t> in,
                  collector<std::string>& out) {
        out.collect(std::to_string(ctx.window().start.time_since_epoch().count()) + " " + std::to_string(key) + " " +
                    std::to_string(in.size()));
      })
      .uid("windows")
      .print()
      .uid("out");
}

/// Says so a while after each key's first record, by the clock.
class reminder : public keyed_process_function<std::int64_t, std::int64_t, std::string> {
  value_state<bool> asked_ = state("asked");

public:
  void process(const std::int64_t&, context& ctx, collector<std::string>&) override {
    if (asked_.value_or(false)) return;
    asked_ = true;
    ctx.timers().register_processing_time(ctx.timers().current_processing_time() + 100ms);
  }
  void on_timer(timestamp, timer_context& ctx, collector<std::string>& out) override {
    out.collect("remember " + std::to_string(ctx.key()));
  }
};
void reminders(environment& env) {
  env.generate([](std::int64_t i) { return i; }, {.count = 1000, .records_per_second = 1000})
      .uid("numbers")
      .key_by([](std::int64_t i) { return i % 5; })
      .process<reminder>()
      .uid("reminders")
      .print()
      .uid("out");
}

} // namespace

TEST_CASE("stopping without drain fires no window; the next job fires each once, with all records") {
  log_capture quiet;
  std::set<std::string> expected;
  for (int start = 0; start < 10000; start += 1000)
    for (int key = 0; key < 5; ++key)
      expected.insert(std::to_string(start) + " " + std::to_string(key) + " 20");
  for (std::uint64_t seed = 1; seed <= test::rounds(10); ++seed) {
    CAPTURE(seed);
    lab l{seed};
    const auto path = stopped(l, windows, 450ms);
    auto lines = l.lines();
    CHECK(lines.size() > 0);
    CHECK(lines.size() < 50);
    CHECK(std::all_of(lines.begin(), lines.end(), [&](auto& line) { return expected.contains(line); }));
    auto env = l.env(seed % 3 + 1);
    windows(env);
    env.start_from(path);
    env.execute("job");
    for (auto& line : l.lines())
      lines.push_back(line);
    CHECK(lines.size() == 50);
    CHECK(std::set<std::string>(lines.begin(), lines.end()) == expected);
  }
}

TEST_CASE("stopping with drain fires what is open, in front of the savepoint") {
  log_capture quiet;
  for (std::uint64_t seed = 1; seed <= test::rounds(10); ++seed) {
    CAPTURE(seed);
    lab l{seed};
    const auto path = stopped(l, windows, 450ms, true);
    std::int64_t counted = 0;
    std::set<std::string> open;
    for (auto& line : l.lines()) {
      const auto n = std::stoll(line.substr(line.rfind(' ') + 1));
      counted += n;
      if (n < 20) open.insert(line);
    }
    CHECK(counted > 300);
    CHECK(counted < 1000);
    // The rest of the input goes on from there, and the windows that were drained are over.
    auto env = l.env();
    windows(env);
    env.start_from(path);
    env.execute("job");
    for (auto& line : l.lines())
      counted += std::stoll(line.substr(line.rfind(' ') + 1));
    CHECK(counted <= 1000);
  }
}

TEST_CASE("timers of the clock wait until the job runs again") {
  log_capture quiet;
  for (std::uint64_t seed = 1; seed <= test::rounds(10); ++seed) {
    CAPTURE(seed);
    lab l{seed};
    const auto path = stopped(l, reminders, 60ms);
    CHECK(l.lines().empty());
    l.cluster->run_for(1s);
    auto env = l.env();
    reminders(env);
    env.start_from(path);
    env.execute("job");
    const auto lines = l.lines();
    CHECK(lines.size() == 5);
    CHECK(std::set<std::string>(lines.begin(), lines.end()).size() == 5);
  }
}

// ---- failures around a stop

TEST_CASE("deaths while a job stops: it has stopped, or goes on; no record is lost or counted twice in its state") {
  log_capture quiet;
  std::uint32_t stops = 0, failures = 0;
  const auto seeds = test::rounds(100);
  for (std::uint64_t i = 1; i <= seeds; ++i) {
    const auto seed = i * (100 / seeds); // few of them meet the same moments as many
    CAPTURE(seed);
    lab l{seed, "15 ms"};
    auto env = l.env();
    restart_at_fixed_delay(env, 100, "10 ms");
    env.configure("execution.checkpointing.tolerable-failed-checkpoints", "1000");
    totals(env);
    auto job = env.execute_async("job");
    l.cluster->run_for(60ms);
    const actor_kind kinds[] = {actor_kind::task, actor_kind::slot, actor_kind::task_manager, actor_kind::job_master};
    l.cluster->kill_after(seed * 3 % 150, kinds[seed % 4]);
    std::string path;
    try {
      path = job->stop_with_savepoint("/savepoints");
      ++stops;
    } catch (const error&) {
      ++failures;
    }
    if (path.empty()) { // it runs on, or has stopped unheard: whoever asked has to look
      job->wait();
    } else {
      auto rest = l.env();
      totals(rest);
      rest.start_from(path);
      rest.execute("job");
    }
    totals_by_key last;
    for (auto& line : l.lines()) {
      auto& t = last[std::stoll(line)];
      t = std::max(t, static_cast<std::int64_t>(std::stoll(line.substr(line.find(' ') + 1))));
    }
    if (!path.empty()) REQUIRE(last == expected_totals());
    for (auto& [key, total] : last)
      REQUIRE(total <= expected_totals()[key]);
  }
  CHECK(stops > seeds / 10);
  CHECK(failures > 0);
}

// ---- another shape

TEST_CASE("parallelism, chaining and operators may change between savepoint and restore") {
  log_capture quiet;
  const shape shapes[] = {{1, true, false}, {2, true, false},  {2, false, false}, {3, true, true},
                          {4, false, true}, {5, false, false}, {1, false, true}};
  std::uint64_t seed = 0;
  for (auto& before : shapes)
    for (auto& after : shapes) {
      ++seed;
      if (test::sanitized && seed % 5 != 0) continue;
      CAPTURE(before.parallelism);
      CAPTURE(before.chaining);
      CAPTURE(after.parallelism);
      CAPTURE(after.chaining);
      lab l{seed};
      std::string path;
      {
        auto env = l.env(before.parallelism);
        totals(env, before);
        auto job = env.execute_async("job");
        l.cluster->run_for(90ms);
        path = job->stop_with_savepoint("/savepoints");
      }
      auto env = l.env(after.parallelism);
      totals(env, after);
      env.start_from(path);
      env.execute("job");
      check_totals(l.lines());
    }
}

TEST_CASE("a job is rescaled again and again, from savepoint to savepoint") {
  log_capture quiet;
  lab l{11};
  std::string path;
  for (const std::int64_t parallelism : {2, 7, 1, 4, 3}) {
    auto env = l.env(parallelism);
    totals(env);
    if (!path.empty()) env.start_from(path, claim_mode::claim);
    auto job = env.execute_async("job");
    l.cluster->run_for(35ms);
    path = job->stop_with_savepoint("/savepoints");
  }
  auto env = l.env(2);
  totals(env);
  env.start_from(path);
  env.execute("job");
  check_totals(l.lines());
}

TEST_CASE("the max parallelism is the stored one, where the job says nothing; another one is refused") {
  log_capture quiet;
  lab l;
  const auto path = stopped(l, [](environment& env) { totals(env, {.parallelism = 2}); });
  {
    auto env = l.env(100); // of its own accord, this would mean 256 key groups
    totals(env);
    env.start_from(path);
    env.execute("job");
    check_totals(l.lines());
  }
  auto env = l.env();
  totals(env);
  env.set_max_parallelism(256).start_from(path);
  const auto e = submit_error(env);
  CHECK(e.code() == errc::incompatible_state);
  CHECK(e.cause().find("128 key groups, and the job wants 256") != std::string::npos);
  CHECK(e.cause().find("totals") != std::string::npos);
}
