#include <dataflow/resources/command_template.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>

using dataflow::command_template;
using dataflow::test::error_of;

TEST_CASE("a command template is filled, and leaves the shell's own braces alone") {
  const command_template t{"start {id} -n {slots} {id} ${id} {} {a,b} {Id} {id", "key", {"id"}, {"slots", "other"}};
  CHECK(t.filled({{"id", "x{slots}"}, {"slots", "4"}}) == "start x{slots} -n 4 x{slots} ${id} {} {a,b} {Id} {id");
  CHECK_FALSE(t.empty());
  CHECK(command_template{"", "key", {}}.empty());
}

TEST_CASE("a command template with an unknown place, or without one that is needed, names the key and the place") {
  auto e = error_of([] { command_template{"run {id} {host}", "a.key", {"id"}, {"slots"}}; });
  CHECK(e.code() == dataflow::errc::invalid_option);
  CHECK(e.cause() == "a.key has {host}, for which there is no value");
  CHECK(e.advice() == "there are {id}, {slots}");
  e = error_of([] { command_template{"run {slots}", "a.key", {"id"}, {"slots"}}; });
  CHECK(e.code() == dataflow::errc::invalid_option);
  CHECK(e.cause() == "a.key has no {id}");
}
