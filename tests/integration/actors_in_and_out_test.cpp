#include <caf/all.hpp>
#include <caf/io/middleman.hpp>
#include <doctest/doctest.h>

#include <tests/integration/program.hpp>
#include <tests/support/tree_paths.hpp>

namespace {

dataflow::test::outcome run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), dataflow::test::build_path("actors_in_and_out"));
  return dataflow::test::program{arguments}.wait();
}

struct with_network : caf::actor_system_config {
  with_network() { load<caf::io::middleman>(); }
};

} // namespace

TEST_CASE("the example of actors around a pipeline prints exact totals") {
  auto r = run({"7000"});
  CHECK(r.code == 0);
  CHECK(r.out == "basket 2000\nhelp 1000\nhome 2000\nsearch 2000\n");
  CHECK(r.err.empty());
  r = run({"0"});
  CHECK(r.code == 0);
  CHECK(r.out.empty());
  r = run({"many"});
  CHECK(r.code == 2);
  CHECK(r.err == "usage: actors_in_and_out [CLICKS]\n");
}

TEST_CASE("two actor systems of one of our processes are different nodes") {
  with_network a, b;
  caf::actor_system first{a}, second{b};
  CHECK(first.node());
  CHECK(second.node());
  CHECK(first.node() != second.node());
}
