// Jobs without end whose event time stands still.
#include <dataflow/dataflow.hpp>

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

struct step {
  std::int64_t time = 0;
};

auto steps(double per_second) {
  return generator_source{[](std::int64_t i) { return step{i}; }, generator_options{{}, per_second}};
}
auto in_order() { return watermark_strategy<step>::monotonous_timestamps().with_timestamp(&step::time); }

struct times {
  void operator()(const step& s, process_context&, collector<std::int64_t>& out) const { out.collect(s.time); }
};

} // namespace
DATAFLOW_RECORD(step, time);

/// One of two sources has a record an hour.
DATAFLOW_JOB(silent_split) {
  env.from(steps(1.0 / 3600), in_order(), "silent")
      .union_with(env.from(steps(1000), in_order(), "busy"))
      .rebalance()
      .process(times{})
      .name("watch")
      .discard();
}

DATAFLOW_JOB(no_strategy) { env.from(steps(1000), "bare").rebalance().process(times{}).name("watch").discard(); }
