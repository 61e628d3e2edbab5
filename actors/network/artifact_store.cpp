#include <dataflow/actors/network/artifact_store.hpp>
#include <dataflow/actors/network/content_hash.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

artifact_store::artifact_store(file_system& files, std::string directory, std::uint64_t largest)
    : files_(files), directory_(std::move(directory)), largest_(largest) {}

std::string artifact_store::name_of(const std::string& hash) const {
  if (!is_content_hash(hash)) throw error{errc::invalid_argument, "\"" + hash + "\" is no hash of a job library"};
  return join_path(directory_, hash + ".so");
}

artifact_store::state artifact_store::find(const std::string& hash) {
  std::lock_guard lock{mutex_};
  return find_locked(hash);
}

artifact_store::state artifact_store::find_locked(const std::string& hash) {
  if (const auto found = files_.find(name_of(hash))) return {true, found->size};
  const auto u = uploads_.find(hash);
  return {false, u == uploads_.end() ? 0 : u->second.written};
}

artifact_store::state artifact_store::append(const std::string& hash, std::uint64_t size, std::uint64_t offset,
                                             std::string_view bytes) {
  std::lock_guard lock{mutex_};
  const auto there = find_locked(hash);
  if (there.complete) return there;
  if (size > largest_)
    throw error{errc::invalid_argument,
                "the job library has " + std::to_string(size) + " bytes, " + std::to_string(largest_) + " are allowed",
                "strip it of debug information, or raise blob.max-size on the cluster"};
  if (offset != there.size) return there;
  if (bytes.empty() || bytes.size() > size - offset)
    throw error{errc::invalid_argument, "a piece of a job library does not fit into it"};
  auto u = uploads_.find(hash);
  if (u != uploads_.end() && u->second.size != size) // of somebody else's upload, which goes on
    throw error{errc::invalid_argument, "two sizes are given for one job library"};
  try {
    if (u == uploads_.end()) {
      files_.create_directories(directory_);
      upload fresh;
      fresh.path = files_.temporary_name(directory_, "upload-");
      fresh.size = size;
      fresh.file = files_.open_write(fresh.path, write_mode::create_new);
      u = uploads_.emplace(hash, std::move(fresh)).first;
    }
    u->second.file->append(bytes);
    u->second.written += bytes.size();
    if (u->second.written < size) return {false, u->second.written};
    finish(hash, u->second);
  } catch (...) {
    if (u != uploads_.end()) {
      const auto path = u->second.path;
      uploads_.erase(u);
      files_.remove(path);
    }
    throw;
  }
  uploads_.erase(u);
  return {true, size};
}

void artifact_store::finish(const std::string& hash, upload& u) {
  u.file->sync();
  u.file->close();
  content_hasher hasher;
  {
    const auto file = files_.open_read(u.path);
    std::string block(256 * 1024, '\0');
    for (std::uint64_t at = 0; at < u.size;) {
      const auto n = file->read_at(block.data(), block.size(), at);
      if (n == 0) break;
      hasher.add({block.data(), n});
      at += n;
    }
  }
  if (hasher.finish() != hash)
    throw error{errc::invalid_argument, "the job library has another content than its hash says", "upload it again"};
  files_.link(u.path, name_of(hash)); // taken: the same content
  files_.sync_directory(directory_);
  files_.remove(u.path);
}

std::string artifact_store::read(const std::string& hash, std::uint64_t offset, std::size_t most, std::uint64_t& size) {
  const auto file = files_.open_read(name_of(hash));
  size = file->size();
  std::string bytes(std::min<std::uint64_t>(most, offset < size ? size - offset : 0), '\0');
  bytes.resize(file->read_at(bytes.data(), bytes.size(), offset));
  return bytes;
}

std::string artifact_store::path(const std::string& hash) {
  auto name = name_of(hash);
  if (!files_.exists(name))
    throw error{errc::file_not_found, "the job library " + hash + " is not on this machine", "submit the job again"};
  return name;
}

} // namespace dataflow::actors
