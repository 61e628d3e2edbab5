// Pipelines that cannot run are refused with the operator's name.
#include <dataflow/graph/job_graph.hpp>
#include <dataflow/util/error.hpp>

#include <doctest/doctest.h>

#include <tests/support/graph_builder.hpp>

using namespace dataflow;
using dataflow::test::graph_builder;

namespace {

/// The cause of the error that the graph is refused with; the code must be the given one, the advice not empty.
std::string refusal(const graph_builder& b, errc code, const graph_defaults& defaults = {}) {
  try {
    make_job_graph(b.share(), defaults);
  } catch (const error& e) {
    CHECK(e.code() == code);
    CHECK_FALSE(e.advice().empty());
    return e.cause();
  }
  return "accepted";
}

} // namespace

TEST_CASE("an empty job, and one without a sink") {
  graph_builder b;
  b.graph.settings.name = "j";
  CHECK(refusal(b, errc::invalid_graph) == "the job 'j' has no operators");
  b.op("m", b.source("s"));
  CHECK(refusal(b, errc::invalid_graph) ==
        "the job 'j' has no sink, so there is nothing to run (its last operator is 'm')");
}

TEST_CASE("parallelism 0, from every place where it can be set") {
  graph_builder b;
  const auto m = b.op("m", b.source("s"));
  b.sink("o", m);
  graph_defaults flags;
  SUBCASE("operator") {
    b.at(m).parallelism = 0;
    b.at(m).uid = "u";
    CHECK(refusal(b, errc::invalid_argument) == "operator 'm' (uid 'u') has parallelism 0");
  }
  SUBCASE("environment") {
    b.graph.settings.parallelism = 0;
    CHECK(refusal(b, errc::invalid_argument) == "the environment's parallelism is 0");
  }
  SUBCASE("flag") {
    flags.parallelism = 0;
    CHECK(refusal(b, errc::invalid_argument, flags) == "the default parallelism (parallelism.default, -p) is 0");
  }
}

TEST_CASE("parallelism above max parallelism, and max parallelism out of range") {
  graph_builder b;
  const auto m = b.op("m", b.source("s"));
  b.sink("o", m);
  b.at(m).parallelism = 200;
  b.at(m).max_parallelism = 128;
  CHECK(refusal(b, errc::invalid_argument) == "operator 'm' has parallelism 200, above its max parallelism 128");
  b.at(m).max_parallelism = 32769;
  CHECK(refusal(b, errc::invalid_argument) == "operator 'm' has max parallelism 32769, above 32768");
  b.at(m).max_parallelism = 0;
  CHECK(refusal(b, errc::invalid_argument) == "operator 'm' has max parallelism 0");
  b.at(m).max_parallelism.reset();
  b.at(m).parallelism = 32769;
  CHECK(refusal(b, errc::invalid_argument) == "operator 'm' has parallelism 32769, above its max parallelism 32768");
  b.at(m).parallelism = 32768;
  CHECK(refusal(b, errc::invalid_argument) == "accepted");
}

TEST_CASE("a cycle without iterate names its operators") {
  graph_builder b;
  const auto m1 = b.op("m1", b.source("s"));
  const auto m2 = b.op("m2", m1), m3 = b.op("m3", m2);
  b.sink("o", m3);
  b.graph.connect(m3, m1);
  CHECK(refusal(b, errc::invalid_graph) == "the operators form a cycle: m1 -> m2 -> m3 -> m1");
}

TEST_CASE("an operator that feeds itself is a cycle, too") {
  graph_builder b;
  const auto m = b.op("m", b.source("s"));
  b.graph.connect(m, m);
  b.sink("o", m);
  CHECK(refusal(b, errc::invalid_graph) == "the operators form a cycle: m -> m");
}

TEST_CASE("a uid used twice") {
  graph_builder b;
  const auto m = b.op("m", b.source("s"));
  b.at(m).uid = "x";
  b.at(b.sink("o", m)).uid = "x";
  CHECK(refusal(b, errc::invalid_graph) == "uid 'x' is used twice: by operator 'm' and by operator 'o: Writer'");
}

TEST_CASE("forward between different parallelisms") {
  graph_builder b;
  b.sink("o", b.source("s", 1), 3);
  b.partition(partitioning_kind::forward);
  CHECK(refusal(b, errc::invalid_graph) ==
        "forward partitioning does not allow change of parallelism. Upstream operation: Source: s parallelism: 1, "
        "downstream operation: o: Writer parallelism: 3");
}

TEST_CASE("a bad name of a slot sharing group") {
  graph_builder b;
  const auto o = b.sink("o", b.source("s"));
  for (auto name : {" ", "a\nb", " a", "a "}) {
    b.at(o).slot_sharing_group = name;
    CHECK(refusal(b, errc::invalid_argument) ==
          "operator 'o: Writer' has the slot sharing group '" + std::string{name} + "'");
  }
}

TEST_CASE("edges that lead from or to the wrong kind of operator") {
  graph_builder b;
  const auto s = b.source("s");
  const auto m = b.op("m", s);
  const auto o = b.sink("o", m);
  SUBCASE("a source with an input") {
    b.graph.connect(m, s);
    CHECK(refusal(b, errc::invalid_graph) == "operator 'Source: s' is a source and cannot read operator 'm'");
  }
  SUBCASE("a sink with a reader") {
    b.graph.connect(o, m);
    CHECK(refusal(b, errc::invalid_graph) == "operator 'm' reads operator 'o: Writer', which is a sink");
  }
  SUBCASE("an operator without input") {
    b.op("lost", std::vector<node_id>{});
    CHECK(refusal(b, errc::invalid_graph) == "operator 'lost' has no input");
  }
  SUBCASE("an operator of another environment") {
    b.graph.connect(m, 17);
    CHECK(refusal(b, errc::invalid_graph) ==
          "an edge leads from operator 1 to operator 17, but the job has 3 operators");
  }
  SUBCASE("a second input of a one-input operator") {
    b.graph.connect(s, m).input = 1;
    CHECK(refusal(b, errc::invalid_graph) == "operator 'm' has no input 1");
  }
  SUBCASE("a two-input operator with one input") {
    const auto co = b.op("co", m);
    b.at(co).kind = node_kind::two_input;
    CHECK(refusal(b, errc::invalid_graph) == "operator 'co' has no second input");
  }
  SUBCASE("a side output that is not there") {
    b.graph.connect(m, b.op("late", m)).side_output = 3;
    CHECK(refusal(b, errc::invalid_graph) == "operator 'late' reads a side output that operator 'm' does not have");
  }
  SUBCASE("a feedback edge outside of iterations") {
    b.graph.connect(m, m).feedback = true;
    CHECK(refusal(b, errc::invalid_graph) == "a feedback edge leads from operator 'm' to operator 'm'");
  }
  SUBCASE("an iteration that is never closed") {
    b.at(m).kind = node_kind::iteration_head;
    CHECK(refusal(b, errc::invalid_graph) == "operator 'm' begins an iteration that is never closed");
  }
  SUBCASE("a key_by without a key") {
    b.graph.connect(m, b.op("k", m)).partition = partitioning{partitioning_kind::hash, nullptr};
    CHECK(refusal(b, errc::invalid_graph) ==
          "the edge from operator 'm' to operator 'k' partitions by a function, but has none");
  }
  SUBCASE("an operator that cannot be made") {
    b.at(m).make_operator = nullptr;
    CHECK(refusal(b, errc::invalid_graph) == "operator 'm' has nothing that makes its operator");
  }
}
