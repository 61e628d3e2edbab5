#include <dataflow/checkpoint/local_copies.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

namespace {

constexpr std::size_t kept_per_task = 3;

/// Nobody else has it: shared objects lie beside their checkpoint.
std::string name_of(const std::string& directory, const object_handle& object) {
  return join_path(object.scope == object_scope::exclusive ? directory : parent_directory(directory), object.name);
}

bool is_what_was_written(readable_file& file, const object_handle& object) {
  if (file.size() != object.size) return false;
  running_checksum sum;
  std::string piece(1 << 20, '\0');
  for (std::uint64_t at = 0; at < object.size;) {
    const auto n = file.read_at(piece.data(), piece.size(), at);
    if (n == 0) return false;
    sum.add({piece.data(), n});
    at += n;
  }
  return sum.value() == object.checksum;
}

} // namespace

/// Writes both; what goes wrong with the copy ends the copy.
class local_copies::writer final : public object_writer {
public:
  writer(local_copies& copies, std::unique_ptr<object_writer> stored, std::string directory)
      : copies_(copies), stored_(std::move(stored)), directory_(std::move(directory)) {}
  ~writer() override {
    copy_.reset();
    if (!path_.empty()) remove();
  }
  void append(std::string_view bytes) override {
    stored_->append(bytes);
    buffer_.append(bytes);
    if (buffer_.size() >= write_size) flush();
  }
  std::uint64_t size() const noexcept override { return stored_->size(); }
  object_handle finish() override {
    auto handle = stored_->finish();
    if (handle.scope == object_scope::inlined || handle.scope == object_scope::task_owned) return handle;
    flush();
    guarded([&] {
      copy_->close(); // not synchronised: what a machine loses when it stops it does not read again
      copies_.files_[name_of(directory_, handle)] = std::exchange(path_, {});
    });
    return handle;
  }

private:
  static constexpr std::size_t write_size = 256 * 1024;
  template <class F>
  void guarded(F&& f) {
    if (given_up_) return;
    try {
      f();
    } catch (const error& e) {
      given_up_ = true;
      log_warn({"local copies", {}, {}}, "an object of a checkpoint has no copy: " + e.to_string());
    }
  }
  void flush() {
    guarded([&] {
      if (!copy_) {
        path_ = copies_.new_file();
        copy_ = system_files().open_write(path_, write_mode::create_new);
      }
      copy_->append(buffer_);
    });
    buffer_.clear();
  }
  void remove() noexcept {
    try {
      system_files().remove(path_);
    } catch (const error&) { // goes with the directory
    }
  }

  local_copies& copies_;
  std::unique_ptr<object_writer> stored_;
  const std::string directory_;
  std::string path_, buffer_;
  std::unique_ptr<writable_file> copy_;
  bool given_up_ = false;
};

class local_copies::objects final : public checkpoint_objects {
public:
  objects(local_copies& copies, checkpoint_objects& storage) : copies_(copies), storage_(storage) {}
  std::unique_ptr<object_writer> create(const std::string& directory, object_scope scope,
                                        std::string_view hint) override {
    return std::make_unique<writer>(copies_, storage_.create(directory, scope, hint), directory);
  }
  std::unique_ptr<readable_file> open(const std::string& directory, const object_handle& object) override {
    if (auto copy = copies_.open(directory, object)) return copy;
    return storage_.open(directory, object);
  }
  void remove(const std::string& directory, const object_handle& object) override {
    copies_.forget(name_of(directory, object));
    storage_.remove(directory, object);
  }

private:
  local_copies& copies_;
  checkpoint_objects& storage_;
};

local_copies::local_copies(state_place place) : place_(std::move(place)) {}
local_copies::~local_copies() = default;

std::unique_ptr<checkpoint_objects> local_copies::in_front_of(checkpoint_objects& storage) {
  return std::make_unique<objects>(*this, storage);
}

std::string local_copies::new_file() { return join_path(place_.directory, std::to_string(next_++)); }

std::unique_ptr<readable_file> local_copies::open(const std::string& directory, const object_handle& object) {
  const auto name = name_of(directory, object);
  const auto found = files_.find(name);
  if (found == files_.end()) return nullptr;
  try {
    auto copy = system_files().open_read(found->second);
    if (is_what_was_written(*copy, object)) {
      ++used_;
      return copy;
    }
    log_warn({"local copies", {}, {}}, "the copy of '" + name + "' is not what was written: the checkpoint is read");
  } catch (const error& e) {
    log_warn({"local copies", {}, {}},
             "the copy of '" + name + "' cannot be read, the checkpoint is: " + e.to_string());
  }
  ++refused_;
  forget(name);
  return nullptr;
}

void local_copies::forget(const std::string& name) noexcept {
  const auto found = files_.find(name);
  if (found == files_.end()) return;
  try {
    system_files().remove(found->second);
  } catch (const error&) { // goes with the directory
  }
  files_.erase(found);
}

void local_copies::handed_in(std::uint32_t task, const std::string& directory, const subtask_summary& part) {
  std::set<std::string> names;
  if (part.object.scope != object_scope::inlined) names.insert(name_of(directory, part.object));
  for (auto& o : part.shared)
    names.insert(name_of(directory, o));
  auto& last = handed_in_[task];
  last.push_back(std::move(names));
  if (last.size() <= kept_per_task) return;
  const auto oldest = std::move(last.front());
  last.pop_front();
  for (auto& name : oldest)
    if (std::none_of(last.begin(), last.end(), [&](auto& kept) { return kept.contains(name); })) forget(name);
}

} // namespace dataflow
