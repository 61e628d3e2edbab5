/// Where a record has come from: what is said of one that fails its job again and again.
///
/// Only sources that trace their records (see task/traced_source.hpp) know it; everywhere else batches have none.
/// Threading: a value; shared and immutable once it is in a batch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dataflow {

struct record_origin {
  std::string source;        ///< uid of the source operator
  std::string name;          ///< of the source, for people
  std::string split;         ///< its id; empty: the reader does not say to which split its records belong
  std::string position;      ///< payload of the split before the record: equal when the record is the same
  std::string described;     ///< the position, for people
  std::uint64_t records = 1; ///< more: the reader does not give them out one by one, and it is one of them
  /// It was on its way to an operator (`source`) when the checkpoint was made: nobody knows more of where it is from.
  bool under_way = false;

  /// One that can be found again.
  bool exact() const noexcept { return records == 1 && !split.empty(); }
  bool same_record(const record_origin& other) const noexcept {
    return source == other.source && split == other.split && position == other.position;
  }
  std::string to_string() const;
};

/// What a subtask is to do about records that fail the job.
struct source_trace {
  std::uint64_t records = 0;       ///< so many are given out one by one, with their origins
  std::vector<record_origin> skip; ///< these are left out; their splits are read one by one until they have come
  bool wanted() const noexcept { return records > 0 || !skip.empty(); }
};

} // namespace dataflow
