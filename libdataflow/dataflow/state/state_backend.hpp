/// Where keyed state is kept while a job runs; checkpoints of either are restored by both.
///
/// Threading: constant. Source: Flink's state.backend.type.
#pragma once

#include <cstdint>

namespace dataflow {

enum class state_backend : std::uint8_t {
  hashmap, ///< in memory
  rocksdb, ///< on the local disk, with the rows that were used last in memory
};

} // namespace dataflow
