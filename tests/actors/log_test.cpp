// What is logged while a job runs says which job and which task it comes from.
#include <dataflow/dataflow.hpp>
#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace dataflow;

TEST_CASE("what a user's function logs has the job and the task") {
  const log_capture log{log_level::info};
  environment env;
  env.from_collection(std::vector<std::int64_t>{7})
      .map([](std::int64_t n) {
        log_warn({}, "seen " + std::to_string(n));
        return n;
      })
      .collect();
  const auto lines = log.lines();
  const auto found = std::find_if(lines.begin(), lines.end(), [](auto& l) { return l.ends_with("] seen 7"); });
  REQUIRE(found != lines.end());
  CHECK(found->starts_with("warn [task job "));
  CHECK(found->find("Map") != std::string::npos);
  CHECK(found->find("(1/1)#0]") != std::string::npos);
}
