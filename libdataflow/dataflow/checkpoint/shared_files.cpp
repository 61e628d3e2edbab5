#include <dataflow/checkpoint/merged_parts.hpp>
#include <dataflow/checkpoint/shared_files.hpp>
#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/state/state_database.hpp>
#include <dataflow/util/error.hpp>

#include <utility>

namespace dataflow {

void shared_files::restored(file_map files, std::string_view directory) {
  const std::lock_guard guard{mutex_};
  complete_ = std::move(files);
  restored_beside_ = parent_directory(directory);
}

std::optional<object_handle> shared_files::find(const file_key& file, std::string_view directory) const {
  const std::lock_guard guard{mutex_};
  if (!restored_beside_.empty() && restored_beside_ != parent_directory(directory)) return {};
  const auto found = complete_.find(file);
  if (found == complete_.end()) return {};
  for (auto& [id, files] : open_) {
    const auto later = files.find(file);
    if (later != files.end() && later->second.name != found->second.name) return {};
  }
  return found->second;
}

void shared_files::stored(std::uint64_t checkpoint, file_map files) {
  const std::lock_guard guard{mutex_};
  open_[checkpoint] = std::move(files);
}

void shared_files::completed(std::uint64_t checkpoint) {
  const std::lock_guard guard{mutex_};
  const auto done = open_.find(checkpoint);
  if (done == open_.end()) return;
  complete_ = std::move(done->second);
  restored_beside_.clear();
  open_.erase(open_.begin(), std::next(done)); // earlier ones will never be complete
}

void shared_files::aborted(std::uint64_t checkpoint) {
  const std::lock_guard guard{mutex_};
  open_.erase(checkpoint);
}

namespace {

object_handle store_file(const database_files::file& file, checkpoint_objects& objects, const std::string& directory,
                         std::string_view hint) {
  const auto scope = file.shared ? object_scope::shared : object_scope::exclusive;
  auto out = objects.create(directory, scope, hint);
  const auto in = system_files().open_read(file.path); // where the backend has put it
  std::string piece(1 << 20, '\0');
  for (std::uint64_t at = 0; at < file.size;) {
    const auto n = in->read_at(piece.data(), piece.size(), at);
    if (n == 0) throw error{errc::io_failed, "'" + file.path + "' is shorter than it was"};
    out->append({piece.data(), n});
    at += n;
  }
  return out->finish();
}

/// Objects that a checkpoint will not have if something goes wrong.
class new_objects {
public:
  new_objects(checkpoint_objects& objects, const std::string& directory) : objects_(objects), directory_(directory) {}
  ~new_objects() {
    for (auto& o : made_)
      try {
        objects_.remove(directory_, o);
      } catch (const error&) { // an orphan: the next leader removes it
      }
  }
  void add(const object_handle& object) { made_.push_back(object); }
  void keep() { made_.clear(); }

private:
  checkpoint_objects& objects_;
  const std::string& directory_;
  std::vector<object_handle> made_;
};

/// Stores what is not stored yet of states that leave out the rest. Whether there are such.
bool store_increments(const subtask_state& state, part_objects& parts) {
  bool any = false;
  for (auto& [uid, op] : state.operators)
    for (auto& [name, stored] : op.states.states) {
      const auto* increment = stored.frozen ? stored.frozen->increment() : nullptr;
      if (!increment) continue;
      any = true;
      stored.give_up_parts([&](const state_part& p) { increment->note(p.key_group, parts.add(p.bytes)); });
    }
  parts.finish();
  return any;
}

} // namespace

subtask_summary store_subtask_state(const subtask_state& state, checkpoint_objects& objects,
                                    const std::string& directory, std::string_view hint, compression how,
                                    std::uint64_t checkpoint, shared_files* known) {
  new_objects made{objects, directory};
  shared_files::file_map shared;
  std::map<std::string_view, std::map<std::string, object_handle>> files; // by uid, by name
  for (auto& [uid, op] : state.operators)
    for (auto& database : op.states.databases)
      for (auto& file : database.files ? database.files->files() : std::vector<database_files::file>{}) {
        const shared_files::file_key key{uid, database.store + "/" + file.name};
        auto handle = file.shared && known ? known->find(key, directory) : std::nullopt;
        if (!handle) {
          handle = store_file(file, objects, directory, hint);
          made.add(*handle);
        }
        if (file.shared) shared.emplace(key, *handle);
        files[uid].emplace(key.second, *handle);
      }
  part_objects parts{objects, directory, hint, how, [&](const object_handle& o) { made.add(o); }};
  const bool increments = store_increments(state, parts);
  auto object = objects.create(directory, object_scope::exclusive, hint);
  subtask_state_writer out{*object, how, state.has_in_flight(), increments};
  for (auto& [uid, op] : state.operators) {
    out.add(uid, op);
    if (const auto f = files.find(uid); f != files.end())
      for (auto& [name, handle] : f->second)
        out.file(name, handle);
  }
  auto summary = out.finish();
  if (known) known->stored(checkpoint, std::move(shared));
  made.keep();
  return summary;
}

std::vector<stored_files> files_of(const subtask_state_reader& reader, std::string_view uid) {
  std::map<std::string, stored_files> stores;
  for (auto& [name, object] : reader.files(uid)) {
    const auto slash = name.find('/');
    if (slash == std::string::npos) continue; // of nobody whom we know
    auto& store = stores[name.substr(0, slash)];
    store.store = name.substr(0, slash);
    store.files.emplace(name.substr(slash + 1), object);
  }
  std::vector<stored_files> out;
  for (auto& [name, files] : stores)
    out.push_back(std::move(files));
  return out;
}

std::vector<stored_files> files_of(const operator_restore& share, const object_opener& open) {
  std::vector<stored_files> out;
  for (auto& [number, range] : share.files) {
    const subtask_state_reader reader{share.objects.at(number), open};
    for (auto& files : files_of(reader, share.uid)) {
      files.groups = range;
      out.push_back(std::move(files));
    }
  }
  return out;
}

void fetch(const stored_files& files, const object_opener& open, const std::string& directory) {
  auto& disk = system_files();
  disk.create_directories(directory);
  std::string piece(1 << 20, '\0');
  for (auto& [name, object] : files.files) {
    const auto from = open(object);
    const auto to = disk.open_write(join_path(directory, name), write_mode::create_new);
    running_checksum sum;
    std::uint64_t at = 0;
    while (at < object.size) {
      const auto n = from->read_at(piece.data(), piece.size(), at);
      if (n == 0) break;
      sum.add({piece.data(), n});
      to->append({piece.data(), n});
      at += n;
    }
    to->close();
    if (at != object.size || sum.value() != object.checksum)
      throw error{errc::corrupt_state,
                  "the file " + name + " of a state database, stored as '" + object.name + "', is not what was written",
                  "restore from another checkpoint"};
  }
}

} // namespace dataflow
