/// Records for tests of windows, and the operator that a call of the API puts behind them.
///
/// Threading: values.
#pragma once

#include <dataflow/api/environment.hpp>
#include <dataflow/api/environment_state.hpp>
#include <dataflow/api/windowed_stream.hpp>

#include <tests/support/operator_runner.hpp>

namespace dataflow::test {

struct sample {
  std::int64_t key = 0, value = 0;
};
struct sum_of_values {
  std::int64_t create_accumulator() const { return 0; }
  void add(const sample& s, std::int64_t& sum) const { sum += s.value; }
  std::int64_t get_result(const std::int64_t& sum) const { return sum; }
  void merge(std::int64_t& into, const std::int64_t& from) const { into += from; }
};

} // namespace dataflow::test
DATAFLOW_RECORD(dataflow::test::sample, key, value);

namespace dataflow::test {

/// build(samples by key) -> a stream with one operator.
template <class Build>
operator_factory windows_of(Build build) {
  return [build] {
    environment env;
    auto s = build(env.from_collection<sample>({}).key_by(&sample::key));
    return s.state()->graph.node(s.node()).make_operator();
  };
}

} // namespace dataflow::test
