#include <dataflow/util/error.hpp>
#include <dataflow/util/memory_file_system.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace dataflow {

struct memory_file_system::content {
  std::mutex mutex; // guards all below
  std::string bytes;
  std::optional<std::string> synced; // what a power failure leaves, if that is remembered
};

namespace {

/// One spelling per path: no "." parts, no doubled or trailing slashes; relative ones stay relative.
std::string normal(std::string_view path) {
  std::string out;
  const bool absolute = !path.empty() && path.front() == '/';
  while (!path.empty()) {
    auto slash = path.find('/');
    auto part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (!out.empty() || absolute) out += '/';
    out.append(part);
  }
  if (out.empty()) return absolute ? "/" : ".";
  return out;
}

class memory_readable_file final : public readable_file {
public:
  explicit memory_readable_file(std::shared_ptr<memory_file_system::content> c) : content_(std::move(c)) {}
  std::size_t read_at(char* to, std::size_t size, std::uint64_t offset) override {
    std::lock_guard lock{content_->mutex};
    if (offset >= content_->bytes.size()) return 0;
    auto n = std::min<std::size_t>(size, content_->bytes.size() - offset);
    std::memcpy(to, content_->bytes.data() + offset, n);
    return n;
  }
  std::uint64_t size() override {
    std::lock_guard lock{content_->mutex};
    return content_->bytes.size();
  }

private:
  std::shared_ptr<memory_file_system::content> content_;
};

class memory_writable_file final : public writable_file {
public:
  explicit memory_writable_file(std::shared_ptr<memory_file_system::content> c) : content_(std::move(c)) {}
  void append(std::string_view bytes) override {
    std::lock_guard lock{content_->mutex};
    content_->bytes.append(bytes);
  }
  void sync() override {
    std::lock_guard lock{content_->mutex};
    if (content_->synced) content_->synced = content_->bytes;
  }
  void close() override {}

private:
  std::shared_ptr<memory_file_system::content> content_;
};

} // namespace

struct memory_file_system::locks {
  std::mutex mutex;
  std::set<std::string> held;
};

class memory_file_system::memory_lock final : public file_lock {
public:
  memory_lock(std::shared_ptr<locks> all, std::string name) : all_(std::move(all)), name_(std::move(name)) {}
  ~memory_lock() override {
    std::lock_guard lock{all_->mutex};
    all_->held.erase(name_);
  }

private:
  std::shared_ptr<locks> all_;
  std::string name_;
};

memory_file_system::memory_file_system() : locks_(std::make_shared<locks>()) {
  nodes_["/"].inode = next_inode_++;
  nodes_["."].inode = next_inode_++;
  nodes_["/tmp"].inode = next_inode_++;
}

memory_file_system::~memory_file_system() = default;

const memory_file_system::node& memory_file_system::at(const std::string& path, std::string_view doing) const {
  auto found = nodes_.find(normal(path));
  if (found == nodes_.end()) throw file_error(ENOENT, doing, path);
  return found->second;
}

std::unique_ptr<readable_file> memory_file_system::open_read(const std::string& path) {
  std::lock_guard lock{mutex_};
  auto& found = at(path, "open");
  if (unreadable_.count(normal(path)) != 0) throw file_error(EACCES, "open", path);
  if (!found.data) throw file_error(EISDIR, "read", path);
  return std::make_unique<memory_readable_file>(found.data);
}

std::unique_ptr<writable_file> memory_file_system::open_write(const std::string& path, write_mode mode) {
  std::lock_guard lock{mutex_};
  auto name = normal(path);
  auto directory = nodes_.find(normal(parent_directory(name)));
  if (directory == nodes_.end() || directory->second.data) throw file_error(ENOENT, "write to", path);
  auto& entry = nodes_[name];
  if (entry.inode != 0) {
    if (!entry.data) throw file_error(EISDIR, "write to", path);
    if (mode == write_mode::create_new) throw file_error(EEXIST, "write to", path);
  } else {
    entry.inode = next_inode_++;
    entry.data = std::make_shared<content>();
    if (synced_) entry.data->synced.emplace();
  }
  if (mode == write_mode::truncate) {
    std::lock_guard inner{entry.data->mutex};
    entry.data->bytes.clear();
  }
  return std::make_unique<memory_writable_file>(entry.data);
}

file_status memory_file_system::status(const std::string& path) {
  std::lock_guard lock{mutex_};
  auto& found = at(path, "find");
  file_status out;
  out.inode = found.inode;
  out.kind = found.data ? file_kind::regular : file_kind::directory;
  if (found.data) {
    std::lock_guard inner{found.data->mutex};
    out.size = found.data->bytes.size();
  }
  return out;
}

std::vector<directory_entry> memory_file_system::list(const std::string& path) {
  std::vector<directory_entry> entries;
  {
    std::lock_guard lock{mutex_};
    if (at(path, "list").data) throw file_error(ENOTDIR, "list", path);
    auto name = normal(path);
    for (auto& [candidate, node] : nodes_)
      if (candidate != name && normal(parent_directory(candidate)) == name && candidate != "." && candidate != "/")
        entries.push_back({std::string{file_name(candidate)}, {}});
  }
  for (auto& entry : entries)
    entry.status = status(join_path(path, entry.name));
  return entries;
}

void memory_file_system::create_directories(const std::string& path) {
  std::lock_guard lock{mutex_};
  for (auto name = normal(path);; name = normal(parent_directory(name))) {
    auto& entry = nodes_[name];
    if (entry.data)
      throw error{errc::not_a_file, "cannot make the directory '" + path + "': a file of that name exists",
                  "name another directory, or move the file away"};
    if (entry.inode != 0) return;
    entry.inode = next_inode_++;
  }
}

void memory_file_system::remove(const std::string& path) {
  std::lock_guard lock{mutex_};
  auto name = normal(path);
  auto found = nodes_.find(name);
  if (found == nodes_.end()) return;
  if (!found->second.data)
    for (auto& [candidate, node] : nodes_)
      if (candidate != name && normal(parent_directory(candidate)) == name) throw file_error(ENOTEMPTY, "remove", path);
  nodes_.erase(found);
}

void memory_file_system::truncate(const std::string& path, std::uint64_t size) {
  std::lock_guard lock{mutex_};
  const auto& found = at(path, "cut");
  if (!found.data) throw file_error(EISDIR, "cut", path);
  std::lock_guard inner{found.data->mutex};
  if (found.data->bytes.size() < size) throw file_error(EINVAL, "cut", path);
  found.data->bytes.resize(size);
}

bool memory_file_system::link(const std::string& from, const std::string& to) {
  std::lock_guard lock{mutex_};
  auto source = at(from, "open");
  if (!source.data) throw file_error(EISDIR, "make another name of", from);
  return nodes_.emplace(normal(to), source).second;
}

void memory_file_system::sync_directory(const std::string& path) {
  std::lock_guard lock{mutex_};
  at(path, "open");
  if (synced_) note_names(normal(path));
}

void memory_file_system::note_names(const std::string& directory) {
  std::erase_if(*synced_,
                [&](auto& n) { return n.first != directory && normal(parent_directory(n.first)) == directory; });
  for (auto& [name, node] : nodes_)
    if (name != directory && normal(parent_directory(name)) == directory) synced_->emplace(name, node);
}

void memory_file_system::remember_synced() {
  std::lock_guard lock{mutex_};
  synced_ = nodes_;
  for (auto& [name, node] : nodes_) {
    if (!node.data) continue;
    std::lock_guard inner{node.data->mutex};
    node.data->synced = node.data->bytes;
  }
}

void memory_file_system::lose_power() {
  std::lock_guard lock{mutex_};
  // A name is only there when those of all directories above it are.
  nodes_.clear();
  for (auto& [name, node] : *synced_) { // directories come before what is in them
    const auto above = normal(parent_directory(name));
    if (name != above && !nodes_.contains(above)) continue;
    nodes_.emplace(name, node);
    if (!node.data) continue;
    std::lock_guard inner{node.data->mutex};
    node.data->bytes = *node.data->synced;
  }
  synced_ = nodes_;
}

std::unique_ptr<file_lock> memory_file_system::lock(const std::string& path) {
  open_write(path, write_mode::append)->close();
  std::lock_guard lock{locks_->mutex};
  if (!locks_->held.insert(normal(path)).second) return nullptr;
  return std::make_unique<memory_lock>(locks_, normal(path));
}

std::string memory_file_system::temporary_name(const std::string& directory, std::string_view prefix) {
  std::lock_guard lock{mutex_};
  return join_path(directory.empty() ? "/tmp" : directory, std::string{prefix} + std::to_string(next_name_++));
}

void memory_file_system::make_unreadable(const std::string& path) {
  std::lock_guard lock{mutex_};
  unreadable_.insert(normal(path));
}

std::vector<std::string> memory_file_system::paths() const {
  std::lock_guard lock{mutex_};
  std::vector<std::string> out;
  for (auto& [name, node] : nodes_)
    if (node.data) out.push_back(name);
  return out;
}

} // namespace dataflow
