/// Pipelines of the benchmarks on a cluster. One that runs to its end is reduced to a number that the hand-written loop
/// comes to as well.
#pragma once

#include <dataflow/dataflow.hpp>

#include <atomic>
#include <memory>
#include <utility>

namespace bench {

/// Adds up value(record): a sink that really consumes.
template <class Value>
struct adding_sink {
  std::atomic<std::uint64_t>* into;
  Value value;
  std::uint64_t sum = 0;
  void operator()(const auto& record) { sum += static_cast<std::uint64_t>(value(record)); }
  void close() { *into += std::exchange(sum, 0); }
};

/// Jobs of the environment run on this cluster, each part once unless it says so itself.
inline dataflow::environment environment_on(std::shared_ptr<dataflow::executor> cluster) {
  dataflow::environment_options o;
  o.runner = std::move(cluster);
  dataflow::environment env{o};
  env.set_parallelism(1);
  return env;
}

/// Runs the stream that build(environment&) returns; returns the sum of value(record) over its records.
template <class Value, class Build>
std::uint64_t sum_of_job(const std::shared_ptr<dataflow::executor>& cluster, std::uint32_t parallelism, Value value,
                         Build build) {
  auto env = environment_on(cluster);
  env.set_parallelism(parallelism);
  std::atomic<std::uint64_t> sum{0};
  build(env).sink_to(adding_sink<Value>{&sum, value});
  env.execute();
  return sum;
}

} // namespace bench
