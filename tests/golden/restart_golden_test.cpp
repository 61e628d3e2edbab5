#include <dataflow/recovery/restart_strategy.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using std::chrono::milliseconds;

namespace {

std::vector<nlohmann::json> lines_of(const std::string& file) {
  std::ifstream in{dataflow::test::source_path("tests/golden/data/") + file};
  REQUIRE_MESSAGE(in, file);
  std::vector<nlohmann::json> out;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) out.push_back(nlohmann::json::parse(line));
  return out;
}

void replay(const std::string& name, const restart_settings& settings) {
  const auto input = lines_of(name + "/input.ndjson");
  const auto expected = lines_of(name + "/expected.ndjson");
  REQUIRE(!input.empty());
  REQUIRE(input.size() == expected.size());
  const auto strategy = make_restart_strategy(settings, 1);
  for (std::size_t i = 0; i < input.size(); ++i) {
    const auto decision = strategy->failed(milliseconds{input[i]["fail_at"].get<std::int64_t>()});
    const nlohmann::json got{
        {"at", i + 1},
        {"fail_at", input[i]["fail_at"]},
        {"new_attempt", decision.new_attempt},
        {"can_restart", decision.restart},
        {"backoff_ms", decision.restart ? nlohmann::json(decision.delay.count()) : nlohmann::json()}};
    CHECK_MESSAGE(got == expected[i], "got " << got.dump() << ", expected " << expected[i].dump());
  }
}

} // namespace

TEST_CASE("restart-exponential-delay: merged failures, growth and reset are Flink's") {
  using namespace std::chrono_literals;
  replay("restart-exponential-delay", restart_settings::exponential(1s, 60s, 1.5, 0.0, 1h));
}

TEST_CASE("restart-failure-rate: what counts at the edges of the interval is Flink's") {
  using namespace std::chrono_literals;
  replay("restart-failure-rate", restart_settings::rate(3, 60s, 5s));
}
