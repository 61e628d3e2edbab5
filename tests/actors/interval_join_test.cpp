// Interval joins in whole jobs: every parallelism, both late side outputs, an input that ends long before the other.
#include <dataflow/actors/simulation/simulate.hpp>
#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <tests/support/stamped_stream.hpp>

using namespace dataflow;
using namespace dataflow::test;
using namespace std::chrono_literals;

namespace {

struct visit {
  std::int64_t key = 0, at = 0, number = 0; // number -1: a watermark
};
const output_tag<visit> early_left{"late-left"}, early_right{"late-right"};

/// Out of order by up to 20 ms, with a watermark that is never wrong after every tenth record.
std::vector<visit> visits(std::uint32_t seed, std::int64_t count) {
  std::mt19937 random{seed};
  std::vector<visit> all;
  for (std::int64_t i = 0; i < count; ++i) {
    all.push_back({static_cast<std::int64_t>(random() % 50), i + static_cast<std::int64_t>(random() % 20), i});
    if (i % 10 == 9) all.push_back({0, i, -1});
  }
  return all;
}
std::vector<std::string> all_pairs(const std::vector<visit>& left, const std::vector<visit>& right) {
  std::vector<std::string> pairs;
  for (auto& l : left)
    for (auto& r : right)
      if (l.number >= 0 && r.number >= 0 && l.key == r.key && r.at >= l.at - 100 && r.at < l.at + 200)
        pairs.push_back(std::to_string(l.number) + "+" + std::to_string(r.number));
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}
data_stream<visit> stream_of(environment& env, const std::vector<visit>& list) {
  return env.from_collection(list)
      .transform<visit>("Stamp", stamp<visit>([](const visit& v) { return v.at; },
                                              [](const visit& v) {
                                                return v.number < 0 ? std::optional{v.at}
                                                                    : std::optional<std::int64_t>{};
                                              }))
      .set_parallelism(1);
}
std::vector<std::string> joined(environment& env, const std::vector<visit>& left, const std::vector<visit>& right) {
  auto pairs = stream_of(env, left)
                   .key_by(&visit::key)
                   .interval_join(stream_of(env, right).key_by(&visit::key))
                   .between(-100ms, 200ms)
                   .upper_bound_exclusive()
                   .process([](const visit& l, const visit& r, collector<std::string>& out) {
                     out.collect(std::to_string(l.number) + "+" + std::to_string(r.number));
                   })
                   .collect();
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

} // namespace
DATAFLOW_RECORD(visit, key, at, number);

TEST_CASE("an interval join joins the same pairs at every parallelism, also when one input ends first") {
  const auto longer = visits(1, 3000), shorter = visits(2, 100);
  for (const int parallelism : {1, 2, 4}) {
    CAPTURE(parallelism);
    environment a, b, c;
    for (auto* env : {&a, &b, &c})
      env->set_parallelism(parallelism);
    CHECK(joined(a, longer, visits(3, 3000)) == all_pairs(longer, visits(3, 3000)));
    CHECK(joined(b, longer, shorter) == all_pairs(longer, shorter));
    CHECK(joined(c, shorter, longer) == all_pairs(shorter, longer));
  }
}

TEST_CASE("an interval join joins the same pairs under every schedule") {
  const auto left = visits(4, 200), right = visits(5, 60);
  const auto report = simulate(
      [&](environment& env) {
        env.set_parallelism(2);
        return joined(env, left, right);
      },
      {.seeds = 20});
  CHECK_MESSAGE(report.exactly_once(), report.describe());
  environment env;
  CHECK(joined(env, left, right) == all_pairs(left, right));
}

TEST_CASE("late records of an interval join come out of the side outputs of its result") {
  // Both watermarks stand at 1000 before the late ones come: a watermark reaches the join only when both sides have it,
  // and the late ones wait behind their own side's.
  environment env;
  env.set_parallelism(1);
  std::vector<visit> left{{1, 1000, 0}, {0, 1000, -1}}, right{{1, 1000, 1}, {0, 1000, -1}};
  for (std::int64_t i = 0; i < 100; ++i)
    left.push_back({1, 999, 100 + i});
  auto pairs = stream_of(env, left)
                   .key_by(&visit::key)
                   .interval_join(stream_of(env, right).key_by(&visit::key))
                   .between(-100ms, 200ms)
                   .side_output_left_late(early_left)
                   .side_output_right_late(early_right)
                   .process([](const visit& l, const visit&, join_context& ctx, collector<visit>& out) {
                     CHECK(ctx.result_timestamp() == std::max(ctx.left_timestamp(), ctx.right_timestamp()));
                     out.collect(l);
                   });
  // Which of them are late depends on which side comes first; each either joins or comes out here.
  const auto all = pairs.union_with(pairs.side_output(early_left), pairs.side_output(early_right)).collect();
  CHECK(all.size() == 101);
}

TEST_CASE("a cancel does not wait for a record with very many partners") {
  constexpr std::int64_t partners = 200'000;
  simulated_cluster cluster{3};
  environment_options o;
  o.runner = std::shared_ptr<executor>{std::shared_ptr<void>{}, &cluster};
  environment env{o};
  env.set_parallelism(1);
  env.configure("taskmanager.batch.records", "1024"); // small parts of what is to be cancelled
  std::vector<visit> many(static_cast<std::size_t>(partners), visit{1, 1000, 0});
  auto pairs = std::make_shared<std::int64_t>(0);
  // The second record of this one comes a minute later, when the others are there.
  auto one = env.from(generator_source{[](std::int64_t i) {
                                         return visit{i == 0 ? 2 : 1, 1000, i};
                                       },
                                       generator_options{2, 1.0 / 60}},
                      watermark_strategy<visit>::no_watermarks().with_timestamp(&visit::at), "one");
  stream_of(env, many)
      .key_by(&visit::key)
      .interval_join(one.key_by(&visit::key))
      .between(-100ms, 200ms)
      .process([pairs](const visit&, const visit&, collector<std::int64_t>& out) { out.collect(++*pairs); })
      .discard();
  auto job = env.execute_async("many pairs");
  while (*pairs == 0 && !job->wait_for(1ms)) {
  }
  REQUIRE(*pairs > 0);
  job->cancel();
  CHECK(job->wait().status == job_status::canceled);
  CHECK(*pairs < partners / 2);
}
