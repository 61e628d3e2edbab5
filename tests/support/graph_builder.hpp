/// Stream graphs by hand, with operators that do nothing: for tests of what happens before anything runs.
#pragma once

#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/graph/stream_graph.hpp>
#include <dataflow/record/record_type.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dataflow::test {

/// The record type of all hand-made edges.
struct plain_record {
  std::int64_t value;
};

} // namespace dataflow::test

template <>
struct dataflow::codec<dataflow::test::plain_record> {
  static constexpr std::uint16_t version = 1;
  static void encode(const test::plain_record& r, byte_writer& out) { out.fixed(r.value); }
  static void decode(test::plain_record& r, byte_reader& in) { r.value = in.fixed<std::int64_t>(); }
  static schema describe() { return {"struct plain_record", {{"value", {"int64", {}}}}}; }
  static std::size_t size_of(const test::plain_record&) noexcept { return sizeof(test::plain_record); }
};

namespace dataflow::test {

class graph_builder {
public:
  stream_graph graph;

  stream_node& at(node_id id) { return graph.node(id); }
  node_id source(std::string name, std::optional<std::uint32_t> parallelism = {}) {
    auto& n = add(node_kind::source, "Source: " + std::move(name), parallelism);
    n.source.emplace();
    n.source->make_reader = [] { return std::unique_ptr<source_driver>{}; };
    n.source->make_enumerator = [] { return std::unique_ptr<split_enumerator>{}; };
    n.make_operator = nullptr;
    return n.id;
  }
  node_id op(std::string name, node_id input, std::optional<std::uint32_t> parallelism = {}) {
    return op(std::move(name), std::vector<node_id>{input}, parallelism);
  }
  /// One input that is the union of several streams.
  node_id op(std::string name, const std::vector<node_id>& inputs, std::optional<std::uint32_t> parallelism = {}) {
    const auto id = add(node_kind::one_input, std::move(name), parallelism).id;
    for (auto i : inputs)
      graph.connect(i, id);
    return id;
  }
  /// An operator behind key_by.
  node_id keyed(std::string name, node_id input, std::optional<std::uint32_t> parallelism = {}) {
    const auto id = op(std::move(name), input, parallelism);
    at(id).keyed = true;
    partition(partitioning_kind::hash);
    return id;
  }
  node_id two_input(std::string name, node_id first, node_id second) {
    const auto id = add(node_kind::two_input, std::move(name), {}).id;
    graph.connect(first, id);
    graph.connect(second, id).input = 1;
    return id;
  }
  node_id sink(std::string name, node_id input, std::optional<std::uint32_t> parallelism = {}) {
    auto& n = add(node_kind::sink, std::move(name) + ": Writer", parallelism);
    n.output_type = nullptr;
    graph.connect(input, n.id);
    return n.id;
  }
  /// Sets the partitioning of the edge made last.
  graph_builder& partition(partitioning_kind kind) {
    graph.edges().back().partition = partitioning{kind, [] { return std::unique_ptr<partitioner>{}; }};
    return *this;
  }
  /// The edge made last reads this side output.
  graph_builder& side_output(std::uint64_t tag, std::string name) {
    auto& e = graph.edges().back();
    e.side_output = tag;
    at(e.from).side_output_types[tag] = &record_type_of<plain_record>();
    at(e.from).side_output_names[tag] = std::move(name);
    return *this;
  }
  std::shared_ptr<const stream_graph> share() const { return std::make_shared<const stream_graph>(graph); }

private:
  stream_node& add(node_kind kind, std::string name, std::optional<std::uint32_t> parallelism) {
    auto& n = graph.add(kind, std::move(name));
    n.parallelism = parallelism;
    n.output_type = &record_type_of<plain_record>();
    n.make_operator = [] { return std::unique_ptr<stream_operator>{}; };
    return n;
  }
};

} // namespace dataflow::test
