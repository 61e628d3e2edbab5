// Jobs whose record types have changed between a savepoint and the job that starts from it.
#include <dataflow/actors/simulation/simulated_cluster.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/support/effort.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/restarts.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace before_change {
struct seen {
  std::int32_t count = 0;
  std::string page;
  double gone = 0;
};
} // namespace before_change
namespace after_change {
struct seen {
  std::string page;
  std::int64_t rank = 7, count = 0;
};
} // namespace after_change
namespace wrong_change {
struct seen {
  std::string page;
  std::string count;
};
} // namespace wrong_change
DATAFLOW_RECORD(before_change::seen, count, page, gone);
DATAFLOW_RECORD(after_change::seen, page, rank, count);
DATAFLOW_RECORD(wrong_change::seen, page, count);

namespace {

constexpr std::int64_t numbers_of_change = 400, keys_of_change = 7;

std::int64_t rank_of(const after_change::seen& s) { return s.rank; }
std::int64_t rank_of(const before_change::seen&) { return 7; }

/// Counts in a value, a map and a list.
template <class Seen>
class watcher_of : public keyed_process_function<std::int64_t, std::int64_t, std::string> {
  value_state<Seen> last_ = state("last");
  map_state<std::int64_t, Seen> parity_ = state("parity");
  list_state<Seen> first_ = state("first");

  static void count(Seen& s) {
    if constexpr (std::is_arithmetic_v<decltype(s.count)>) {
      ++s.count;
      s.page = "page " + std::to_string(s.count);
    }
  }

public:
  using context = typename keyed_process_function<std::int64_t, std::int64_t, std::string>::context;
  void process(const std::int64_t& n, context& ctx, collector<std::string>& out) override {
    if (!last_.has_value()) {
      last_ = Seen{};
      first_.add(Seen{});
    }
    count(last_.edit());
    auto of_parity = parity_.value_or(n % 2, Seen{});
    count(of_parity);
    parity_.put(n % 2, of_parity);
    std::string text = std::to_string(ctx.key());
    if constexpr (std::is_arithmetic_v<decltype(Seen{}.count)>) {
      const Seen now = *last_;
      std::int64_t firsts = 0;
      for (const auto& f : first_.get())
        firsts += rank_of(f);
      text += " " + std::to_string(now.count) + " " + now.page + " " + std::to_string(rank_of(now)) + " " +
              std::to_string(rank_of(of_parity)) + " " + std::to_string(firsts) + " " + std::to_string(of_parity.count);
    }
    out.collect(text);
  }
};

/// The same in windows and in a rolling reduction.
template <class Seen>
void build_watch(environment& env) {
  auto numbers =
      env.generate([](std::int64_t i) { return i; }, {.count = numbers_of_change, .records_per_second = 2000})
          .uid("numbers");
  auto by_key = [](std::int64_t n) { return n % keys_of_change; };
  numbers.key_by(by_key).template process<watcher_of<Seen>>().name("watcher").uid("watch").print("w").uid("out");
}

/// The same with keys of another type.
class by_text : public keyed_process_function<std::string, std::int64_t, std::string> {
  value_state<after_change::seen> last_ = state("last");

public:
  void process(const std::int64_t&, context&, collector<std::string>&) override { ++last_.edit().count; }
};
void build_with_other_keys(environment& env) {
  env.generate([](std::int64_t i) { return i; }, {.count = numbers_of_change, .records_per_second = 2000})
      .uid("numbers")
      .key_by([](std::int64_t n) { return std::to_string(n % keys_of_change); })
      .process<by_text>()
      .name("watcher")
      .uid("watch")
      .print("w")
      .uid("out");
}

struct change_lab {
  explicit change_lab(std::uint64_t seed = 5) : cluster(std::make_shared<simulated_cluster>(seed)) {}
  std::shared_ptr<simulated_cluster> cluster;
  environment env() const {
    environment_options o;
    o.runner = cluster;
    environment e{o};
    e.set_parallelism(2);
    return e;
  }
  template <class Build>
  std::string stopped(Build build) const {
    auto e = env();
    build(e);
    auto job = e.execute_async("watch");
    cluster->run_for(100ms);
    return job->stop_with_savepoint("/savepoints");
  }
};

} // namespace

namespace {
/// The same with checkpoints that name what earlier ones have stored, and a cancel that leaves the last one there.
template <class Build>
std::string left_increment(const change_lab& lab, const char* backend, Build build) {
  auto env = lab.env();
  env.configure("execution.checkpointing.dir", "/checkpoints");
  env.configure("execution.checkpointing.incremental", "true");
  env.configure("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
  env.configure("state.backend.type", backend);
  env.set_max_parallelism(2); // several keys in each group
  build(env);
  auto job = env.execute_async("watch");
  lab.cluster->run_for(100ms);
  job->trigger_checkpoint();
  lab.cluster->run_for(1ms);
  const auto path = job->trigger_checkpoint();
  job->cancel();
  job->wait();
  return path;
}
} // namespace

TEST_CASE("a job goes on with a changed record type: fields added, removed, reordered, widened") {
  log_capture quiet;
  const change_lab lab;
  std::string path;
  SUBCASE("from a savepoint") { path = lab.stopped(build_watch<before_change::seen>); }
  SUBCASE("from an incremental checkpoint of state in memory") {
    path = left_increment(lab, "hashmap", build_watch<before_change::seen>);
  }
  // The job that starts keeps its state on disk, in the files that it finds; in memory; or on disk, from several files.
  const char* backend = "hashmap";
  std::uint32_t parallelism = 2;
  SUBCASE("from files of a database, on disk") {
    path = left_increment(lab, backend = "rocksdb", build_watch<before_change::seen>);
  }
  SUBCASE("from files of a database, in memory") {
    path = left_increment(lab, "rocksdb", build_watch<before_change::seen>);
  }
  SUBCASE("from files of databases of other subtasks") {
    path = left_increment(lab, backend = "rocksdb", build_watch<before_change::seen>);
    parallelism = 1;
  }
  SUBCASE("from files of databases of other subtasks, in memory") {
    path = left_increment(lab, "rocksdb", build_watch<before_change::seen>);
    parallelism = 1;
  }
  const auto seen = lab.cluster->printed().size();
  CHECK(seen > 0);
  auto env = lab.env();
  env.configure("state.backend.type", backend);
  env.set_parallelism(parallelism);
  build_watch<after_change::seen>(env);
  env.start_from(path);
  env.execute("watch");
  std::map<std::int64_t, std::int64_t> counts;
  std::string_view rest = std::string_view{lab.cluster->printed()};
  while (!rest.empty()) {
    const std::string line{rest.substr(0, rest.find('\n'))};
    rest.remove_prefix(line.size() + 1);
    long long key = 0, count = 0, page = 0, rank = 0, rank_in_map = 0, ranks_in_list = 0, in_map = 0;
    REQUIRE(std::sscanf(line.c_str() + line.find("> ") + 2, "%lld %lld page %lld %lld %lld %lld %lld", &key, &count,
                        &page, &rank, &rank_in_map, &ranks_in_list, &in_map) == 7);
    CHECK(page == count);
    CHECK(rank == 7);
    CHECK(rank_in_map == 7);
    CHECK(ranks_in_list == 7);
    counts[key] = std::max<std::int64_t>(counts[key], count);
  }
  CHECK(counts.size() == keys_of_change);
  std::int64_t all = 0;
  for (auto& [key, n] : counts)
    all += n;
  CHECK(all == numbers_of_change); // nothing of what was counted before is lost
}

TEST_CASE("tasks die at any moment while a job goes on from the files of databases with a changed record type") {
  log_capture quiet;
  std::uint64_t kills = 0;
  for (std::uint64_t seed = 1; seed <= test::rounds(20); ++seed) {
    CAPTURE(seed);
    const change_lab lab{seed};
    const auto path = left_increment(lab, "rocksdb", build_watch<before_change::seen>);
    const auto seen = lab.cluster->printed().size();
    random_source choices{seed * 7919};
    const actor_kind kinds[] = {actor_kind::task, actor_kind::slot, actor_kind::task_manager};
    for (int i = 0; i < 3; ++i) // many of them while it starts
      lab.cluster->kill_after(choices.below(seed % 2 == 0 ? 300 : 3000), kinds[choices.below(3)]);
    auto env = lab.env();
    env.configure("state.backend.type", seed % 3 == 0 ? "hashmap" : "rocksdb");
    env.configure("execution.checkpointing.incremental", "true");
    env.configure("execution.checkpointing.dir", "/checkpoints");
    env.enable_checkpointing(15ms);
    env.set_parallelism(1 + static_cast<std::uint32_t>(seed % 2));
    test::restart_at_fixed_delay(env, 100, "10 ms");
    env.configure("execution.checkpointing.tolerable-failed-checkpoints", "1000");
    build_watch<after_change::seen>(env);
    env.start_from(path);
    const auto result = env.execute("watch");
    REQUIRE_MESSAGE(result.status == job_status::finished, result.failure.to_string());
    kills += lab.cluster->kills();
    // Lines come again after a restart; the last one of each key has counted all of them.
    std::map<std::int64_t, std::int64_t> counts;
    std::string_view rest = std::string_view{lab.cluster->printed()}.substr(seen);
    while (!rest.empty()) {
      const std::string line{rest.substr(0, rest.find('\n'))};
      rest.remove_prefix(line.size() + 1);
      long long key = 0, count = 0, page = 0, rank = 0;
      REQUIRE(std::sscanf(line.c_str() + line.find("> ") + 2, "%lld %lld page %lld %lld", &key, &count, &page, &rank) ==
              4);
      CHECK(page == count);
      CHECK(rank == 7);
      counts[key] = std::max<std::int64_t>(counts[key], count);
    }
    std::int64_t all = 0;
    for (auto& [key, n] : counts)
      all += n;
    CHECK(all == numbers_of_change);
  }
  CHECK(kills > test::rounds(20));
}

TEST_CASE("an impossible change is refused at submission, naming operator, state and field") {
  log_capture quiet;
  const change_lab lab;
  std::string path;
  SUBCASE("from a savepoint") { path = lab.stopped(build_watch<before_change::seen>); }
  SUBCASE("from files of a database") { path = left_increment(lab, "rocksdb", build_watch<before_change::seen>); }
  const auto refused = [&](auto build, std::initializer_list<const char*> parts) {
    auto env = lab.env();
    build(env);
    env.start_from(path);
    const auto e = test::error_of([&] { env.execute_async("watch"); });
    CHECK_MESSAGE(e.code() == errc::incompatible_state, e.to_string());
    for (const char* part : parts)
      CHECK_MESSAGE(e.cause().find(part) != std::string::npos, e.to_string());
  };
  refused(build_watch<wrong_change::seen>,
          {"operator \"watcher\"", "state \"", "field 'count': int32 cannot become string"});
  refused(build_with_other_keys,
          {"operator \"watcher\"", "state \"", "its key was int64 and is string: keys cannot change"});
}

namespace {

/// Windows that keep their elements, and windows that reduce; both around the record type.
template <class Seen>
void build_windows(environment& env) {
  auto elements =
      env.generate(
             [](std::int64_t i) {
               Seen s;
               s.page = std::to_string(i % keys_of_change);
               s.count = 1;
               return s;
             },
             {.count = numbers_of_change, .records_per_second = 2000})
          .uid("elements")
          .set_parallelism(1)
          .assign_timestamps_and_watermarks(
              watermark_strategy<Seen>::monotonous_timestamps().with_timestamp([](const Seen&) { return 1000; }))
          .uid("times");
  auto windows = elements.key_by(&Seen::page).window(tumbling_event_time_windows{1h});
  windows
      .reduce([](const Seen& a, const Seen& b) {
        auto sum = a;
        sum.count += b.count;
        return sum;
      })
      .uid("reduced")
      .map([](const Seen& s) { return "reduced " + s.page + " " + std::to_string(s.count); })
      .print();
  elements.key_by(&Seen::page)
      .window(tumbling_event_time_windows{1h})
      .evictor(count_evictor{1000})
      .process([](const std::string& key, window_context<time_window>&, std::span<const Seen> in,
                  collector<std::string>& out) {
        std::int64_t sum = 0;
        for (auto& s : in)
          sum += s.count;
        out.collect("listed " + key + " " + std::to_string(sum));
      })
      .uid("listed")
      .print();
  elements.key_by(&Seen::page)
      .sum(&Seen::count)
      .uid("rolling")
      .map([](const Seen& s) { return s.count == 58 ? "rolling " + s.page : std::string{}; })
      .print();
}

} // namespace

TEST_CASE("open windows and rolling reductions go on with a changed record type") {
  log_capture quiet;
  const change_lab lab;
  std::string path;
  const char* backend = "hashmap";
  SUBCASE("from a savepoint") { path = lab.stopped(build_windows<before_change::seen>); }
  SUBCASE("from files of databases, on disk") {
    path = left_increment(lab, backend = "rocksdb", build_windows<before_change::seen>);
  }
  SUBCASE("from files of databases, in memory") {
    path = left_increment(lab, "rocksdb", build_windows<before_change::seen>);
  }
  auto env = lab.env();
  env.configure("state.backend.type", backend);
  build_windows<after_change::seen>(env);
  env.start_from(path);
  env.execute("watch");
  std::multiset<std::string> lines;
  std::string_view rest = std::string_view{lab.cluster->printed()};
  while (!rest.empty()) {
    std::string line{rest.substr(0, rest.find('\n'))};
    rest.remove_prefix(line.size() + 1);
    line.erase(0, line.find("> ") + 2);
    if (!line.empty()) lines.insert(line);
  }
  std::multiset<std::string> expected;
  for (std::int64_t key = 0; key < keys_of_change; ++key) {
    const auto n = numbers_of_change / keys_of_change + (key < numbers_of_change % keys_of_change ? 1 : 0);
    expected.insert("reduced " + std::to_string(key) + " " + std::to_string(n));
    expected.insert("listed " + std::to_string(key) + " " + std::to_string(n));
    if (n == 58) expected.insert("rolling " + std::to_string(key));
  }
  CHECK(lines == expected);
}
