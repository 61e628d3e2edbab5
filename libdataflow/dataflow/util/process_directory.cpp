#include <dataflow/util/error.hpp>
#include <dataflow/util/process_directory.hpp>

#include <utility>

namespace dataflow {

namespace {

constexpr std::string_view lock_name = "_lock";

void remove_those_of_the_dead(file_system& files, const std::string& root, std::string_view prefix) {
  for (auto& e : files.list(root)) {
    if (e.status.kind != file_kind::directory || !e.name.starts_with(prefix)) continue;
    const auto path = join_path(root, e.name);
    try {
      if (const auto lock = files.lock(join_path(path, lock_name))) remove_left_over(files, path);
    } catch (const error&) { // not ours, or gone already
    }
  }
}

/// Null: somebody who tidies up has taken the directory for a left-over, and it is gone.
std::unique_ptr<file_lock> lock_in(file_system& files, const std::string& path) {
  const auto name = join_path(path, lock_name);
  try {
    auto lock = files.lock(name);
    return lock && files.exists(name) ? std::move(lock) : nullptr;
  } catch (const error& e) {
    if (e.code() != errc::file_not_found) throw;
    return nullptr;
  }
}

} // namespace

void remove_left_over(file_system& files, const std::string& path) noexcept {
  try {
    files.remove_all(path);
  } catch (const error&) { // temporary files: whoever cleans the disk removes them
  }
}

process_directory::process_directory(file_system& files, const std::string& root, std::string_view prefix)
    : files_(files), path_(files.temporary_name(root, prefix)) {
  const auto place = parent_directory(path_);
  files.create_directories(place);
  remove_those_of_the_dead(files, place, prefix);
  for (;; path_ = files.temporary_name(root, prefix)) {
    files.create_directories(path_);
    if ((lock_ = lock_in(files, path_))) return;
  }
}

process_directory::~process_directory() { remove_left_over(files_, path_); }

} // namespace dataflow
