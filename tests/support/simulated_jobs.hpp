/// A job for simulations, built by hand: two sources -> union -> map that fails -> key_by -> rolling sum -> collect.
#pragma once

#include <dataflow/api/executor.hpp>
#include <dataflow/connectors/collection.hpp>
#include <dataflow/connectors/generator.hpp>
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/graph/stream_graph.hpp>
#include <dataflow/operators/collect.hpp>
#include <dataflow/operators/keyed_reduce.hpp>
#include <dataflow/operators/map.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/util/clock.hpp>

#include <limits>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

namespace dataflow::test {

/// key and value; the reduction adds up the values.
using keyed_number = std::pair<std::int64_t, std::int64_t>;
constexpr std::uint64_t totals_collector = 7;

struct keyed_job_options {
  std::int64_t numbers = 2000; ///< of the first source; the second one has a tenth of it
  std::int64_t keys = 13;
  std::uint32_t failures = 0; ///< so many attempts fail, each somewhere else
  std::uint32_t parallelism = 2;
  bool endless = false;                  ///< the first source goes on for ever
  double rate = 0;                       ///< numbers per second of the first source; 0: no limit
  std::chrono::microseconds slowness{0}; ///< time that each sum takes behind its operator, in the same chain
};

/// Takes so much time for each record, as the simulation's clock has it, and passes a batch on when it is through. Not
/// for the head of a chain: barriers that overtake there would lose what it holds.
class slow_operator final : public stream_operator {
public:
  explicit slow_operator(steady_time each) : each_(each) {}
  void open(operator_context& context) override {
    stream_operator::open(context);
    pool_ = context.pool(record_type_of<keyed_number>());
  }
  void process(unsigned, batch_slice& slice) override {
    if (!out_) out_ = pool_->get();
    for (; slice.cursor < slice.limit; ++slice.cursor) {
      const auto until = context().clock().now() + each_;
      while (context().clock().now() < until) {
      }
      out_.as<keyed_number>().records.push_back(slice.data.as<keyed_number>().records[slice.cursor]);
    }
    if (slice.cursor == slice.data->size()) emit(std::exchange(out_, {}));
  }

private:
  const steady_time each_;
  batch_pool::handle pool_;
  batch_ptr out_;
};

/// Fails at a record of its own in each of the first attempts of its subtask.
struct failing_map {
  std::int64_t keys;
  std::uint32_t failures;
  std::uint32_t attempt = 0, seen = 0;
  void open(runtime_context& context) { attempt = context.attempt(); }
  keyed_number operator()(std::int64_t n) {
    if (attempt < failures && ++seen == 150 * (attempt + 1)) throw std::runtime_error("this attempt was meant to fail");
    return {n % keys, n};
  }
};

inline std::shared_ptr<stream_graph> keyed_job(const keyed_job_options& o) {
  auto g = std::make_shared<stream_graph>();
  g->settings.parallelism = o.parallelism;
  auto& numbers = g->add(node_kind::source, "Source: numbers");
  numbers.source =
      factories_of(sequence_source{1, o.endless ? std::numeric_limits<std::int64_t>::max() : o.numbers, o.rate});
  numbers.output_type = &record_type_of<std::int64_t>();
  std::vector<std::int64_t> more;
  for (std::int64_t i = 0; i < o.numbers / 10; ++i)
    more.push_back(1'000'000 + i);
  auto& list = g->add(node_kind::source, "Source: list");
  list.source = factories_of(collection_source<std::int64_t>{std::move(more)});
  list.output_type = &record_type_of<std::int64_t>();
  list.parallelism = 1;
  auto& map = g->add(node_kind::one_input, "Map");
  map.make_operator = [o] {
    return std::make_unique<map_operator<std::int64_t, keyed_number, failing_map>>(failing_map{o.keys, o.failures});
  };
  map.output_type = &record_type_of<keyed_number>();
  const auto key = [](const keyed_number& r) { return r.first; };
  const sum_merge merge{&keyed_number::second};
  auto& sum = g->add(node_kind::one_input, "Sum");
  sum.make_operator = [key, merge] {
    return std::make_unique<keyed_reduce_operator<keyed_number, decltype(key), decltype(merge)>>(key, merge);
  };
  sum.output_type = &record_type_of<keyed_number>();
  sum.keyed = true;
  auto& collect = g->add(node_kind::sink, "Collect Sink");
  collect.make_operator = [] { return std::make_unique<collect_operator>(totals_collector); };
  g->connect(0, 2);
  g->connect(1, 2);
  g->connect(2, 3).partition = partitioning{
      partitioning_kind::hash, [key] { return std::make_unique<hash_partitioner<keyed_number, decltype(key)>>(key); }};
  if (o.slowness.count() == 0) {
    g->connect(3, 4);
    return g;
  }
  auto& slow = g->add(node_kind::one_input, "Slow");
  slow.make_operator = [each = o.slowness] { return std::make_unique<slow_operator>(each); };
  slow.output_type = &record_type_of<keyed_number>();
  g->connect(3, 5);
  g->connect(5, 4);
  return g;
}

/// What the job collected, in the order of arrival.
inline std::vector<keyed_number> collected_of(const job_result& result) {
  std::vector<keyed_number> all;
  const auto& type = record_type_of<keyed_number>();
  const auto found = result.collected.find(totals_collector);
  if (found == result.collected.end()) return all;
  for (auto& bytes : found->second) {
    auto part = batch_pool::make(type)->get();
    byte_reader in{bytes};
    type.decode(in, *part);
    for (auto& r : part.as<keyed_number>().records)
      all.push_back(r);
  }
  return all;
}
inline std::map<std::int64_t, std::int64_t> last_per_key(const std::vector<keyed_number>& all) {
  std::map<std::int64_t, std::int64_t> last;
  for (auto& [k, v] : all)
    last[k] = v;
  return last;
}
/// What the job must come to.
inline std::map<std::int64_t, std::int64_t> expected_totals(const keyed_job_options& o) {
  std::map<std::int64_t, std::int64_t> totals;
  for (std::int64_t i = 1; i <= o.numbers; ++i)
    totals[i % o.keys] += i;
  for (std::int64_t i = 0; i < o.numbers / 10; ++i)
    totals[(1'000'000 + i) % o.keys] += 1'000'000 + i;
  return totals;
}
inline std::size_t expected_records(const keyed_job_options& o) {
  return static_cast<std::size_t>(o.numbers + o.numbers / 10);
}

} // namespace dataflow::test
