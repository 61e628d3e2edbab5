#include <dataflow/state/local_state.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>

#include <utility>

namespace dataflow {

namespace {

constexpr std::string_view home_prefix = "dataflow-state-";
constexpr std::string_view home_lock = "_lock";

void remove_left_over(const std::string& directory) noexcept {
  try {
    system_files().remove_all(directory);
  } catch (const error&) { // temporary files: whoever cleans the disk removes them
  }
}

/// Directories of processes that are gone.
void remove_homes_of_the_dead(const std::string& root) {
  auto& files = system_files();
  for (auto& e : files.list(root)) {
    if (e.status.kind != file_kind::directory || e.name.compare(0, home_prefix.size(), home_prefix) != 0) continue;
    const auto path = join_path(root, e.name);
    try {
      if (const auto lock = files.lock(join_path(path, home_lock))) remove_left_over(path);
    } catch (const error&) { // not ours, or gone already
    }
  }
}

} // namespace

struct local_state::home {
  std::string path;
  std::unique_ptr<file_lock> lock;
  ~home() {
    if (lock) remove_left_over(path);
  }
};

namespace {

/// Null: somebody who tidies up has taken the directory for a left-over, and it is gone.
std::unique_ptr<file_lock> lock_home(const std::string& path) {
  try {
    auto lock = system_files().lock(join_path(path, home_lock));
    return lock && system_files().exists(join_path(path, home_lock)) ? std::move(lock) : nullptr;
  } catch (const error& e) {
    if (e.code() != errc::file_not_found) throw;
    return nullptr;
  }
}

/// One attempt's directory.
struct attempt_directory {
  std::shared_ptr<const void> home;
  std::shared_ptr<state_database_factory> databases;
  std::string path;
  ~attempt_directory() { remove_left_over(path); }
};
} // namespace

local_state::local_state(rocksdb_options memory) : memory_(memory) {}

/// REQUIRES: the lock is held.
std::shared_ptr<local_state::home> local_state::home_in(const std::string& root) {
  auto& known = homes_[root];
  if (auto there = known.lock()) return there;
  auto& files = system_files();
  const auto first = files.temporary_name(root, home_prefix);
  const auto place = parent_directory(first);
  files.create_directories(place);
  remove_homes_of_the_dead(place);
  for (auto path = first;; path = files.temporary_name(root, home_prefix)) {
    files.create_directories(path);
    auto made = std::make_shared<home>();
    made->path = path;
    made->lock = lock_home(path);
    if (!made->lock) continue;
    known = made;
    return made;
  }
}

state_place local_state::make_place(const std::string& root, const std::string& name, state_backend backend) {
  try {
    const std::lock_guard guard{mutex_};
    auto attempt = std::make_shared<attempt_directory>();
    const auto home = home_in(root);
    attempt->home = home;
    state_place place;
    place.directory = join_path(home->path, name + "-" + std::to_string(next_++));
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
