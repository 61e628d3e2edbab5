/// Which sources wait for each other in event time.
///
/// Threading: a value. Source: Flink's WatermarkAlignmentParams.
#pragma once

#include <chrono>
#include <string>

namespace dataflow {

/// Sources of one group do not run ahead of the slowest by more than the drift.
struct watermark_alignment {
  std::string group;
  std::chrono::milliseconds max_drift{0};
  std::chrono::milliseconds update_interval{1000};
};

} // namespace dataflow
