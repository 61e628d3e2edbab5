/// What can be asked of the machine, besides clock, files and sockets.
///
/// Threading: safe from any thread. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

class node_probe {
public:
  virtual ~node_probe() = default;
  struct limit {
    std::uint64_t soft = 0, hard = 0; ///< the greatest number: no limit
  };
  /// Files and sockets that this process may have open.
  virtual limit open_files() const = 0;
  struct space {
    std::uint64_t free = 0, total = 0; ///< bytes; free: for who is not root
  };
  /// Of the file system that the directory is on; nothing when it cannot be said.
  virtual std::optional<space> disk_space(const std::string& directory) const = 0;
  /// Name and version of what the process runs on: the system, its libraries, the engine itself.
  virtual std::vector<std::pair<std::string, std::string>> versions() const = 0;
  /// The version that the engine's shared library was compiled as.
  virtual std::string engine_version() const = 0;
};

/// The operating system's answers.
const node_probe& system_probe();

} // namespace dataflow
