// Exactly-once files with real threads and a real disk: a function fails in the middle, and nothing is lost or doubled.
#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/connectors/file_sink.hpp>
#include <dataflow/dataflow.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <set>

#include "tests/support/temporary_directory.hpp"

using namespace dataflow;

namespace exactly_once_files_actors_test {

/// Fails once, in the middle of the first subtask's input.
struct failing_once {
  std::uint32_t subtask = 0, attempt = 0;
  void open(runtime_context& context) {
    subtask = context.subtask_index();
    attempt = context.attempt();
  }
  std::int64_t operator()(std::int64_t n) const {
    if (n == 900 && attempt == 0) throw std::runtime_error("once");
    return n;
  }
};

} // namespace exactly_once_files_actors_test

TEST_CASE("a job on a real cluster that fails in the middle writes every record into files once") {
  log_capture quiet;
  test::temporary_directory directory;
  environment_options o;
  o.runner = std::make_shared<actors::embedded_cluster>();
  environment env{o};
  env.set_parallelism(2);
  env.configure("execution.checkpointing.interval", "10 ms");
  env.configure("execution.checkpointing.dir", directory / "checkpoints");
  env.configure("restart-strategy.type", "fixed-delay");
  env.configure("restart-strategy.fixed-delay.delay", "1 ms");
  env.sequence(1, 2000, 8000)
      .map(exactly_once_files_actors_test::failing_once{})
      .rebalance()
      .sink_to(file_sink<std::int64_t>::lines(directory / "out")
                   .without_buckets()
                   .roll({.size = 100})
                   .deliver(delivery_guarantee::exactly_once));
  const auto result = env.execute();
  CHECK(result.restarts == 1);
  std::multiset<std::string> lines, expected;
  for (auto& f : find_files(system_files(), directory / "out")) {
    const auto text = system_files().read_file(f.path);
    for (std::size_t at = 0, end = 0; at < text.size(); at = end + 1) {
      end = text.find('\n', at);
      REQUIRE(end != std::string::npos);
      lines.insert(text.substr(at, end - at));
    }
  }
  for (int i = 1; i <= 2000; ++i)
    expected.insert(std::to_string(i));
  CHECK(lines == expected);
  CHECK(system_files().list(directory / "out/.in-progress").empty());
}
