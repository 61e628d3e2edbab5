#include <dataflow/config/parameters.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <tests/support/error_of.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using dataflow::test::error_of;
using namespace std::chrono_literals;

TEST_CASE("arguments are read as --key value, --key=value, -key value and flags") {
  const auto p = parameters::from_args({"--input", "a.txt", "--top=5", "-host", "localhost", "--verbose", "--offset",
                                        "-3", "--ratio", "-.5", "--expr=a=b", "--last"});
  CHECK(p.get("input", "") == "a.txt");
  CHECK(p.get("top", 10) == 5);
  CHECK(p.get("host", std::string{}) == "localhost");
  CHECK(p.flag("verbose"));
  CHECK(p.get("offset", 0) == -3);
  CHECK(p.get("ratio", 0.0) == -0.5);
  CHECK(p.get("expr", "") == "a=b");
  CHECK(p.flag("last"));
  CHECK(!p.flag("quiet"));
  const char* argv[] = {"program", "--x", "1"};
  CHECK(parameters::from_args(3, argv).get("x", 0) == 1);
  CHECK(parameters::from_args(0, argv).values().empty());
}

TEST_CASE("a parameter that was not given has its default, in the default's type") {
  const parameters p;
  CHECK(p.get("a", 7) == 7);
  CHECK(p.get("b", true));
  CHECK(p.get("c", 1.25) == 1.25);
  CHECK(p.get("d", 5s) == 5s);
  CHECK(p.get("e", "text") == "text");
  CHECK(p.get("f", std::uint64_t{1} << 63) == std::uint64_t{1} << 63);
  CHECK(!p.has("a"));
}

TEST_CASE("values are read as the type of the default, and must be of it") {
  const auto p = parameters::from_args({"--n", "300", "--d", "100ms", "--w", "many", "--big", "18446744073709551615"});
  CHECK(p.get("n", std::int64_t{0}) == 300);
  CHECK(p.get("d", 1s) == 0s); // a coarser unit cuts off
  CHECK(p.get("d", 1ms) == 100ms);
  CHECK(p.get("big", std::uint64_t{0}) == ~std::uint64_t{0});
  const auto narrow = error_of([&] { (void)p.get("n", std::uint8_t{0}); });
  CHECK(narrow.code() == errc::invalid_option);
  CHECK(narrow.cause() == "parameter --n: \"300\" is no valid value");
  CHECK(narrow.advice() == "a whole number from 0 to 255 is expected");
  CHECK(error_of([&] { (void)p.get("w", 1); }).code() == errc::invalid_option);
  CHECK(error_of([&] { (void)p.get("w", 1.0); }).code() == errc::invalid_option);
  CHECK(error_of([&] { (void)p.get("w", false); }).code() == errc::invalid_option);
  CHECK(error_of([&] { (void)p.get("w", 1s); }).code() == errc::invalid_option);
}

TEST_CASE("a key may be given several times") {
  const auto p = parameters::from_args({"--input", "a", "--input", "b"});
  CHECK(p.get_all("input") == std::vector<std::string>{"a", "b"});
  CHECK(p.get("input", "") == "b");
  CHECK(parameters::from_args(p.to_args()).values() == p.values());
}

TEST_CASE("text where a name is expected is an error") {
  CHECK(error_of([] { parameters::from_args({"input"}); }).code() == errc::invalid_option);
  CHECK(error_of([] { parameters::from_args({"--a", "1", "2"}); }).code() == errc::invalid_option);
  CHECK(error_of([] { parameters::from_args({"--"}); }).code() == errc::invalid_option);
  CHECK(error_of([] { parameters::from_args({"--=3"}); }).code() == errc::invalid_option);
}

TEST_CASE("a required parameter that is missing is an error that knows the near miss") {
  const auto p = parameters::from_args({"--inptu", "a"});
  const auto e = error_of([&] { (void)p.require("input"); });
  CHECK(e.code() == errc::missing_parameter);
  CHECK(e.cause() == "the job needs the parameter --input");
  CHECK(e.advice() == "--inptu was given; did you mean --input?");
  CHECK(parameters::from_args({"--n", "4"}).require<int>("n") == 4);
}

TEST_CASE("parameters that the job never asks for are found when it is built") {
  const auto p = parameters::from_args({"--tpo", "5", "--colour", "red"});
  (void)p.get("top", 10);
  (void)p.get("input", "");
  const auto unused = p.unused_keys();
  REQUIRE(unused.size() == 2);
  CHECK(unused[0].key == "colour");
  CHECK(unused[0].suggestion.empty());
  CHECK(unused[1].suggestion == "top");
  const auto e = error_of([&] { (void)p.check_unused(); });
  CHECK(e.code() == errc::unknown_option);
  CHECK(e.cause() == "the job does not ask for the parameter --tpo");
  CHECK(e.advice() == "did you mean --top?");
  const auto far = parameters::from_args({"--colour", "red"});
  (void)far.get("top", 10);
  CHECK(far.check_unused() == std::vector<std::string>{"the job does not ask for the parameter --colour"});
}

TEST_CASE("a copy inside a function counts as the job's own question") {
  const auto p = parameters::from_args({"--n", "1"});
  const auto copy = p;
  (void)copy.get("n", 0);
  CHECK(p.unused_keys().empty());
  REQUIRE(p.asked_for().size() == 1);
  CHECK(p.asked_for()[0].type == "whole number");
}

TEST_CASE("properties files and merging") {
  const auto p = parameters::from_properties("# comment\n! too\na=1\nb: two words\nc three\r\n\nd\n e = f = g \n");
  CHECK(p.get("a", 0) == 1);
  CHECK(p.get("b", "") == "two words");
  CHECK(p.get("c", "") == "three");
  CHECK(p.get("d", "x").empty());
  CHECK(p.get("e", "") == "f = g");
  CHECK(error_of([] { parameters::from_properties("=1"); }).code() == errc::invalid_option);
  const auto merged = p.merged_with(parameters::from_args({"--a", "2", "--z", "9"}));
  CHECK(merged.get("a", 0) == 2);
  CHECK(merged.get("z", 0) == 9);
  CHECK(merged.get("c", "") == "three");
  CHECK(p.get("a", 0) == 1);
}

TEST_CASE("the content of a file is captured once and can be replayed") {
  const parameters p;
  const std::string path = dataflow::test::source_path("config/dataflow.yaml");
  const auto text = p.file(path);
  CHECK(!text.empty());
  CHECK(p.captured_files().at(path) == text);
  CHECK(parameters::from_file(path).get("parallelism.default", 0) == 1);
  parameters replayed;
  replayed.replay_files({{"rules.txt", "old content"}});
  CHECK(replayed.file("rules.txt") == "old content");
  CHECK(error_of([&] { (void)replayed.file(path); }).code() == errc::invalid_argument);
  CHECK(error_of([&] { (void)p.file("/nonexistent"); }).code() == errc::file_not_found);
  CHECK(error_of([&] { (void)p.file("/"); }).code() == errc::not_a_file);
}
