// The name of a process among its peers, in a binary that is none of our own programs.
#include <caf/node_id.hpp>
#include <doctest/doctest.h>

#include <dlfcn.h>
#include <string>

TEST_CASE("the library does not decide what a user's process is called among its peers") {
  Dl_info where{};
  REQUIRE(dladdr(reinterpret_cast<void*>(&caf::node_id::default_data::local), &where) != 0);
  CHECK(std::string{where.dli_fname}.find("caf_core") != std::string::npos);
}
