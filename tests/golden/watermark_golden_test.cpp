// Merging of watermarks against Flink's StatusWatermarkValve.
#include <dataflow/exchange/watermark_merger.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using nlohmann::json;

namespace {

std::vector<json> read_lines(const std::string& file) {
  std::ifstream in{dataflow::test::source_path("tests/golden/data/") + file};
  REQUIRE_MESSAGE(in, file);
  std::vector<json> out;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) out.push_back(json::parse(line));
  return out;
}

} // namespace

TEST_CASE("time-watermark-merge") {
  const auto input = read_lines("time-watermark-merge/input.ndjson");
  const auto expected = read_lines("time-watermark-merge/expected.ndjson");
  REQUIRE_FALSE(input.empty());
  std::vector<json> got;
  watermark_merger merger{1};
  for (std::size_t i = 0; i < input.size(); ++i) {
    const auto& line = input[i];
    if (line.contains("channels")) {
      merger = watermark_merger{line["channels"].get<std::uint32_t>()};
      continue;
    }
    const auto channel = line["ch"].get<std::uint32_t>();
    const auto out = line.contains("watermark")
                         ? merger.watermark(channel, timestamp{std::chrono::milliseconds{line["watermark"]}})
                     : line["status"] == "idle" ? merger.idle(channel)
                                                : merger.active(channel);
    if (out.watermark) got.push_back({{"at", i + 1}, {"watermark", out.watermark->time_since_epoch().count()}});
    if (out.status != merged_time::status_change::none)
      got.push_back({{"at", i + 1}, {"status", out.status == merged_time::status_change::idle ? "idle" : "active"}});
  }
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK_MESSAGE(got[i] == expected[i], "got " << got[i].dump() << ", expected " << expected[i].dump());
}
