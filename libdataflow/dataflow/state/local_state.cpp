#include <dataflow/state/local_state.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/process_directory.hpp>

#include <utility>

namespace dataflow {

namespace {

/// One attempt's directory.
struct attempt_directory {
  std::shared_ptr<const void> home;
  std::shared_ptr<state_database_factory> databases;
  std::string path;
  ~attempt_directory() { remove_left_over(system_files(), path); }
};

} // namespace

local_state::local_state(rocksdb_options memory) : memory_(memory) {}

/// REQUIRES: the mutex is held.
std::shared_ptr<const process_directory> local_state::home_in(const std::string& root) {
  auto& known = homes_[root];
  auto home = known.lock();
  if (!home) known = home = std::make_shared<const process_directory>(system_files(), root, "dataflow-state-");
  return home;
}

state_place local_state::make_place(const std::string& root, const std::string& name, state_backend backend) {
  try {
    const std::lock_guard guard{mutex_};
    auto attempt = std::make_shared<attempt_directory>();
    const auto home = home_in(root);
    attempt->home = home;
    state_place place;
    place.directory = join_path(home->path(), name + "-" + std::to_string(next_++));
    attempt->path = place.directory;
    system_files().create_directories(place.directory);
    if (backend == state_backend::rocksdb) {
      if (!databases_) databases_ = rocksdb_databases(memory_);
      place.databases = databases_.get();
      attempt->databases = databases_;
    }
    place.keep = std::move(attempt);
    return place;
  } catch (const error& e) {
    throw e.within("no place for state on the local disk (state.backend.rocksdb.localdir, io.tmp.dirs)");
  }
}

} // namespace dataflow
