/// Looks for records that fail a job again and again, as pure logic: who is to be traced, and what is left out.
///
/// A task that has failed so and so often in a row in the same way is looked at: when its region starts again, its
/// sources give their records out one by one, each with its origin, as many as they had read when it failed; so the
/// next failure names the record. By policy it is left out from then on. A record that was left out is forgotten when
/// a checkpoint behind it is complete: no restart comes back to it.
/// Threading: the job master's own.
#pragma once

#include <dataflow/graph/execution_plan.hpp>
#include <dataflow/record/record_origin.hpp>
#include <dataflow/util/error.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

class configuration;

struct poisoned_record_settings {
  std::uint32_t failures = 3; ///< alike and in a row, before anything is traced; 0: never
  bool skip = false;          ///< leave out what is named
  static poisoned_record_settings from(const configuration& c);
};

class poisoned_records {
public:
  poisoned_records() = default;
  explicit poisoned_records(poisoned_record_settings settings) : settings_(settings) {}

  /// A task has failed, or its region with it when there was one before it. `at`: the record that it named.
  /// Returns true when that record is left out from now on.
  bool failed(region_index region, vertex_index vertex, const error& why, const std::optional<record_origin>& at);
  /// Whether the sources of a region are to trace when it starts again.
  bool traces(region_index region) const;
  /// What a source has to leave out; it starts again. `source`: its operator's uid.
  std::vector<record_origin> to_skip(std::string_view source);
  /// It has come, and was left out. `newest`: the last checkpoint that has begun so far.
  void skipped(const record_origin& record, std::uint64_t newest);
  void checkpoint_completed(std::uint64_t checkpoint);

private:
  struct series {
    vertex_index vertex = 0;
    std::string what;
    std::uint32_t failures = 0;
  };
  struct left_out {
    record_origin record;
    std::optional<std::uint64_t> after; ///< no checkpoint above this one comes back to it
  };
  poisoned_record_settings settings_;
  std::map<region_index, series> series_;
  std::vector<left_out> skip_;
};

} // namespace dataflow
