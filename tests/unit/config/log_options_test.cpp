#include <dataflow/config/configuration.hpp>
#include <dataflow/config/log_options.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>

using namespace dataflow;
using test::error_of;

TEST_CASE("the log is as the configuration says") {
  CHECK(log_settings_of({}) == log_settings{});
  configuration c;
  c.load_yaml(R"(
log:
  level: info
  levels: " job master = debug,operator *=off, "
  format: json
  file.path: /var/log/dataflow/tm.log
  file.max-size: 1 mb
  file.max-files: 3
)",
              "conf.yaml");
  log_settings s;
  s.level = log_level::info;
  s.levels = {{"job master", log_level::debug}, {"operator *", log_level::off}};
  s.format = log_format::json;
  s.file = "/var/log/dataflow/tm.log";
  s.file_size = 1 << 20;
  s.files = 3;
  s.node = "tm-1";
  CHECK(log_settings_of(c, "tm-1") == s);
}

TEST_CASE("a level of a logger that cannot be read is named") {
  for (const char* bad : {"job master", "job master=loud", "=info", "a=info, b"}) {
    configuration c;
    c.set("log.levels", bad);
    const auto e = error_of([&] { log_settings_of(c); });
    CHECK(e.code() == errc::invalid_option);
    CHECK(e.cause().starts_with("log.levels: "));
  }
}
