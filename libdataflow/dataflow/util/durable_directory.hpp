/// A directory that is still there after a power failure.
///
/// Threading: as the file system. Errors: those of the file system.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <string>

namespace dataflow {

/// Makes it and those above it, and their names durable. One that exists costs one look.
inline void make_durable_directory(file_system& files, const std::string& path) {
  if (path.empty() || path == "." || files.exists(path)) return;
  const auto parent = parent_directory(path);
  make_durable_directory(files, parent);
  files.create_directories(path);
  files.sync_directory(parent);
}

} // namespace dataflow
