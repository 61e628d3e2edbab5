#include <dataflow/time/iso8601.hpp>
#include <dataflow/time/saturating.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

using namespace dataflow;
using std::chrono::milliseconds;

namespace {
std::int64_t ms(std::string_view text) { return parse_iso8601(text).time_since_epoch().count(); }
timestamp at(std::int64_t n) { return timestamp{milliseconds{n}}; }
} // namespace

TEST_CASE("ISO 8601: the forms that are read") {
  CHECK(ms("1970-01-01") == 0);
  CHECK(ms("1970-01-01T00:00:00Z") == 0);
  CHECK(ms("1970-01-01 00:00:00.001") == 1);
  CHECK(ms("1969-12-31T23:59:59.999Z") == -1);
  CHECK(ms("2026-11-21T12:29:50Z") == 1'795'264'190'000);
  CHECK(ms("2026-11-21t12:29z") == 1'795'264'140'000);
  CHECK(ms("2026-11-21T13:29:50+01:00") == 1'795'264'190'000);
  CHECK(ms("2026-11-21T10:59:50-0130") == 1'795'264'190'000);
  CHECK(ms("2026-11-21T13:29:50+01") == 1'795'264'190'000);
  CHECK(ms("2026-11-21T12:29:50,2509999") == 1'795'264'190'250);
  CHECK(ms("2024-02-29T00:00:00Z") == 1'709'164'800'000);
  CHECK(ms("0001-01-01T00:00:00Z") == -62'135'596'800'000);
  CHECK(ms("-0001-01-01T00:00:00Z") == -62'198'755'200'000);
}

TEST_CASE("ISO 8601: written and read again, up to the limits of 64 bits") {
  CHECK(format_iso8601(at(1'795'264'190'000)) == "2026-11-21T12:29:50Z");
  CHECK(format_iso8601(at(-1)) == "1969-12-31T23:59:59.999Z");
  CHECK(format_iso8601(max_timestamp) == "+292278994-08-17T07:12:55.807Z");
  CHECK(format_iso8601(min_timestamp) == "-292275055-05-16T16:47:04.192Z");
  for (auto t : {min_timestamp, max_timestamp, at(0), at(-62'135'596'800'001), at(951'782'400'000), at(86'399'999)})
    CHECK(parse_iso8601(format_iso8601(t)) == t);
  for (std::int64_t day = -800'000; day < 800'000; day += 37)
    CHECK(parse_iso8601(format_iso8601(at(day * 86'400'000 + 1))) == at(day * 86'400'000 + 1));
  CHECK(describe_watermark(min_timestamp) == "none");
  CHECK(describe_watermark(max_timestamp) == "end of input");
  CHECK(describe_watermark(at(0)) == "1970-01-01T00:00:00Z");
}

TEST_CASE("ISO 8601: anything else is an error that shows the text") {
  for (auto text : {"",
                    "2026",
                    "2026-11",
                    "2026-13-01",
                    "2026-00-10",
                    "2023-02-29",
                    "2026-11-31",
                    "2026-11-21T",
                    "2026-11-21T12",
                    "2026-11-21T24:00:00Z",
                    "2026-11-21T12:60:00Z",
                    "2026-11-21T12:00:60Z",
                    "2026-11-21T12:00:00.Z",
                    "2026-11-21T12:00:00Zx",
                    "2026-11-21T12:00:00+19:00",
                    "20261121T120000Z",
                    "12026-01-01T00:00:00Z",
                    "+292278994-08-17T07:12:55.808Z",
                    "-292275055-05-16T16:47:04.191Z",
                    "+999999999-01-01T00:00:00Z",
                    "+9999999999-01-01",
                    " 2026-11-21",
                    "2026-11-21T12:00:00+1:00"}) {
    CAPTURE(text);
    try {
      parse_iso8601(text);
      FAIL("no error");
    } catch (const error& e) {
      CHECK(e.code() == errc::malformed_record);
      CHECK(e.cause().find(std::string{"\""} + text + "\"") != std::string::npos);
      CHECK_FALSE(e.advice().empty());
    }
  }
}

TEST_CASE("arithmetic on timestamps stops at the limits") {
  CHECK(saturating_add(at(5), milliseconds{7}) == at(12));
  CHECK(saturating_subtract(at(5), milliseconds{7}) == at(-2));
  CHECK(saturating_add(max_timestamp, milliseconds{1}) == max_timestamp);
  CHECK(saturating_add(min_timestamp, milliseconds{-1}) == min_timestamp);
  CHECK(saturating_subtract(min_timestamp, milliseconds{1}) == min_timestamp);
  CHECK(saturating_subtract(max_timestamp, milliseconds{-1}) == max_timestamp);
  CHECK(saturating_subtract(at(0), milliseconds::min()) == max_timestamp);
  CHECK(saturating_add(at(-1), milliseconds::max()) == at(std::numeric_limits<std::int64_t>::max() - 1));
}
