#include <dataflow/util/suggest.hpp>

#include <doctest/doctest.h>

using namespace dataflow;

TEST_CASE("the edit distance counts inserts, deletes, replacements and swaps") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("input", "input") == 0);
  CHECK(edit_distance("inptu", "input") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("the near name is suggested, a far one is not") {
  const std::vector<std::string> known{"input", "output", "top", "parallelism.default"};
  CHECK(nearest_name("inptu", known) == "input");
  CHECK(nearest_name("tops", known) == "top");
  CHECK(nearest_name("paralelism.default", known) == "parallelism.default");
  CHECK(nearest_name("parallelism", known) == "parallelism.default"); // a part of it
  CHECK(!nearest_name("zebra", known));
  CHECK(!nearest_name("x", {}));
  CHECK(did_you_mean("inptu", known) == "did you mean input?");
  CHECK(did_you_mean("zebra", known, "see the list") == "see the list");
}
