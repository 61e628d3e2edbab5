#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/log_settings.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <sstream>
#include <tests/support/error_of.hpp>
#include <tests/support/temporary_directory.hpp>

using namespace dataflow;
using test::error_of;
using test::temporary_directory;

namespace {

/// Logs as told while it lives, then as before.
struct configured {
  explicit configured(const log_settings& s) { configure_log(s); }
  ~configured() { configure_log(before); }
  log_settings before = current_log_settings();
};

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> out;
  std::istringstream in{system_files().read_file(path)};
  for (std::string line; std::getline(in, line);)
    out.push_back(line);
  return out;
}

} // namespace

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

TEST_CASE("single loggers have levels of their own") {
  log_settings s;
  s.levels = {{"job master", log_level::debug},
              {"operator *", log_level::info},
              {"operator map*", log_level::error},
              {"checkpoint coordinator", log_level::off}};
  CHECK(s.level_of("job master") == log_level::debug);
  CHECK(s.level_of("job masters") == log_level::warn);
  CHECK(s.level_of("operator filter") == log_level::info);
  CHECK(s.level_of("operator map 3") == log_level::error);
  CHECK(s.level_of("") == log_level::warn);

  const temporary_directory d;
  s.file = d / "job.log";
  const configured now{s};
  CHECK(log_enabled(log_level::debug));
  CHECK(!log_enabled(log_level::trace));
  log_debug({"job master"}, "one");
  log_debug({"task manager"}, "never");
  log_error({"checkpoint coordinator"}, "never");
  log_info({"operator filter"}, "two");
  const auto lines = lines_of(s.file);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].ends_with(" debug [job master] one"));
  CHECK(lines[1].ends_with(" info [operator filter] two"));

  s.levels = {};
  configure_log(s); // while the program runs
  log_debug({"job master"}, "never");
  log_warn({"job master"}, "three");
  CHECK(lines_of(s.file).size() == 3);
}

TEST_CASE("JSON lines are one object each, whatever the text is") {
  const temporary_directory d;
  log_settings s;
  s.format = log_format::json;
  s.file = d / "deep/er.log";
  s.node = "taskmanager-1";
  const configured now{s};
  const std::string nasty = "a \"quoted\" \\ line\nbreak, {} and \xff bytes %v";
  log_warn({"job master", "1f", "map (1/2)#0"}, nasty);
  log_error({}, "plain");
  const auto lines = lines_of(s.file);
  REQUIRE(lines.size() == 2);
  const auto first = nlohmann::ordered_json::parse(lines[0]);
  CHECK(first["time"].get<std::string>().size() == std::string_view{"2026-01-31T12:00:00.123Z"}.size());
  CHECK(first["time"].get<std::string>().back() == 'Z');
  CHECK(first["level"] == "warn");
  CHECK(first["node"] == "taskmanager-1");
  CHECK(first["logger"] == "job master");
  CHECK(first["job"] == "1f");
  CHECK(first["task"] == "map (1/2)#0");
  CHECK(first["message"] == "a \"quoted\" \\ line\nbreak, {} and \xef\xbf\xbd bytes %v");
  const auto second = nlohmann::ordered_json::parse(lines[1]);
  CHECK(!second.contains("job"));
  CHECK(second["message"] == "plain");
}

TEST_CASE("what is logged inside a scope has its job and task") {
  const log_capture log;
  {
    const log_scope task{{"task", "1f", "map (1/2)#0"}};
    log_info({}, "of a user's function");
    log_info({"file sink", {}, "sink (1/1)#3"}, "says who it is itself");
    {
      const log_scope inner{{"operator map", {}, {}}};
      log_info({}, "nested");
    }
    log_info({}, "again");
  }
  log_info({}, "outside");
  CHECK(log.lines() == std::vector<std::string>{"info [task job 1f task map (1/2)#0] of a user's function",
                                                "info [file sink job 1f task sink (1/1)#3] says who it is itself",
                                                "info [operator map job 1f task map (1/2)#0] nested",
                                                "info [task job 1f task map (1/2)#0] again", "info outside"});
}

TEST_CASE("log files rotate, and only so many are kept") {
  const temporary_directory d;
  log_settings s;
  s.file = d / "tm.log";
  s.file_size = 2000;
  s.files = 2;
  const configured now{s};
  for (int i = 0; i < 200; ++i)
    log_warn({"task manager"}, "message number " + std::to_string(i));
  std::vector<std::string> names;
  for (auto& entry : system_files().list(d.path())) {
    names.push_back(entry.name);
    CHECK(entry.status.size <= 2000);
  }
  CHECK(names == std::vector<std::string>{"tm.1.log", "tm.2.log", "tm.log"});
  CHECK(lines_of(s.file).back().ends_with("message number 199"));

  // Somebody moves the file away and says so: the next line is in a new one.
  system_files().remove(s.file);
  configure_log(s);
  log_warn({}, "after the move");
  CHECK(lines_of(s.file).size() == 1);
}

TEST_CASE("a log file that cannot be written is refused, and the log goes on as before") {
  const temporary_directory d;
  log_settings s;
  s.file = d / "good.log";
  const configured now{s};
  system_files().write_file(d / "file", "");
  auto bad = s;
  bad.file = d / "file/log";
  const auto e = error_of([&] { configure_log(bad); });
  CHECK(e.code() == errc::io_failed);
  CHECK(e.cause().find(bad.file) != std::string::npos);
  log_warn({}, "still here");
  CHECK(lines_of(s.file).size() == 1);
  CHECK(current_log_settings() == s);
}
