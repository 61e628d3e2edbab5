#include <dataflow/config/units.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using namespace std::chrono_literals;

TEST_CASE("durations are read as Flink reads them") {
  CHECK(parse_duration("100 ms") == 100ms);
  CHECK(parse_duration("100ms") == 100ms);
  CHECK(parse_duration("100") == 100ms);
  CHECK(parse_duration("0") == 0ns);
  CHECK(parse_duration(" 7 S ") == 7s);
  CHECK(parse_duration("2 min") == 2min);
  CHECK(parse_duration("2m") == 2min);
  CHECK(parse_duration("3 hours") == 3h);
  CHECK(parse_duration("1 d") == 24h);
  CHECK(parse_duration("5µs") == 5us);
  CHECK(parse_duration("9 nanoseconds") == 9ns);
  for (const auto* bad : {"", "ms", "-1", "-1 ms", "1.5 s", "1 fortnight", "1 s 2 ms", "9223372036854775807 d", "0x10"})
    CHECK_MESSAGE(!parse_duration(bad), bad);
}

TEST_CASE("memory sizes are read as Flink reads them") {
  CHECK(parse_memory_size("64mb") == 64u << 20);
  CHECK(parse_memory_size("64 MB") == 64u << 20);
  CHECK(parse_memory_size("64m") == 64u << 20);
  CHECK(parse_memory_size("1 kibibytes") == 1024u);
  CHECK(parse_memory_size("1024") == 1024u);
  CHECK(parse_memory_size("10 bytes") == 10u);
  CHECK(parse_memory_size("2 g") == std::uint64_t{2} << 30);
  CHECK(parse_memory_size("3t") == std::uint64_t{3} << 40);
  for (const auto* bad : {"", "mb", "-1", "1.5mb", "1 pb", "9223372036854775807 tb"})
    CHECK_MESSAGE(!parse_memory_size(bad), bad);
}

TEST_CASE("numbers and truth values need all of the text") {
  CHECK(parse_integer("-42") == -42);
  CHECK(parse_integer("+7") == 7);
  CHECK(!parse_integer("7x"));
  CHECK(!parse_integer("+-7"));
  CHECK(!parse_integer("99999999999999999999"));
  CHECK(parse_real("1.5") == 1.5);
  CHECK(!parse_real("1.5.2"));
  CHECK(!parse_real("nan"));
  CHECK(parse_bool("TRUE") == true);
  CHECK(parse_bool("false") == false);
  CHECK(!parse_bool("yes"));
}

TEST_CASE("what is formatted reads back to the same value") {
  for (const auto d : {0ns, 1ns, 1500ns, 100'000'000ns, 60'000'000'000ns, 90'000'000'000ns})
    CHECK(parse_duration(format_duration(d)) == d);
  CHECK(format_duration(100ms) == "100 ms");
  CHECK(format_duration(60s) == "1 min");
  CHECK(format_duration(-1ms) == "-1 ms");
  for (const std::uint64_t n : {0ull, 1ull, 1024ull, 64ull << 20, 3ull << 40, 1025ull})
    CHECK(parse_memory_size(format_memory_size(n)) == n);
  CHECK(format_memory_size(64u << 20) == "64 mb");
}
