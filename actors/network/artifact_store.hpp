/// Job libraries on the local disk, by the hash of their content: <directory>/<SHA-256>.so
///
/// A library arrives in pieces, from one client or several that upload the same one: whoever sends what is already
/// there learns where to go on. It gets its name when it is complete and its hash is right; nothing else is ever seen
/// under that name. Threading: safe from any thread. Ownership: borrows the file system. Errors: those of the file
/// system (disk_full: what was uploaded is removed); invalid_argument for what is no hash, for a library that is too
/// large, and for content of another hash.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace dataflow::actors {

class artifact_store {
public:
  /// `largest`: bytes of one library.
  artifact_store(file_system& files, std::string directory, std::uint64_t largest);

  struct state {
    bool complete = false;
    std::uint64_t size = 0; ///< bytes that are there
    friend bool operator==(const state&, const state&) = default;
  };
  state find(const std::string& hash);
  /// Bytes at an offset of a library of `size` bytes. What does not continue what is there changes nothing.
  state append(const std::string& hash, std::uint64_t size, std::uint64_t offset, std::string_view bytes);
  /// At most `most` bytes of a complete library; with its size. Errors: file_not_found.
  std::string read(const std::string& hash, std::uint64_t offset, std::size_t most, std::uint64_t& size);
  /// Of a complete library. Errors: file_not_found.
  std::string path(const std::string& hash);
  const std::string& directory() const noexcept { return directory_; }

private:
  struct upload {
    std::string path;
    std::uint64_t size = 0, written = 0;
    std::unique_ptr<writable_file> file;
  };
  std::string name_of(const std::string& hash) const;
  state find_locked(const std::string& hash);
  void finish(const std::string& hash, upload& u);

  file_system& files_;
  const std::string directory_;
  const std::uint64_t largest_;
  std::mutex mutex_;
  std::map<std::string, upload> uploads_; // by hash
};

} // namespace dataflow::actors
