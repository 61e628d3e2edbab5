// Which failures are alike, when sources are to trace, and how long a record is left out.
#include <dataflow/recovery/poisoned_records.hpp>

#include <doctest/doctest.h>

using namespace dataflow;

namespace poisoned_records_logic {
error failure(int attempt, const std::string& what = "bad") {
  return error{errc::user_function_failed,
               "operator \"values\" in task \"t\" (1/2) attempt " + std::to_string(attempt) + ": " + what};
}
record_origin at(const std::string& position) { return {"lines", "lines", "a:0", position, "byte " + position}; }
} // namespace poisoned_records_logic

using namespace poisoned_records_logic;

TEST_CASE("failures that are alike but for their attempt make a region trace; another one begins anew") {
  poisoned_records p{{.failures = 3}};
  for (int attempt = 0; attempt < 3; ++attempt) {
    CHECK_FALSE(p.traces(0));
    CHECK_FALSE(p.failed(0, 4, failure(attempt), {}));
  }
  CHECK(p.traces(0));
  CHECK_FALSE(p.traces(1));
  p.failed(0, 4, failure(3).within(at("17").to_string()), {}); // the same, in the words of somebody else
  CHECK_FALSE(p.traces(0));
  p.failed(0, 5, failure(4), {});
  CHECK_FALSE(p.traces(0));
}

TEST_CASE("a failure that names the record is like those before it") {
  poisoned_records p{{.failures = 2}};
  p.failed(0, 4, failure(0), {});
  p.failed(0, 4, failure(1), {});
  const auto named = failure(2, at("17").to_string() + ": bad");
  CHECK_FALSE(p.failed(0, 4, named, at("17"))); // it is not to be left out
  CHECK(p.traces(0));
  CHECK(p.to_skip("lines").empty());
}

TEST_CASE("without a number of failures nothing is traced") {
  poisoned_records p{{.failures = 0, .skip = true}};
  for (int attempt = 0; attempt < 10; ++attempt)
    CHECK_FALSE(p.failed(0, 4, failure(attempt), at("17")));
  CHECK_FALSE(p.traces(0));
}

TEST_CASE("a record is left out until a checkpoint behind it is complete") {
  poisoned_records p{{.failures = 1, .skip = true}};
  p.failed(0, 4, failure(0), {});
  CHECK(p.failed(0, 4, failure(1, at("17").to_string() + ": bad"), at("17")));
  CHECK_FALSE(p.traces(0)); // the next failure is another one
  CHECK(p.to_skip("others").empty());
  REQUIRE(p.to_skip("lines").size() == 1);
  p.checkpoint_completed(1); // begun before the record came
  CHECK(p.to_skip("lines").size() == 1);
  p.skipped(at("17"), 3);
  p.checkpoint_completed(3);             // under way when it was left out: perhaps from before it
  CHECK(p.to_skip("lines").size() == 1); // starts again: it must be left out once more
  p.checkpoint_completed(4);             // begun before that
  CHECK(p.to_skip("lines").size() == 1);
  p.skipped(at("17"), 5);
  p.checkpoint_completed(6);
  CHECK(p.to_skip("lines").empty());
}

TEST_CASE("what fails otherwise while records are traced leaves nobody out") {
  poisoned_records p{{.failures = 2, .skip = true}};
  p.failed(0, 4, failure(0), {});
  p.failed(0, 4, failure(1), {});
  CHECK_FALSE(p.failed(0, 4, failure(2, at("3").to_string() + ": no network"), at("3")));
  CHECK(p.to_skip("lines").empty());
  CHECK_FALSE(p.traces(0));
}

TEST_CASE("a record that cannot be found again is not left out") {
  poisoned_records p{{.failures = 1, .skip = true}};
  auto one_of_many = at("17");
  one_of_many.records = 12;
  p.failed(0, 4, failure(0), {});
  CHECK_FALSE(p.failed(0, 4, failure(1, one_of_many.to_string() + ": bad"), one_of_many));
  CHECK(one_of_many.to_string() == "one of the 12 records at byte 17 of split \"a:0\" of source \"lines\"");
}
