/// Places for keyed state on the disk, a directory for each.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/state_database.hpp>

#include <memory>
#include <string>
#include <tests/support/temporary_directory.hpp>

namespace dataflow::test {

class places {
public:
  /// `row_bytes`: what rows may take in memory; 1: as few rows as it allows.
  explicit places(std::size_t row_bytes = 1) : row_bytes_(row_bytes) {}
  state_place next(bool incremental = false) {
    return {databases_.get(), directory_ / std::to_string(++number_), row_bytes_, incremental, {}};
  }

private:
  temporary_directory directory_;
  std::shared_ptr<state_database_factory> databases_ = rocksdb_databases({8 << 20});
  std::size_t row_bytes_;
  unsigned number_ = 0;
};

} // namespace dataflow::test
