/// Where the tasks of one task manager keep state that does not fit into memory, and the memory that they share for it.
///
/// Below each directory that a job names it has one of its own (process_directory); each attempt of a subtask gets a
/// directory in there, which is removed when nobody uses it any more:
///
///   <state.backend.rocksdb.localdir, else io.tmp.dirs>/dataflow-state-<process>-<n>/_lock
///                                                                                  /<job>-<task>-<attempt>-<n>/
///
/// Threading: safe from any thread. Ownership: places keep what they need of it.
/// Errors: those of the file system, with the directory.
/// Source: Flink's LocalRecoveryDirectoryProvider, EmbeddedRocksDBStateBackend, RocksDBSharedResources.
#pragma once

#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/state_backend.hpp>
#include <dataflow/state/state_database.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace dataflow {

class process_directory;

class local_state {
public:
  explicit local_state(rocksdb_options memory);
  local_state(const local_state&) = delete;

  /// A new directory for one attempt of a subtask. `root`: where; empty: the place for temporary files. `name`: begins
  /// the directory's name. The place has databases for state_backend::rocksdb, else only the directory.
  state_place make_place(const std::string& root, const std::string& name, state_backend backend);

private:
  std::shared_ptr<const process_directory> home_in(const std::string& root);

  const rocksdb_options memory_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const process_directory>> homes_; // by root
  std::shared_ptr<state_database_factory> databases_;
  std::uint64_t next_ = 0;
};

} // namespace dataflow
