// Unaligned checkpoints under back-pressure: how soon they are complete, what they hold, and that jobs go on from them
// at any parallelism.
#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <numeric>

#include "tests/fault/savepoint_lab.hpp"
#include "tests/support/effort.hpp"

using namespace dataflow;
using namespace dataflow::test;

namespace unaligned_checkpoints_test {

/// Takes so much time for each record, as the simulation's clock has it.
struct slow_copy {
  std::chrono::microseconds each{0};
  const dataflow::clock* clock = nullptr;
  void open(runtime_context& context) { clock = &context.clock(); }
  numbered operator()(const numbered& n) const {
    const auto until = clock->now() + each;
    while (clock->now() < until) {
    }
    return n;
  }
};

struct congested_shape {
  std::int64_t parallelism = 2;
  bool slow_in_chain = false; ///< the slow part stands in the chain of the sums; else behind an edge of its own
  std::chrono::microseconds each{1000};
};

/// Numbers -> dealt out -> sums by key -> something slow -> "key total" a line. A key's totals stay in order.
void congested_totals(environment& env, const congested_shape& s, double rate, std::int64_t count = all_numbers) {
  auto sums = env.generate(
                     [](std::int64_t i) {
                       return numbered{i % keys, i};
                     },
                     {.count = count, .records_per_second = rate})
                  .uid("numbers")
                  .rebalance()
                  .map([](const numbered& n) { return n; })
                  .uid("dealt out")
                  .key_by(&numbered::first)
                  .sum(&numbered::second)
                  .uid("totals");
  auto slow = s.slow_in_chain ? sums.map(slow_copy{s.each}).uid("slow")
                              : sums.key_by(&numbered::first).map(slow_copy{s.each}).uid("slow");
  slow.map([](const numbered& n) { return std::to_string(n.first) + " " + std::to_string(n.second); })
      .uid("text")
      .print()
      .uid("out");
}

std::map<std::int64_t, std::vector<std::int64_t>> totals_of(const std::vector<std::string>& lines) {
  std::map<std::int64_t, std::vector<std::int64_t>> out;
  for (auto& line : lines) {
    const auto blank = line.find(' ');
    out[std::stoll(line.substr(0, blank))].push_back(std::stoll(line.substr(blank + 1)));
  }
  return out;
}

/// The second job has printed each total behind the checkpoint, once, to the last one; the first one all before it.
void check_continued(const std::vector<std::string>& first, const std::vector<std::string>& second) {
  auto before = totals_of(first), after = totals_of(second);
  std::map<std::int64_t, std::vector<std::int64_t>> all; // by key: the numbers dealt out may come in another order
  for (std::int64_t key = 0; key < keys; ++key) {
    CAPTURE(key);
    const auto numbers = (all_numbers - key + keys - 1) / keys;
    std::int64_t whole = 0;
    for (auto i = key; i < all_numbers; i += keys)
      whole += i;
    const auto& totals = after[key];
    REQUIRE(!totals.empty());
    CHECK(totals.back() == whole);
    CHECK(std::is_sorted(totals.begin(), totals.end()));
    // The first one that the second job printed follows one that the first job printed before the checkpoint.
    const auto printed_before = static_cast<std::size_t>(numbers) - totals.size();
    REQUIRE(before[key].size() >= printed_before);
    if (printed_before > 0) {
      const auto step = totals.front() - before[key][printed_before - 1];
      CHECK(step >= 0); // a number of that key
      CHECK(step < all_numbers);
      CHECK(step % keys == key);
    }
  }
}

std::string checkpoint_of(lab& l, const congested_shape& s, double rate, std::chrono::milliseconds aligned_timeout) {
  auto env = l.env(s.parallelism);
  env.configure("execution.checkpointing.dir", "/checkpoints");
  env.configure("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
  env.enable_unaligned_checkpoints(true, aligned_timeout);
  congested_totals(env, s, rate);
  auto job = env.execute_async("job");
  l.cluster->run_for(70ms);
  std::string path;
  for (int i = 0; i < 20 && path.empty(); ++i) // one that begins just when a source comes to its end is given up
    error_of([&] { path = job->trigger_checkpoint(); });
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
  return path;
}

std::uint64_t under_way_in(lab& l, const std::string& path) {
  std::uint64_t elements = 0;
  for (auto& op : open_restore_point(l.cluster->files(), {path}).metadata.operators)
    for (auto& part : op.parts)
      for (auto& f : part.in_flight)
        elements += f.elements;
  return elements;
}

} // namespace unaligned_checkpoints_test

using namespace unaligned_checkpoints_test;

TEST_CASE("jobs go on from an unaligned checkpoint at any parallelism: what was under way counts once") {
  log_capture quiet;
  std::uint64_t seed = 0, with_records = 0, all = 0;
  for (const std::int64_t before : {1, 2, 4})
    for (const std::int64_t after : {1, 2, 3, 4})
      for (const bool in_chain : {false, true})
        for (const double rate : {4000.0, 20000.0}) { // the faster ones have come to their end at the checkpoint
          ++seed;
          if (sanitized && seed % 7 != 0) continue;
          CAPTURE(seed);
          CAPTURE(before);
          CAPTURE(after);
          CAPTURE(in_chain);
          CAPTURE(rate);
          lab l{seed};
          const auto path = checkpoint_of(l, {before, in_chain}, rate, seed % 3 == 0 ? 4ms : 0ms);
          const auto first = l.lines();
          ++all;
          with_records += under_way_in(l, path) > 0 ? 1 : 0;
          auto env = l.env(after);
          congested_totals(env, {after, in_chain, 0us}, 0);
          env.start_from(path);
          env.execute("job");
          check_continued(first, l.lines());
        }
  CHECK(with_records * 10 > all * 9);
}

TEST_CASE("a savepoint of a job with unaligned checkpoints is aligned, and may be restored by another job") {
  log_capture quiet;
  lab l{5};
  auto env = l.env();
  env.enable_unaligned_checkpoints();
  congested_totals(env, {2, false}, 4000);
  auto job = env.execute_async("job");
  l.cluster->run_for(70ms);
  const auto path = job->stop_with_savepoint("/savepoints");
  job->wait();
  const auto first = l.lines();
  CHECK(under_way_in(l, path) == 0);
  auto next = l.env(3);
  congested_totals(next, {3, true, 0us}, 0);
  next.start_from(path);
  next.execute("job");
  check_continued(first, l.lines());
}

TEST_CASE(
    "under back-pressure an unaligned checkpoint is complete within a second, an aligned one is not in a minute") {
  log_capture quiet;
  using std::chrono::seconds;
  for (const auto timeout : {-1ms, 0ms, 300ms}) { // -1: aligned
    CAPTURE(timeout.count());
    auto cluster = std::make_shared<simulated_cluster>(3);
    environment_options o;
    o.runner = cluster;
    environment env{o};
    env.set_parallelism(2);
    env.configure("execution.checkpointing.dir", "/checkpoints");
    env.configure("execution.checkpointing.timeout", "1 min");
    if (timeout >= 0ms) env.enable_unaligned_checkpoints(true, timeout);
    // Everything but the slow part would do some millions of records a second.
    congested_totals(env, {2, false, 10ms}, 0, 1'000'000'000);
    auto job = env.execute_async("job");
    cluster->run_for(seconds{5});
    const auto begun = cluster->now();
    const auto e = error_of([&] { job->trigger_checkpoint(); });
    const auto took = cluster->now() - begun;
    CAPTURE(took.count());
    if (timeout < 0ms) {
      CHECK(e.code() == errc::checkpoint_failed);
      CHECK(e.cause().find("has not acknowledged") != std::string::npos);
      CHECK(took >= seconds{60});
    } else {
      CHECK_FALSE(e);
      CHECK(took < seconds{1});
    }
    job->cancel();
    job->wait();
  }
}

TEST_CASE("unaligned checkpoints that cannot be are refused at submission") {
  log_capture quiet;
  lab l{1};
  {
    auto env = l.env();
    env.enable_checkpointing(100ms, checkpointing_mode::at_least_once);
    env.enable_unaligned_checkpoints();
    totals(env);
    const auto e = submit_error(env);
    CHECK(e.code() == errc::invalid_option);
    CHECK(e.cause().find("execution.checkpointing.unaligned.enabled needs") == 0);
  }
  const auto custom = [](environment& env) {
    env.enable_checkpointing(100ms);
    env.enable_unaligned_checkpoints();
    env.from_elements<std::int64_t>({1, 2, 3})
        .partition_custom(
            [](std::int64_t n, std::uint32_t channels) { return static_cast<std::uint32_t>(n) % channels; },
            [](std::int64_t n) { return n; })
        .map([](std::int64_t n) { return n; })
        .name("Behind it")
        .discard();
  };
  {
    auto env = l.env();
    custom(env);
    const auto e = submit_error(env);
    CHECK(e.code() == errc::invalid_graph);
    CHECK(e.cause().find("custom partitioner") != std::string::npos);
    CHECK(e.cause().find("Behind it") != std::string::npos);
  }
  auto env = l.env();
  custom(env);
  env.configure("execution.checkpointing.unaligned.forced", "true");
  CHECK(env.execute("forced").status == job_status::finished);
}
