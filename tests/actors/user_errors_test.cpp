// Users' code throws wherever it can: the job fails with the text, or is restarted.
#include <dataflow/util/log.hpp>

#include <tests/actors/test_cluster.hpp>

using namespace dataflow;
using namespace dataflow::test;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct fails_in_open {
  void open(runtime_context&) { throw std::runtime_error{"cannot open"}; }
  std::int64_t operator()(std::int64_t x) { return x; }
};

/// A source whose enumerator throws at the start.
class bad_source final : public source<std::int64_t> {
public:
  boundedness bounds() const noexcept override { return boundedness::bounded; }
  std::unique_ptr<source_reader<std::int64_t>> make_reader() const override { return inner_.make_reader(); }
  std::unique_ptr<split_enumerator> make_enumerator() const override { throw std::runtime_error{"cannot enumerate"}; }
  std::unique_ptr<split_enumerator> restore_enumerator(const std::string&) const override { return make_enumerator(); }

private:
  paced_source inner_{std::make_shared<job_control>()};
};

job_result run(std::shared_ptr<stream_graph> graph, configuration settings = {}) {
  test_cluster cluster{std::move(settings)};
  return result_of(*cluster.start(std::move(graph)).client);
}

std::shared_ptr<stream_graph> ending_job() {
  auto control = std::make_shared<job_control>();
  control->may_end = true;
  return paced_job(control);
}

} // namespace

TEST_CASE("an exception in open fails the job with its text, operator, subtask and attempt") {
  log_capture log;
  auto control = std::make_shared<job_control>();
  const auto result = run(paced_job(control, fails_in_open{}), restarting(1));
  CHECK(result.status == job_status::failed);
  CHECK(contains(result.failure.cause(), "cannot open"));
  CHECK(contains(result.failure.cause(), "operator \"Map\""));
  CHECK(contains(result.failure.cause(), "attempt 1"));
  CHECK(result.restarts == 1);
}

TEST_CASE("an exception that is not a std::exception is an exception, too") {
  log_capture log;
  auto control = std::make_shared<job_control>();
  const auto result = run(paced_job(control, [](std::int64_t x) -> std::int64_t {
    if (x == 20) throw 42;
    return x;
  }));
  CHECK(result.status == job_status::failed);
  CHECK(contains(result.failure.cause(), "not a std::exception"));
  CHECK(contains(result.failure.cause(), "operator \"Map\""));
}

TEST_CASE("an exception in an operator's factory fails the job") {
  log_capture log;
  auto graph = ending_job();
  graph->node(1).make_operator = []() -> std::unique_ptr<stream_operator> { throw std::runtime_error{"no operator"}; };
  const auto result = run(graph);
  CHECK(result.status == job_status::failed);
  CHECK(contains(result.failure.cause(), "no operator"));
}

TEST_CASE("an exception in a gate's partitioner, which is made in the task's constructor, fails the job") {
  log_capture log;
  auto graph = ending_job();
  graph->edges()[0].partition = partitioning{
      partitioning_kind::custom, []() -> std::unique_ptr<partitioner> { throw std::runtime_error{"no partitioner"}; }};
  const auto result = run(graph);
  CHECK(result.status == job_status::failed);
  CHECK(contains(result.failure.cause(), "no partitioner"));
}

TEST_CASE("an exception in an enumerator fails the job with the source's name") {
  log_capture log;
  auto graph = ending_job();
  graph->node(0).source = factories_of(bad_source{});
  const auto result = run(graph, restarting(2));
  CHECK(result.status == job_status::failed);
  CHECK(contains(result.failure.cause(), "cannot enumerate"));
  CHECK(contains(result.failure.cause(), "Source: paced"));
}

TEST_CASE("a job that cannot be built at the job master fails at once, with the cause") {
  log_capture log;
  configuration settings;
  settings.set("restart-strategy.type", "exponential-delay");
  settings.set("restart-strategy.exponential-delay.initial-backoff", "10 min");
  settings.set("restart-strategy.exponential-delay.max-backoff", "1 min");
  const auto result = run(ending_job(), settings);
  CHECK(result.status == job_status::failed);
  CHECK(contains(result.failure.to_string(), "back-off"));
}
