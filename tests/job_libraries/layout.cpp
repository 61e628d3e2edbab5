// Two versions of one job, built from this file: records of the same name, with different layouts.
#include <dataflow/connectors/text_file_sink.hpp>
#include <dataflow/dataflow.hpp>

struct measurement {
#if LAYOUT == 1
  std::int32_t value;
  std::int32_t group;
#else
  std::string label;
  std::int64_t group;
  double value;
#endif
};
#if LAYOUT == 1
DATAFLOW_RECORD(measurement, value, group);
#else
DATAFLOW_RECORD(measurement, label, group, value);
#endif

// Not static and not inline on purpose: a symbol of the same name in both libraries.
measurement make_measurement(std::int64_t n) {
#if LAYOUT == 1
  return {static_cast<std::int32_t>(n), static_cast<std::int32_t>(n % 3)};
#else
  return {std::string(40, 'x') + std::to_string(n), n % 3, static_cast<double>(n) / 2};
#endif
}

DATAFLOW_JOB(sum_measurements) {
  env.sequence(1, args.get("records", std::int64_t{30'000}))
      .map(make_measurement)
      .key_by(&measurement::group)
      .sum(&measurement::value)
      .map([](const measurement& m) {
        return std::to_string(m.group) + "=" + std::to_string(static_cast<std::int64_t>(m.value));
      })
      .sink_to(dataflow::text_file_sink<std::string>{args.require("out")});
}
