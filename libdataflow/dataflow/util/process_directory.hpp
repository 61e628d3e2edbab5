/// A directory for temporary files of one process. It holds a lock in there for as long as it lives; what processes
/// that were killed have left beside it is removed when another one makes its own:
///
///   <root>/<prefix><process>-<n>/_lock
///
/// Threading: not shared. Ownership: the directory is removed, with all that is in it, by the destructor; borrows the
/// file system. Errors: those of the file system, from the constructor.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace dataflow {

class process_directory {
public:
  /// `root`: empty for the place of temporary files.
  process_directory(file_system& files, const std::string& root, std::string_view prefix);
  process_directory(const process_directory&) = delete;
  process_directory& operator=(const process_directory&) = delete;
  ~process_directory();

  const std::string& path() const noexcept { return path_; }

private:
  file_system& files_;
  std::string path_;
  std::unique_ptr<file_lock> lock_;
};

/// Temporary files go, with all that is in a directory. What cannot be removed is left to whoever cleans the disk.
void remove_left_over(file_system& files, const std::string& path) noexcept;

} // namespace dataflow
