// Whether two runs of a job function built the same graph.
#include <dataflow/graph/fingerprint.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <tests/support/graph_builder.hpp>

using namespace dataflow;
using dataflow::test::graph_builder;

namespace {

graph_builder example() {
  graph_builder b;
  const auto m = b.op("m", b.source("s"));
  const auto k = b.keyed("k", m);
  b.sink("o", k);
  b.sink("late", k);
  b.side_output(5, "late");
  return b;
}

struct other_record {
  std::int64_t value;
};

} // namespace

template <>
struct dataflow::codec<other_record> {
  static constexpr std::uint16_t version = 1;
  static void encode(const other_record&, byte_writer&) {}
  static void decode(other_record&, byte_reader&) {}
  static schema describe() { return {"struct plain_record", {{"renamed", {"int64", {}}}}}; }
  static std::size_t size_of(const other_record&) noexcept { return sizeof(other_record); }
};

TEST_CASE("the same graph has the same fingerprint, whatever ids its tags have") {
  const auto one = make_job_graph(example().share());
  auto b = example();
  const auto two = make_job_graph(b.share());
  CHECK(fingerprint(one) == fingerprint(two));
  CHECK(fingerprint(one).size() == 32);
  CHECK(first_difference(one, two) == "");
  b = graph_builder{};
  const auto k = b.keyed("k", b.op("m", b.source("s")));
  b.sink("o", k);
  b.sink("late", k);
  b.side_output(77, "late");
  CHECK(fingerprint(make_job_graph(b.share())) == fingerprint(one));
}

TEST_CASE("every change that matters changes the fingerprint") {
  const auto original = make_job_graph(example().share());
  const std::pair<const char*, std::function<void(graph_builder&)>> changes[] = {
      {"job name", [](auto& b) { b.graph.settings.name = "other"; }},
      {"operator name", [](auto& b) { b.at(1).name = "n"; }},
      {"uid", [](auto& b) { b.at(2).uid = "x"; }},
      {"parallelism", [](auto& b) { b.at(2).parallelism = 2; }},
      {"max parallelism", [](auto& b) { b.at(2).max_parallelism = 256; }},
      {"chaining", [](auto& b) { b.at(1).chaining = chaining_strategy::head; }},
      {"slot sharing group", [](auto& b) { b.at(0).slot_sharing_group = "g"; }},
      {"partitioning", [](auto& b) { b.graph.edges()[1].partition->kind = partitioning_kind::custom; }},
      {"record error policy", [](auto& b) { b.at(1).on_record_error.action = record_error_policy::kind::skip; }},
      {"record schema", [](auto& b) { b.at(0).output_type = &record_type_of<other_record>(); }},
      {"side output", [](auto& b) { b.at(2).side_output_names[5] = "early"; }},
      {"boundedness", [](auto& b) { b.at(0).source->bounded = false; }},
      {"configuration", [](auto& b) { b.graph.settings.configuration["k"] = "v"; }},
      {"buffer timeout", [](auto& b) { b.graph.settings.buffer_timeout = std::chrono::milliseconds{5}; }},
      {"one more operator", [](auto& b) { b.sink("more", 1); }},
  };
  for (auto& [what, change] : changes) {
    CAPTURE(what);
    auto b = example();
    change(b);
    const auto changed = make_job_graph(b.share());
    CHECK(fingerprint(changed) != fingerprint(original));
    CHECK(first_difference(original, changed) != "");
  }
}

TEST_CASE("a difference is told in words") {
  auto b = example();
  b.at(0).output_type = &record_type_of<other_record>();
  const auto text = first_difference(make_job_graph(example().share()), make_job_graph(b.share()));
  CAPTURE(text);
  CHECK(text.find("operator \"Source: s\"") != std::string::npos);
  CHECK(text.find("renamed") != std::string::npos);
  CHECK(text.find("value") != std::string::npos);
}

TEST_CASE("names cannot imitate other lines") {
  graph_builder one, two;
  one.graph.settings.name = "a";
  one.graph.settings.configuration["x"] = "1\"\nsetting \"y\" = \"2";
  two.graph.settings.name = "a";
  two.graph.settings.configuration["x"] = "1";
  two.graph.settings.configuration["y"] = "2";
  one.sink("o", one.source("s"));
  two.sink("o", two.source("s"));
  CHECK(fingerprint(make_job_graph(one.share())) != fingerprint(make_job_graph(two.share())));
}
