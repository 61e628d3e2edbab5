// Whole jobs through the DataStream API on an embedded cluster.
#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <mutex>

using namespace dataflow;

namespace {
using number = std::int64_t;
struct word_count {
  std::string word;
  std::int64_t count = 0;
};
struct bid {
  number auction = 0, price = 0;
};

std::vector<number> sorted(std::vector<number> v) {
  std::sort(v.begin(), v.end());
  return v;
}
std::vector<number> range(number from, number to) {
  std::vector<number> v;
  for (; from <= to; ++from)
    v.push_back(from);
  return v;
}
void split(const std::string& line, collector<word_count>& out) {
  std::size_t begin = 0;
  while (begin < line.size()) {
    const auto end = std::min(line.find(' ', begin), line.size());
    if (end > begin) out.collect({line.substr(begin, end - begin), 1});
    begin = end + 1;
  }
}
/// The last result per word.
std::map<std::string, std::int64_t> final_counts(const std::vector<word_count>& all) {
  std::map<std::string, std::int64_t> last;
  for (auto& w : all)
    last[w.word] = std::max(last[w.word], w.count);
  return last;
}
class odd_even : public process_function<number, number> {
public:
  void process(const number& n, context& ctx, collector<number>& out) override {
    if (n % 2)
      ctx.output(odd, n);
    else
      out.collect(n);
  }
  static inline const output_tag<number> odd{"odd"};
};
class keyed_tally : public keyed_process_function<std::string, word_count, word_count> {
public:
  void process(const word_count& w, context& ctx, collector<word_count>& out) override {
    out.collect({ctx.key(), counts_[ctx.key()] += w.count});
  }

private:
  std::map<std::string, std::int64_t> counts_;
};
struct minimum_and_sum {
  number seen = 0;
  number map1(const number& n) { return ++seen, n; }
  number map2(const std::string& s) { return ++seen, -static_cast<number>(s.size()); }
};
} // namespace
DATAFLOW_RECORD(word_count, word, count);
DATAFLOW_RECORD(bid, auction, price);

TEST_CASE("collect returns all records of a bounded job") {
  environment env;
  env.set_parallelism(2);
  CHECK(sorted(env.sequence(1, 10000).collect()) == range(1, 10000));
  auto in = std::vector<std::string>{"a", "b", "", "a word that needs the heap"};
  CHECK(env.from_collection(in).map([](const std::string& s) { return s; }).set_parallelism(1).collect() == in);
  CHECK(env.from_collection(std::vector<number>{}).collect().empty());
}

TEST_CASE("a word count counts, at any parallelism, chained or not") {
  const std::vector<std::string> lines{"to be or not to be", "that is the question", "to be"};
  const std::map<std::string, std::int64_t> expected{{"to", 3},   {"be", 3}, {"or", 1},  {"not", 1},
                                                     {"that", 1}, {"is", 1}, {"the", 1}, {"question", 1}};
  for (const int parallelism : {1, 2, 4})
    for (const bool chained : {true, false}) {
      CAPTURE(parallelism);
      environment env;
      env.set_parallelism(parallelism);
      if (!chained) env.disable_operator_chaining();
      auto words = env.from_collection(lines).flat_map(split);
      CHECK(final_counts(words.key_by(&word_count::word).sum(&word_count::count).collect()) == expected);
      CHECK(final_counts(words.key_by(&word_count::word)
                             .reduce([](const word_count& a, const word_count& b) {
                               return word_count{a.word, a.count + b.count};
                             })
                             .collect()) == expected);
      CHECK(final_counts(words.key_by(&word_count::word).process<keyed_tally>().collect()) == expected);
      CHECK(final_counts(words.key_by_salted(&word_count::word, 3).sum(&word_count::count).collect()) == expected);
      CHECK(final_counts(words.key_by(&word_count::word, [](const word_count& w) { return w.word.size(); })
                             .sum(&word_count::count)
                             .collect()) == expected);
    }
}

TEST_CASE("many keys over several subtasks sum up") {
  environment env;
  env.set_parallelism(3);
  auto sums = env.generate(
                     [](number i) {
                       return bid{i % 1000, i};
                     },
                     {.count = 100000})
                  .filter([](const bid& b) { return b.price % 10 != 0; })
                  .key_by(&bid::auction)
                  .sum(&bid::price)
                  .collect();
  std::map<number, number> last, expected;
  for (auto& b : sums)
    last[b.auction] = std::max(last[b.auction], b.price);
  for (number i = 0; i < 100000; ++i)
    if (i % 10) expected[i % 1000] += i;
  CHECK(last == expected);
}

TEST_CASE("every partitioning delivers every record as often as it should") {
  environment env;
  env.set_parallelism(3);
  auto in = env.sequence(1, 5000);
  auto same = [](const number& n) { return n; };
  const auto all = range(1, 5000);
  CHECK(sorted(in.rebalance().map(same).collect()) == all);
  CHECK(sorted(in.shuffle().map(same).collect()) == all);
  CHECK(sorted(in.rescale().map(same).collect()) == all);
  CHECK(sorted(in.global().map(same).collect()) == all);
  CHECK(sorted(in.forward().map(same).collect()) == all);
  CHECK(sorted(in.key_by(same).map(same).collect()) == all);
  CHECK(sorted(in.partition_custom([](number key, std::uint32_t n) { return key % n; }, same).map(same).collect()) ==
        all);
  CHECK(in.broadcast().map(same).collect().size() == 3 * all.size());
  CHECK(sorted(in.map(same).set_parallelism(1).map(same).set_parallelism(2).collect()) == all);
}

TEST_CASE("side outputs, unions and two inputs") {
  environment env;
  env.set_parallelism(2);
  auto even = env.sequence(1, 1000).process<odd_even>();
  auto odd = even.side_output(odd_even::odd);
  CHECK(even.collect().size() == 500);
  auto odds = odd.collect();
  CHECK(odds.size() == 500);
  CHECK(std::all_of(odds.begin(), odds.end(), [](number n) { return n % 2; }));
  CHECK(sorted(even.union_with(odd).collect()) == range(1, 1000));
  auto words = env.from_elements<std::string>({"a", "bb"});
  auto both = sorted(env.sequence(1, 3).connect(words).map(minimum_and_sum{}).collect());
  CHECK(both == std::vector<number>{-2, -1, 1, 2, 3});
  auto keyed =
      env.sequence(1, 3)
          .connect(words)
          .key_by([](const number& n) { return n; }, [](const std::string& s) { return static_cast<number>(s.size()); })
          .map([](const number& n) { return n; }, [](const std::string&) { return number{0}; })
          .collect();
  CHECK(sorted(keyed) == std::vector<number>{0, 0, 1, 2, 3});
}

TEST_CASE("a loop with a fan-out of two ends, with all records") {
  environment env;
  env.set_parallelism(2);
  // Each number n above 0 goes round as two of n - 1; zeros leave the loop: 2^n of them.
  auto zeros = env.from_elements<number>({10, 3}).iterate([](const data_stream<number>& loop) {
    auto body = loop.flat_map([](const number& n, collector<number>& out) {
      if (n == 0) return;
      out.collect(n - 1);
      out.collect(n - 1);
    });
    return std::pair{body.filter([](const number& n) { return n > 0; }),
                     body.filter([](const number& n) { return n == 0; })};
  });
  CHECK(zeros.collect().size() == 1024 + 8);
}

TEST_CASE("a function that throws fails the job with its text, operator and subtask") {
  environment env;
  auto s = env.sequence(1, 100)
               .map([](const number& n) {
                 if (n == 50) throw std::runtime_error{"fifty"};
                 return n;
               })
               .name("picky");
  try {
    s.collect();
    FAIL("the job did not fail");
  } catch (const error& e) {
    CHECK(e.code() == errc::user_function_failed);
    CHECK(e.to_string().find("fifty") != std::string::npos);
    CHECK(e.to_string().find("picky") != std::string::npos);
  }
}

TEST_CASE("record errors: skip, retry and side output") {
  environment env;
  const output_tag<number> bad{"bad"};
  auto make = [&](const record_error& what) {
    return env.sequence(1, 100)
        .map([](const number& n) {
          if (n % 10 == 0) throw std::runtime_error{"ten"};
          return n;
        })
        .on_record_error(what);
  };
  CHECK(make(record_error::skip()).collect().size() == 90);
  CHECK_THROWS_AS(make(record_error::retry(2)).collect(), error);
  auto diverting = make(record_error::side_output(bad));
  CHECK(sorted(diverting.side_output(bad).collect()) == std::vector<number>{10, 20, 30, 40, 50, 60, 70, 80, 90, 100});
}

TEST_CASE("callback sinks are called with every record, and accumulators come with the result") {
  static std::mutex mutex;
  static std::vector<number> seen;
  struct counting {
    accumulator* calls = nullptr;
    void open(runtime_context& context) { calls = &context.accumulator_of("calls"); }
    void operator()(const number& n) {
      calls->add(1);
      std::lock_guard lock{mutex};
      seen.push_back(n);
    }
  };
  environment env;
  env.set_parallelism(2);
  env.sequence(1, 1000).sink_to(counting{});
  auto result = env.execute("callbacks");
  CHECK(sorted(seen) == range(1, 1000));
  CHECK(result.accumulators.at("calls") == 1000);
  CHECK(result.name == "callbacks");
}

TEST_CASE("an endless job can be cancelled") {
  environment env;
  env.generate([](number i) { return i; }).map([](const number& n) { return n + 1; }).discard();
  auto job = env.execute_async("endless");
  CHECK(job->id().size() == 32);
  while (job->status() != job_status::running)
    REQUIRE_FALSE(job->wait_for(std::chrono::milliseconds{1}));
  job->cancel();
  auto result = job->wait();
  CHECK(result.status == job_status::canceled);
  CHECK_THROWS_AS(result.raise(), error);
}
