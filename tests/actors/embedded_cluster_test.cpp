#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/connectors/generator.hpp>
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/operators/map.hpp>
#include <dataflow/record/codecs.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>

using namespace dataflow;

namespace {

struct sink_contents {
  std::mutex mutex;
  std::vector<std::int64_t> values;
};

class test_sink final : public stream_operator {
public:
  explicit test_sink(std::shared_ptr<sink_contents> into) : into_(std::move(into)) {}
  void process(unsigned, batch_slice& slice) override {
    std::lock_guard lock{into_->mutex};
    for (auto& r = slice.data.as<std::int64_t>().records; slice.cursor < slice.limit; ++slice.cursor)
      into_->values.push_back(r[slice.cursor]);
  }

private:
  std::shared_ptr<sink_contents> into_;
};

/// numbers from..to -> f -> sink, the sink in a task of its own when its parallelism differs.
template <class F>
std::shared_ptr<stream_graph> numbers_job(std::int64_t to, F f, std::shared_ptr<sink_contents> into,
                                          std::uint32_t parallelism, std::uint32_t sink_parallelism) {
  auto g = std::make_shared<stream_graph>();
  auto& source = g->add(node_kind::source, "Source: numbers");
  source.source = factories_of(sequence_source{1, to});
  source.output_type = &record_type_of<std::int64_t>();
  source.parallelism = parallelism;
  auto& map = g->add(node_kind::one_input, "Map");
  map.make_operator = [f] { return std::make_unique<map_operator<std::int64_t, std::int64_t, F>>(f); };
  map.output_type = &record_type_of<std::int64_t>();
  map.parallelism = parallelism;
  auto& sink = g->add(node_kind::sink, "Sink: test");
  sink.make_operator = [into] { return std::make_unique<test_sink>(into); };
  sink.parallelism = sink_parallelism;
  g->connect(0, 1);
  g->connect(1, 2);
  return g;
}

std::int64_t sum_of(const sink_contents& s) {
  std::int64_t sum = 0;
  for (auto v : s.values)
    sum += v;
  return sum;
}

} // namespace

TEST_CASE("a job client may be the last to hold its cluster, which then ends with it") {
  auto into = std::make_shared<sink_contents>();
  auto job = std::make_shared<actors::embedded_cluster>()->submit(numbers_job(
      10, [](std::int64_t x) { return x; }, into, 1, 1));
  CHECK(job->wait().status == job_status::finished);
  job = nullptr;
  CHECK(into->values.size() == 10);
}

TEST_CASE("a chained job runs to its end on an embedded cluster") {
  auto cluster = std::make_shared<actors::embedded_cluster>();
  auto into = std::make_shared<sink_contents>();
  auto job = cluster->submit(numbers_job(
      10'000, [](std::int64_t x) { return 2 * x; }, into, 1, 1));
  auto result = job->wait();
  CHECK(result.status == job_status::finished);
  CHECK(into->values.size() == 10'000);
  CHECK(sum_of(*into) == 10'000LL * 10'001);
}

TEST_CASE("a job with an exchange runs to its end, every record once") {
  auto cluster = std::make_shared<actors::embedded_cluster>();
  auto into = std::make_shared<sink_contents>();
  auto job = cluster->submit(numbers_job(
      100'000, [](std::int64_t x) { return x; }, into, 2, 3));
  auto result = job->wait();
  CHECK(result.status == job_status::finished);
  std::sort(into->values.begin(), into->values.end());
  REQUIRE(into->values.size() == 100'000);
  for (std::int64_t i = 0; i < 100'000; ++i)
    REQUIRE(into->values[i] == i + 1);
  CHECK(result.final_report.tasks.size() == 5);
}

TEST_CASE("a user's exception reaches the client with operator, subtask and attempt") {
  auto cluster = std::make_shared<actors::embedded_cluster>();
  auto into = std::make_shared<sink_contents>();
  auto job = cluster->submit(numbers_job(
      1000,
      [](std::int64_t x) -> std::int64_t {
        if (x == 77) throw std::runtime_error("seventy-seven is not allowed");
        return x;
      },
      into, 1, 1));
  auto result = job->wait();
  CHECK(result.status == job_status::failed);
  const auto text = result.failure.to_string();
  CHECK(text.find("seventy-seven is not allowed") != std::string::npos);
  CHECK(text.find("\"Map\"") != std::string::npos);
  CHECK(text.find("(1/1)") != std::string::npos);
  CHECK(text.find("attempt 0") != std::string::npos);
}

TEST_CASE("a job without end is cancelled") {
  auto cluster = std::make_shared<actors::embedded_cluster>();
  auto into = std::make_shared<sink_contents>();
  auto job = cluster->submit(numbers_job(
      std::numeric_limits<std::int64_t>::max(), [](std::int64_t x) { return x & 1; }, into, 2, 2));
  while (job->status() != job_status::running)
    REQUIRE_FALSE(job->wait_for(std::chrono::milliseconds{1}));
  job->cancel();
  auto result = job->wait();
  CHECK(result.status == job_status::canceled);
}
