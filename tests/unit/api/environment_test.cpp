#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {
struct word_count {
  std::string word;
  std::int64_t count = 0;
};

/// Keeps what it is given; its jobs end at once with the result set before.
class fake_executor final : public executor {
public:
  class client final : public job_client {
  public:
    explicit client(job_result r) : result_(std::move(r)) {}
    const std::string& id() const noexcept override { return result_.id; }
    job_status status() const override { return result_.status; }
    void cancel() override {}
    job_result wait() override { return result_; }
    bool wait_for(std::chrono::milliseconds) override { return true; }
    job_report report() override { return {}; }

  private:
    job_result result_;
  };
  std::shared_ptr<job_client> submit(std::shared_ptr<const stream_graph> graph) override {
    graphs.push_back(std::move(graph));
    return std::make_shared<client>(result);
  }
  std::vector<std::shared_ptr<const stream_graph>> graphs;
  job_result result;
};

environment with(std::shared_ptr<executor> runner) {
  environment_options options;
  options.runner = std::move(runner);
  options.submit_time = timestamp{5ms};
  options.random_seed = 7;
  return environment{std::move(options)};
}
std::vector<std::string> names(const stream_graph& g) {
  std::vector<std::string> all;
  for (auto& n : g.nodes())
    all.push_back(n.name);
  return all;
}
/// "from -> to [KIND]" of all edges, without the kind where it is left to the translator.
std::vector<std::string> edges(const stream_graph& g) {
  std::vector<std::string> all;
  for (auto& e : g.edges()) {
    auto text = g.node(e.from).name + " -> " + g.node(e.to).name;
    if (e.input) text += "#" + std::to_string(e.input);
    if (e.side_output) text += " /" + g.node(e.from).side_output_names.at(*e.side_output);
    if (e.partition) text += " " + std::string{to_string(e.partition->kind)};
    all.push_back(text);
  }
  return all;
}
using texts = std::vector<std::string>;

void split(const std::string& line, collector<word_count>& out) { out.collect({line, 1}); }
word_count merge(const word_count& a, const word_count& b) { return {a.word, a.count + b.count}; }

class splitter : public process_function<std::string, std::int64_t> {
public:
  explicit splitter(int) {}
  void process(const std::string& s, context&, collector<std::int64_t>& out) override {
    out.collect(static_cast<std::int64_t>(s.size()));
  }
};
class tally : public keyed_process_function<std::string, word_count, std::int64_t> {
public:
  void process(const word_count& w, context&, collector<std::int64_t>& out) override { out.collect(w.count); }
};
class joiner : public keyed_co_process_function<std::string, word_count, word_count, std::string> {
public:
  void process1(const word_count&, context& ctx, collector<std::string>& out) override { out.collect(ctx.key()); }
  void process2(const word_count&, context& ctx, collector<std::string>& out) override { out.collect(ctx.key()); }
};
} // namespace
DATAFLOW_RECORD(word_count, word, count);

TEST_CASE("a word count becomes a graph with Flink's names") {
  environment env;
  env.socket_text("localhost", 9999).flat_map(split).key_by(&word_count::word).sum(&word_count::count).print();
  auto g = env.graph();
  CHECK(names(*g) == texts{"Source: Socket Stream", "Flat Map", "Keyed Aggregation", "Sink: Print to Std. Out"});
  CHECK(edges(*g) == texts{"Source: Socket Stream -> Flat Map", "Flat Map -> Keyed Aggregation HASH",
                           "Keyed Aggregation -> Sink: Print to Std. Out"});
  CHECK(g->node(2).keyed);
  CHECK_FALSE(g->node(1).keyed);
  CHECK(g->node(1).output_type == &record_type_of<word_count>());
  CHECK(g->node(3).output_type == nullptr);
  CHECK(g->node(0).source->blocking);
  CHECK(g->settings.name == "dataflow job");
}

TEST_CASE("default names of all operators") {
  environment env;
  auto lines = env.from_elements<std::string>({"a"});
  auto words = lines.flat_map(split);
  auto keyed = words.key_by(&word_count::word);
  words.map(&word_count::word).filter([](const std::string&) { return true; });
  lines.process<splitter>(1);
  lines.process([](const std::string&, process_context&, collector<int>&) {});
  keyed.process<tally>();
  keyed.reduce(merge);
  words.connect(words).map([](const word_count&) { return 1; }, [](const word_count&) { return 2; });
  words.connect(words).flat_map([](const word_count&, collector<int>&) {}, [](const word_count&, collector<int>&) {});
  keyed.connect(words).key_by(&word_count::word, &word_count::word).process<joiner>();
  lines.map([](const std::string& s) {
         return std::tuple{s, 1, 2.0};
       })
      .project<2, 0>()
      .map([](const std::tuple<double, std::string>& t) { return std::get<0>(t); });
  lines.sink_to([](const std::string&) {});
  lines.discard().name("nothing");
  lines.print_to_err().name("errors");
  env.sequence(1, 2);
  env.generate([](std::int64_t i) { return i; });
  env.text_file("/tmp");
  CHECK(names(*env.graph()) == texts{"Source: Collection Source",
                                     "Flat Map",
                                     "Map",
                                     "Filter",
                                     "Process",
                                     "Process",
                                     "KeyedProcess",
                                     "Keyed Reduce",
                                     "Co-Map",
                                     "Co-Flat Map",
                                     "Co-Process",
                                     "Map",
                                     "Projection",
                                     "Map",
                                     "Sink: Callback",
                                     "Sink: nothing",
                                     "Sink: errors",
                                     "Source: Sequence Source",
                                     "Source: Generator Source",
                                     "Source: File Source"});
}

TEST_CASE("partitionings, unions, side outputs and two inputs become edges") {
  environment env;
  const output_tag<std::string> late{"late"};
  auto a = env.from_elements<std::string>({"a"}).name("a");
  auto b = env.from_elements<std::string>({"b"}).name("b");
  auto c = env.from_elements<std::string>({"c"}).name("c");
  auto p = a.union_with(b.rebalance(), c).process<splitter>(1).name("p");
  p.side_output(late).shuffle().discard().name("late");
  a.broadcast().connect(b.global()).map([](const std::string&) { return 1; }, [](const std::string&) { return 2; });
  a.partition_custom([](std::size_t size, std::uint32_t n) { return size % n; }, &std::string::size).discard();
  a.rescale().discard();
  a.forward().discard();
  CHECK(edges(*env.graph()) == texts{"Source: a -> p", "Source: b -> p REBALANCE", "Source: c -> p",
                                     "p -> Sink: late /late SHUFFLE", "Source: a -> Co-Map BROADCAST",
                                     "Source: b -> Co-Map#1 GLOBAL", "Source: a -> Sink: Discard CUSTOM",
                                     "Source: a -> Sink: Discard RESCALE", "Source: a -> Sink: Discard FORWARD"});
}

TEST_CASE("settings go to the operator that they stand behind") {
  environment env;
  env.set_parallelism(3).set_max_parallelism(256).set_buffer_timeout(5ms).disable_operator_chaining();
  env.configure("restart-strategy.type", "none");
  auto s = env.from_elements<std::string>({"a"}).map([](const std::string& x) { return x; });
  s.name("n").uid("u").set_parallelism(2).set_max_parallelism(64).slot_sharing_group("g").start_new_chain();
  s.on_record_error(record_error::retry(3));
  auto g = env.graph("my job");
  auto& n = g->node(1);
  CHECK(n.name == "n");
  CHECK(n.uid == "u");
  CHECK(n.parallelism == 2);
  CHECK(n.max_parallelism == 64);
  CHECK(n.slot_sharing_group == "g");
  CHECK(n.chaining == chaining_strategy::head);
  CHECK(n.on_record_error.action == record_error_policy::kind::retry);
  CHECK(n.on_record_error.retries == 3);
  CHECK(g->settings.name == "my job");
  CHECK(g->settings.parallelism == 3);
  CHECK(g->settings.max_parallelism == 256);
  CHECK_FALSE(g->settings.chaining_enabled);
  CHECK(g->settings.buffer_timeout == 5ms);
  CHECK(g->settings.configuration.at("restart-strategy.type") == "none");
}

TEST_CASE("supervision becomes configuration, record errors a policy and a side output") {
  environment env;
  env.supervise({.strategy = restart::region,
                 .max_restarts = 3,
                 .within = 10min,
                 .backoff = exponential{1s, 60s, 1.5, jitter{0.1}}});
  const auto c = env.graph()->settings.configuration;
  CHECK(c.at("restart-strategy.type") == "exponential-delay");
  CHECK(c.at("restart-strategy.exponential-delay.initial-backoff") == "1 s");
  CHECK(c.at("restart-strategy.exponential-delay.attempts-before-reset-backoff") == "3");
  CHECK(c.at("jobmanager.execution.failover-strategy") == "region");
  env.supervise({.strategy = restart::all});
  CHECK(env.graph()->settings.configuration.at("jobmanager.execution.failover-strategy") == "full");
  CHECK(env.graph()->settings.configuration.at("restart-strategy.type") == "exponential-delay");
  env.supervise({.max_restarts = 2, .within = 1min, .backoff = fixed_backoff{50ms}});
  CHECK(env.graph()->settings.configuration.at("restart-strategy.failure-rate.delay") == "50 ms");
  env.supervise({.strategy = restart::none});
  CHECK(env.graph()->settings.configuration.at("restart-strategy.type") == "none");

  const output_tag<std::string> bad{"bad"};
  const output_tag<int> wrong{"wrong"};
  auto s = env.from_elements<std::string>({"a"}).flat_map(split).supervise(
      {.on_record_error = record_error::side_output(bad)});
  s.side_output(bad).print();
  auto g = env.graph();
  CHECK(g->node(1).on_record_error.tag == bad.id());
  CHECK(g->node(1).side_output_types.at(bad.id()) == &record_type_of<std::string>());
  CHECK_THROWS_WITH_AS(s.on_record_error(record_error::side_output(wrong)), doctest::Contains("'Flat Map'"), error);
}

TEST_CASE("what cannot be is an error that names the operator") {
  environment env;
  auto s = env.from_elements<std::string>({"a"}).map([](const std::string& x) { return x; }).name("upper");
  CHECK_THROWS_WITH_AS(s.set_parallelism(0), doctest::Contains("'upper': parallelism 0"), error);
  CHECK_THROWS_WITH_AS(s.set_parallelism(-1), doctest::Contains("'upper'"), error);
  CHECK_THROWS_WITH_AS(s.set_max_parallelism(40000), doctest::Contains("40000"), error);
  CHECK_THROWS_AS(s.name(""), error);
  CHECK_THROWS_AS(s.uid(""), error);
  CHECK_THROWS_AS(s.slot_sharing_group(""), error);
  CHECK_THROWS_WITH_AS(s.rebalance().name("x"), doctest::Contains("partitioned stream of operator 'upper'"), error);
  CHECK_THROWS_WITH_AS(s.union_with(s).set_parallelism(2), doctest::Contains("union"), error);
  CHECK_THROWS_AS(env.set_parallelism(0), error);
  CHECK_THROWS_AS(env.configure("restart-strategy.tpye", "none"), error);
  CHECK_THROWS_AS(env.socket_text("h", 70000), error);
  CHECK_THROWS_WITH_AS(env.socket_text("h", 1).set_parallelism(2), doctest::Contains("Socket Stream"), error);
  CHECK_THROWS_AS(s.key_by_salted([](const std::string& x) { return x; }, 0), error);
  environment other;
  auto t = other.from_elements<std::string>({"a"});
  CHECK_THROWS_WITH_AS(s.union_with(t), doctest::Contains("different environments"), error);
  CHECK_THROWS_AS(s.connect(t), error);
  CHECK_THROWS_AS(t.side_output(output_tag<int>{"x"}), error);
}

TEST_CASE(
    "only sources can be aligned: in the middle of a stream it is an error that names the operator and the group") {
  environment env;
  const auto aligned =
      watermark_strategy<std::int64_t>::monotonous_timestamps().with_alignment("shops", std::chrono::seconds{1});
  auto doubled = env.sequence(1, 10).map([](std::int64_t n) { return 2 * n; }).name("doubled");
  try {
    doubled.rebalance().assign_timestamps_and_watermarks(aligned);
    FAIL("nothing was thrown");
  } catch (const error& e) {
    CHECK(e.code() == errc::invalid_graph);
    CHECK(e.cause().find("behind operator 'doubled'") != std::string::npos);
    CHECK(e.cause().find("group \"shops\"") != std::string::npos);
    CHECK(e.advice().find("env.from(source, strategy)") != std::string::npos);
  }
  env.from(collection_source<std::int64_t>{{1, 2}}, aligned, "numbers").discard();
}

TEST_CASE("a job without a sink, and one without anything, is refused before it is submitted") {
  auto runner = std::make_shared<fake_executor>();
  auto env = with(runner);
  CHECK_THROWS_AS(env.execute("empty"), error);
  env.from_elements<std::string>({"a"}).map([](const std::string& x) { return x; }).name("last");
  CHECK_THROWS_WITH_AS(env.execute("unfinished"), doctest::Contains("'last'"), error);
  CHECK(runner->graphs.empty());
}

TEST_CASE("execute runs, and raises what made the job fail") {
  auto runner = std::make_shared<fake_executor>();
  auto env = with(runner);
  env.from_elements<std::string>({"a"}).print();
  runner->result.id = "abc";
  CHECK(env.execute("first").id == "abc");
  CHECK(runner->graphs.at(0)->settings.name == "first");
  env.from_elements<std::string>({"b"}).discard();
  runner->result.status = job_status::failed;
  runner->result.failure = error{errc::user_function_failed, "boom"};
  CHECK_THROWS_WITH_AS(env.execute(), doctest::Contains("boom"), error);
  CHECK(env.submit_time() == timestamp{5ms});
  CHECK(env.random_seed() == 7);
}

TEST_CASE("after an execution only what is new runs, with what it reads") {
  auto runner = std::make_shared<fake_executor>();
  auto env = with(runner);
  auto words = env.from_elements<std::string>({"a"}).flat_map(split);
  words.print();
  auto unused = env.from_elements<std::string>({"unused"}).name("unused");
  unused.discard();
  env.execute();
  words.map(&word_count::count).discard();
  env.execute();
  REQUIRE(runner->graphs.size() == 2);
  CHECK(names(*runner->graphs[0]).size() == 5);
  CHECK(names(*runner->graphs[1]) == texts{"Source: Collection Source", "Flat Map", "Map", "Sink: Discard"});
  CHECK(edges(*runner->graphs[1]) ==
        texts{"Source: Collection Source -> Flat Map", "Flat Map -> Map", "Map -> Sink: Discard"});
  CHECK(runner->graphs[1]->node(3).id == 3);
}

TEST_CASE("collect decodes what the job reported") {
  auto runner = std::make_shared<fake_executor>();
  auto env = with(runner);
  auto s = env.from_elements<std::string>({"a"}).flat_map(split);
  auto pool = batch_pool::make(record_type_of<word_count>());
  byte_writer out;
  auto b = pool->get();
  b.as<word_count>().records.push_back({"a", 1});
  b.as<word_count>().records.push_back({"b", 2});
  record_type_of<word_count>().encode(*b, out);
  runner->result.collected[3] = {out.buffer(), out.buffer()}; // two nodes come before the collector
  auto all = s.collect("job");
  REQUIRE(all.size() == 4);
  CHECK(all[3].word == "b");
  CHECK(names(*runner->graphs[0]).back() == "Collect Sink");
}

TEST_CASE("iterate closes a loop") {
  environment env;
  auto result = env.sequence(1, 10).iterate([](const data_stream<std::int64_t>& loop) {
    auto body = loop.map([](const std::int64_t& i) { return i / 2; });
    return std::pair{body.filter([](const std::int64_t& i) { return i > 1; }).name("again"),
                     body.filter([](const std::int64_t& i) { return i <= 1; }).name("done")};
  });
  result.discard();
  auto g = env.graph();
  CHECK(names(*g) == texts{"Source: Sequence Source", "IterationSource-1", "Map", "again", "done", "IterationSink-1",
                           "Sink: Discard"});
  CHECK(g->node(5).kind == node_kind::iteration_tail);
  CHECK(g->node(5).iteration_head == 1);
}

TEST_CASE("a salted key makes two keyed stages") {
  environment env;
  env.from_elements<std::string>({"a"})
      .flat_map(split)
      .key_by_salted(&word_count::word, 4)
      .sum(&word_count::count)
      .print();
  CHECK(edges(*env.graph()) ==
        texts{"Source: Collection Source -> Flat Map", "Flat Map -> Salt", "Salt -> Keyed Aggregation (parts) HASH",
              "Keyed Aggregation (parts) -> Keyed Aggregation HASH", "Keyed Aggregation -> Sink: Print to Std. Out"});
}

TEST_CASE("the key partitioner hashes, routes by key group and names itself when the key function throws") {
  environment env;
  auto s = env.from_elements<std::string>({"a"});
  s.key_by([](const std::string& x) {
     if (x == "bad") throw std::runtime_error{"no key"};
     return std::string_view{x};
   }).reduce([](const std::string& a, const std::string& b) { return a + b; });
  auto g = env.graph();
  auto p = g->edges().at(0).partition->factory();
  CHECK(p->provides_hashes());
  batch<std::string> b{record_type_of<std::string>()};
  for (int i = 0; i < 100; ++i)
    b.records.push_back(std::to_string(i));
  std::vector<std::uint32_t> targets(100);
  std::vector<std::uint64_t> hashes(100);
  p->select(b, 0, 100, 3, 128, targets.data(), hashes.data());
  for (std::size_t i = 0; i < 100; ++i) {
    CHECK(hashes[i] == key_hash(b.records[i]));
    CHECK(targets[i] == subtask_of(key_group_of(hashes[i], 128), 3, 128));
  }
  b.records.push_back("bad");
  CHECK_THROWS_WITH_AS(p->select(b, 100, 101, 3, 128, targets.data(), hashes.data()),
                       doctest::Contains("key_by: std::runtime_error: no key"), error);
}

TEST_CASE("a custom partitioner that chooses no subtask is an error") {
  environment env;
  env.sequence(1, 2)
      .partition_custom([](std::int64_t key, std::uint32_t) { return key; }, [](const std::int64_t& i) { return i; })
      .discard();
  auto p = env.graph()->edges().at(0).partition->factory();
  batch<std::int64_t> b{record_type_of<std::int64_t>()};
  b.records.push_back(1);
  b.records.push_back(9);
  b.records.push_back(-1);
  std::uint32_t target = 0;
  p->select(b, 0, 1, 2, 128, &target, nullptr);
  CHECK(target == 1);
  CHECK_THROWS_WITH_AS(p->select(b, 1, 2, 2, 128, &target, nullptr), doctest::Contains("chose subtask 9 of 2"), error);
  CHECK_THROWS_WITH_AS(p->select(b, 2, 3, 2, 128, &target, nullptr), doctest::Contains("chose subtask -1"), error);
}
