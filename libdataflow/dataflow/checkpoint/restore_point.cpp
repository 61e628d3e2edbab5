#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/util/error.hpp>

#include <set>

namespace dataflow {

namespace {

/// Held as long as nobody may work in the directory of the job that a checkpoint is of.
std::unique_ptr<file_lock> lock_job_of(file_system& files, const std::string& checkpoint) {
  const auto name = join_path(parent_directory(checkpoint), storage_lock_name);
  if (!files.exists(name)) return nullptr;
  auto lock = files.lock(name);
  if (!lock)
    throw error{errc::storage_locked, "the job that made '" + checkpoint + "' still runs",
                "stop it first, or take a savepoint of it"};
  return lock;
}

} // namespace

restore_settings restore_settings::from(const configuration& config) {
  restore_settings s;
  s.path = config.text("execution.state-recovery.path");
  s.allow_non_restored = config.boolean("execution.state-recovery.ignore-unclaimed-state");
  s.claim = config.text("execution.state-recovery.claim-mode") == "CLAIM" ? claim_mode::claim : claim_mode::no_claim;
  return s;
}

restore_point open_restore_point(file_system& files, const restore_settings& settings) {
  restore_point point;
  point.directory = checkpoint_directory_of(settings.path);
  point.metadata = read_checkpoint_metadata(files, settings.path);
  point.allow_non_restored = settings.allow_non_restored;
  point.claim = settings.claim;
  if (point.claim == claim_mode::claim && point.metadata.kind == checkpoint_kind::checkpoint)
    (void)lock_job_of(files, point.directory);
  file_checkpoint_storage storage{files, "", "", 0}; // reads by the handles of the metadata
  verify_checkpoint(storage, point.directory, point.metadata, verification::objects);
  return point;
}

void dispose_savepoint(file_system& files, const std::string& path) {
  const auto directory = checkpoint_directory_of(path);
  const auto metadata = read_checkpoint_metadata(files, path);
  file_checkpoint_storage storage{files, "", "", 0};
  if (metadata.kind == checkpoint_kind::savepoint) return storage.remove_checkpoint(directory);

  const auto lock = lock_job_of(files, directory);
  std::set<object_handle, bool (*)(const object_handle&, const object_handle&)> shared{
      [](const object_handle& a, const object_handle& b) { return a.name < b.name; }};
  for (auto& s : metadata.subtasks)
    for (auto& o : s.shared)
      if (o.scope == object_scope::shared) shared.insert(o);
  for (auto& entry : files.list(parent_directory(directory))) {
    const auto other = join_path(parent_directory(directory), entry.name);
    if (shared.empty() || other == directory || !files.exists(join_path(other, metadata_file_name))) continue;
    for (auto& s : read_checkpoint_metadata(files, other).subtasks)
      for (auto& o : s.shared)
        shared.erase(o);
  }
  storage.remove_checkpoint(directory);
  for (auto& o : shared)
    storage.remove(directory, o);
}

} // namespace dataflow
