#include <dataflow/util/log.hpp>

#include <doctest/doctest.h>

using namespace dataflow;

TEST_CASE("messages below the level are dropped, and the level can change at any time") {
  log_capture log{log_level::warn};
  log_info({"job master"}, "quiet");
  log_warn({"job master", "42", "map (1/2)#0"}, "loud");
  set_log_level(log_level::info);
  log_info({.job = "42"}, "now heard");
  set_log_level(log_level::off);
  log_error({}, "never");
  CHECK(log.lines() ==
        std::vector<std::string>{"warn [job master job 42 task map (1/2)#0] loud", "info [job 42] now heard"});
  CHECK(log.contains("loud"));
  CHECK(!log.contains("quiet"));
}

TEST_CASE("a capture ends with its level and sink restored") {
  const auto before = current_log_level();
  log_capture outer;
  {
    log_capture inner{log_level::error};
    log_error({}, "inside");
    CHECK(inner.lines().size() == 1);
  }
  CHECK(current_log_level() == log_level::trace);
  log_debug({}, "outside {} with braces");
  CHECK(outer.lines() == std::vector<std::string>{"debug outside {} with braces"});
  CHECK(before != log_level::trace);
}

TEST_CASE("the levels have names") {
  CHECK(parse_log_level("warn") == log_level::warn);
  CHECK(to_string(log_level::off) == "off");
  CHECK(!parse_log_level("loud"));
}
