#include <dataflow/config/configuration.hpp>
#include <dataflow/config/options.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_contents.hpp>
#include <dataflow/util/file_system.hpp>

#include <doctest/doctest.h>

#include <set>
#include <tests/support/error_of.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using dataflow::test::error_of;
using namespace std::chrono_literals;

TEST_CASE("without any setting the defaults hold") {
  const configuration c;
  CHECK(c.integer("parallelism.default") == 1);
  CHECK(c.duration("execution.buffer-timeout") == 100ms);
  CHECK(c.memory_size("taskmanager.batch.bytes") == 224u << 10);
  CHECK(c.boolean("pipeline.operator-chaining.enabled"));
  CHECK(c.text("restart-strategy.type") == "none");
  CHECK(c.real("restart-strategy.exponential-delay.backoff-multiplier") == 1.5);
  CHECK(!c.is_set("parallelism.default"));
}

TEST_CASE("code wins over the command line, that over the file, that over the default") {
  for (const bool file_first : {true, false}) {
    configuration c;
    const auto file = [&] { c.load_yaml("parallelism.default: 2\npipeline:\n  name: from file\n", "conf.yaml"); };
    if (file_first) file();
    c.set_from_flag("parallelism.default=3");
    if (!file_first) file();
    CHECK(c.integer("parallelism.default") == 3);
    CHECK(c.text("pipeline.name") == "from file");
    CHECK(c.lookup("pipeline.name").origin == "conf.yaml:3");
    c.set_all({{"parallelism.default", "4"}});
    c.set_from_flag("parallelism.default=5");
    CHECK(c.integer("parallelism.default") == 4);
    CHECK(c.lookup("parallelism.default").layer == config_layer::code);
  }
}

TEST_CASE("a file may nest its keys, write them flat, or use the older names") {
  configuration c;
  c.load_yaml("restart-strategy:\n  type: fixed-delay\n  fixed-delay: {attempts: 7, delay: 250 ms}\n"
              "pipeline.operator-chaining: false\n",
              "conf.yaml");
  CHECK(c.text("restart-strategy.type") == "fixed-delay");
  CHECK(c.integer("restart-strategy.fixed-delay.attempts") == 7);
  CHECK(c.duration("restart-strategy.fixed-delay.delay") == 250ms);
  CHECK(!c.boolean("pipeline.operator-chaining.enabled"));
  configuration old;
  old.load_yaml("restart-strategy: failure-rate\n", "conf.yaml");
  CHECK(old.text("restart-strategy.type") == "failure-rate");
  configuration empty;
  CHECK(empty.load_yaml("# nothing\n", "conf.yaml").values().empty());
}

TEST_CASE("an unknown key names its place and the near one") {
  const auto e = error_of([] { configuration{}.load_yaml("a: 1\n", "conf.yaml"); });
  CHECK(e.code() == errc::unknown_option);
  const auto near = error_of([] { configuration{}.load_yaml("\nparalelism.default: 1\n", "conf.yaml"); });
  CHECK(near.code() == errc::unknown_option);
  CHECK(near.cause() == "conf.yaml:2: there is no configuration key \"paralelism.default\"");
  CHECK(near.advice() == "did you mean parallelism.default?");
  const auto flag = error_of([] { configuration{}.set_from_flag("taskmanager.numberOfTaskSlot=3"); });
  CHECK(flag.advice() == "did you mean taskmanager.numberOfTaskSlots?");
}

TEST_CASE("a value of the wrong type or range names key, value and place") {
  const auto e = error_of([] { configuration{}.load_yaml("execution:\n  buffer-timeout: soon\n", "conf.yaml"); });
  CHECK(e.code() == errc::invalid_option);
  CHECK(e.cause() == "conf.yaml:2: execution.buffer-timeout: \"soon\" is no valid value");
  CHECK(e.advice() == "write a duration such as \"100 ms\", \"1 min\"");
  const auto zero = error_of([] { configuration{}.set_from_flag("parallelism.default=0"); });
  CHECK(zero.code() == errc::invalid_option);
  CHECK(zero.advice() == "the smallest value is 1");
  CHECK(error_of([] { configuration{}.set_from_flag("parallelism.default=40000"); }).advice() ==
        "the largest value is 32768");
  CHECK(error_of([] { configuration{}.set_from_flag("parallelism.default=four"); }).code() == errc::invalid_option);
  CHECK(error_of([] { configuration{}.set("taskmanager.batch.bytes", "1 pound"); }).code() == errc::invalid_option);
  CHECK(error_of([] { configuration{}.set("restart-strategy.type", "sometimes"); }).advice() ==
        "write one of none, fixed-delay, failure-rate, exponential-delay");
  CHECK(error_of([] { configuration{}.set("pipeline.operator-chaining.enabled", "maybe"); }).code() ==
        errc::invalid_option);
  CHECK(error_of([] { configuration{}.set("restart-strategy.exponential-delay.jitter-factor", "1.5"); }).advice() ==
        "the largest value is 1");
}

TEST_CASE("-1 switches the buffer timeout off, other negative durations are refused") {
  configuration c;
  c.set_from_flag("execution.buffer-timeout=-1");
  CHECK(c.duration("execution.buffer-timeout") == -1ms);
  CHECK(error_of([&] { c.set_from_flag("execution.buffer-timeout=-2"); }).code() == errc::invalid_option);
  CHECK(error_of([&] { c.set("restart-strategy.fixed-delay.delay", "-1"); }).code() == errc::invalid_option);
  c.set_from_flag("execution.buffer-timeout=0");
  CHECK(c.duration("execution.buffer-timeout") == 0ms);
}

TEST_CASE("files that are no configuration are refused with their line") {
  const auto code = [](const std::string& text) {
    return error_of([&] { configuration{}.load_yaml(text, "f"); }).code();
  };
  CHECK(code("parallelism.default: [1") == errc::invalid_option);
  CHECK(code("just a sentence") == errc::invalid_option);
  CHECK(code("parallelism.default:\n") == errc::invalid_option);
  const auto twice =
      error_of([] { configuration{}.load_yaml("parallelism.default: 1\nparallelism:\n  default: 2\n", "f"); });
  CHECK(twice.cause() == "f:3: parallelism.default stands in this file twice, first at f:1");
}

TEST_CASE("a setting that is none is refused") {
  CHECK(error_of([] { configuration{}.set_from_flag("parallelism.default"); }).code() == errc::invalid_option);
  CHECK(error_of([] { configuration{}.set_from_flag("=3"); }).code() == errc::invalid_option);
}

TEST_CASE("a missing file, a directory and a device are told apart") {
  CHECK(error_of([] { configuration{}.load_file("/nonexistent/conf.yaml"); }).code() == errc::file_not_found);
  CHECK(error_of([] { configuration{}.load_file(dataflow::test::source_path("docs")); }).code() == errc::not_a_file);
  CHECK(error_of([] { configuration{}.load_file("/dev/null"); }).code() == errc::not_a_file);
}

TEST_CASE("asking for a key that is not in the table, or as another type, is an error of the engine") {
  CHECK(error_of([] { (void)configuration{}.integer("no.such.key"); }).code() == errc::internal);
  CHECK(error_of([] { (void)configuration{}.text("parallelism.default"); }).code() == errc::internal);
}

TEST_CASE("the example file holds every key at its default") {
  configuration c;
  c.load_file(dataflow::test::source_path("config/dataflow.yaml"));
  CHECK(c.values().size() == all_options().size());
  for (const auto& o : all_options())
    CHECK_MESSAGE(c.lookup(o.key).value == o.fallback, o.key);
  CHECK(read_file_contents(dataflow::test::source_path("config/dataflow.yaml")) == options_as_yaml());
}

TEST_CASE("every example file can be loaded") {
  std::size_t examples = 0;
  for (const auto& file : find_files(system_files(), dataflow::test::source_path("config")))
    if (file.path.ends_with(".yaml")) {
      CAPTURE(file.path);
      CHECK_NOTHROW(configuration{}.load_file(file.path));
      ++examples;
    }
  CHECK(examples >= 2);
}

TEST_CASE("the reference page is the table") {
  CHECK_MESSAGE(read_file_contents(dataflow::test::source_path("docs/configuration.md")) == options_as_markdown(),
                "run `dataflow options --markdown > docs/configuration.md`");
}

TEST_CASE("the table has no key twice, and every default is a valid value of its key") {
  std::set<std::string_view> keys;
  for (const auto& o : all_options()) {
    CHECK_MESSAGE(keys.insert(o.key).second, o.key);
    CHECK_NOTHROW_MESSAGE(configuration{}.set(o.key, std::string{o.fallback}), o.key);
    CHECK_MESSAGE(!o.doc.empty(), o.key);
  }
}

TEST_CASE("describe shows each value with where it comes from") {
  configuration c;
  c.set_from_flag("parallelism.default=3");
  CHECK(c.describe().find("parallelism.default: 3  # -Dparallelism.default\n") != std::string::npos);
  CHECK(c.describe().find("restart-strategy.type: none  # default\n") != std::string::npos);
}
