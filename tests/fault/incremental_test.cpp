// Incremental checkpoints of state in memory: jobs die at any moment, move, and change, and nothing is lost.
#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <set>

#include "tests/fault/savepoint_lab.hpp"
#include "tests/support/checkpoint_samples.hpp"
#include "tests/support/effort.hpp"
#include "tests/support/restarts.hpp"

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t many_numbers = 900;

/// Few keys change all the time, many now and then.
std::int64_t key_of(std::int64_t i) { return i % 4 == 0 || i < 150 ? 100 + i % 151 : i % 5; }

/// Sums up and remembers the last three; forgets everything at each seventh number of a key.
class remembers : public keyed_process_function<std::int64_t, std::int64_t, std::string> {
  value_state<std::int64_t> sum_ = state("sum");
  list_state<std::int64_t> last_ = state("last");
  map_state<std::string, std::int64_t> parity_ = state("parity");

public:
  void process(const std::int64_t& n, context& ctx, collector<std::string>& out) override {
    auto last = last_.get();
    last.push_back(n);
    if (last.size() > 3) last.erase(last.begin());
    sum_.edit() += n;
    const auto& parity = parity_[n % 2 == 0 ? "even" : "odd"] += 1;
    std::string line = std::to_string(ctx.key()) + " " + std::to_string(*sum_) + " " + std::to_string(parity);
    for (const auto l : last)
      line += " " + std::to_string(l);
    out.collect(line);
    if (n % 7 == 3) {
      sum_.clear();
      last_.clear();
      parity_.clear();
    } else {
      last_.update(std::move(last));
    }
  }
};

void remembering_job(environment& env) {
  env.configure("execution.checkpointing.incremental", "true");
  env.set_max_parallelism(8);
  env.generate([](std::int64_t i) { return i; }, {.count = many_numbers, .records_per_second = 3000})
      .uid("numbers")
      .set_parallelism(1)
      .key_by([](const std::int64_t& n) { return key_of(n); })
      .process<remembers>()
      .uid("remembers")
      .print()
      .uid("out");
}

std::set<std::string> expected_lines() {
  static const auto lines = [] {
    lab l;
    auto env = l.env();
    remembering_job(env);
    env.execute("job");
    const auto all = l.lines();
    CHECK(all.size() == many_numbers);
    return std::set<std::string>(all.begin(), all.end());
  }();
  return lines;
}

/// Lines come again after a restart, but never other ones.
void check_lines(lab& l, std::set<std::string> earlier = {}) {
  for (auto& line : l.lines())
    earlier.insert(line);
  CHECK(earlier == expected_lines());
}

void keep_going(environment& env) {
  restart_at_fixed_delay(env, 100, "10 ms");
  env.configure("execution.checkpointing.tolerable-failed-checkpoints", "1000");
}

std::vector<std::string> shared_objects(lab& l) {
  std::vector<std::string> all;
  for (auto& path : l.cluster->files().paths())
    if (path.find("/shared/") != std::string::npos) all.push_back(path);
  return all;
}

} // namespace

TEST_CASE("checkpoints of rows in memory name what earlier ones have stored, and leave nothing behind") {
  log_capture quiet;
  lab l{1, "15 ms"};
  auto env = l.env();
  remembering_job(env);
  auto job = env.execute_async("job");
  std::map<std::string, std::set<std::string>> named; // by checkpoint
  while (!is_terminal(job->status()) && l.cluster->step())
    for (auto& path : l.cluster->files().paths())
      if (path.ends_with("/_metadata") && !named.contains(path))
        for (auto& s : decode_checkpoint_metadata(l.cluster->files().read_file(path)).subtasks)
          for (auto& o : s.shared)
            named[path].insert(o.name);
  CHECK(job->wait().status == job_status::finished);
  check_lines(l);
  std::map<std::string, int> times; // that an object was named
  for (auto& [path, names] : named)
    for (auto& name : names)
      ++times[name];
  const auto again = std::count_if(times.begin(), times.end(), [](auto& t) { return t.second > 1; });
  CHECK(named.size() >= 8);
  CHECK(again >= 5);
  CHECK(shared_objects(l).empty());
}

TEST_CASE("tasks with rows in memory die at any moment of incremental checkpoints: nothing is lost or doubled") {
  log_capture quiet;
  std::uint64_t steps = 0;
  {
    lab l{1, "15 ms"};
    auto env = l.env();
    remembering_job(env);
    env.execute("job");
    steps = l.cluster->steps();
  }
  for (const char* unaligned : {"false", "true"}) {
    std::uint64_t restored = 0, kills = 0;
    const auto seeds = rounds(unaligned[0] == 't' ? 25 : 60);
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      INFO("seed ", seed, " unaligned ", unaligned);
      lab l{seed, "15 ms"};
      random_source choices{seed * 7919};
      const actor_kind kinds[] = {actor_kind::task, actor_kind::slot, actor_kind::task_manager};
      for (int i = 0; i < 3; ++i)
        l.cluster->kill_after(choices.below(steps * 3 / 2), kinds[choices.below(3)]);
      auto env = l.env();
      keep_going(env);
      env.configure("execution.checkpointing.unaligned.enabled", unaligned);
      remembering_job(env);
      auto job = env.execute_async("job");
      const auto result = job->wait();
      REQUIRE_MESSAGE(result.status == job_status::finished, result.failure.to_string());
      check_lines(l);
      restored += result.final_report.checkpoints.restored;
      kills += l.cluster->kills();
    }
    CHECK(kills >= seeds);
    CHECK(restored >= seeds / 2);
  }
}

TEST_CASE("a job goes on from another job's incremental checkpoint, at another parallelism") {
  log_capture quiet;
  for (const std::int64_t parallelism : {1, 2, 3, 8}) {
    CAPTURE(parallelism);
    lab l{static_cast<std::uint64_t>(parallelism), "15 ms"};
    const auto path = cancelled(l, remembering_job);
    const auto before = l.lines();
    auto env = l.env(parallelism);
    keep_going(env);
    remembering_job(env);
    env.start_from(path, parallelism % 2 == 0 ? claim_mode::claim : claim_mode::no_claim);
    auto job = env.execute_async("job");
    l.cluster->run_for(60ms);
    REQUIRE(l.cluster->kill(actor_kind::task)); // and from one of its own
    CHECK(job->wait().status == job_status::finished);
    check_lines(l, {before.begin(), before.end()});
  }
}

TEST_CASE("a savepoint of a job with incremental checkpoints is of one piece") {
  log_capture quiet;
  lab l{3, "15 ms"};
  const auto path = stopped(l, remembering_job);
  const auto before = l.lines();
  for (auto& s : decode_checkpoint_metadata(l.cluster->files().read_file(path + "/_metadata")).subtasks)
    CHECK(s.shared.empty());
  auto env = l.env(3);
  env.configure("state.backend.type", "rocksdb");
  remembering_job(env);
  env.start_from(path);
  env.execute("job");
  check_lines(l, {before.begin(), before.end()});
}

TEST_CASE("where changes are damaged, the job goes on from the checkpoint before, and says so") {
  log_capture log;
  lab l{4};
  auto env = l.env();
  keep_going(env);
  env.configure("execution.checkpointing.dir", "/checkpoints");
  env.enable_checkpointing(1h);
  remembering_job(env);
  auto job = env.execute_async("job");
  std::string last;
  std::vector<std::string> before;
  for (int i = 0; i < 3; ++i) {
    l.cluster->run_for(60ms);
    before = shared_objects(l);
    last = job->trigger_checkpoint();
  }
  bool damaged = false;
  for (auto& path : shared_objects(l))
    if (std::find(before.begin(), before.end(), path) == before.end()) {
      flip(l.cluster->files(), path, 5);
      damaged = true;
    }
  REQUIRE(damaged);
  REQUIRE(l.cluster->kill(actor_kind::task));
  const auto result = job->wait();
  REQUIRE_MESSAGE(result.status == job_status::finished, result.failure.to_string());
  CHECK(result.final_report.checkpoints.restored >= 2);
  CHECK(log.contains("checkpoint 3 cannot be used, the one before is"));
  CHECK(log.contains("tasks start from checkpoint 2"));
  check_lines(l);
}
