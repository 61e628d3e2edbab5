/// A job's report as metrics: Flink's names and rates for whoever holds a job handle.
///
/// Threading: pure functions on values.
#pragma once

#include <dataflow/api/executor.hpp>
#include <dataflow/metrics/registry.hpp>

namespace dataflow {

/// Counters and gauges of all tasks and operators, and the job's numRestarts. Taken from two reports, with_rates()
/// makes rates of them; `at` is the report's wall time, `since` the job's start.
metrics_snapshot metrics_of(const job_report& report);

} // namespace dataflow
