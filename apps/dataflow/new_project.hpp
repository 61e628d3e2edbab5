/// `dataflow new <name>`: a job project of one's own, ready to build.
///
/// Errors: invalid_option for a name that is no identifier or a directory that is not empty; io errors with the path.
#pragma once

#include <string>
#include <vector>

namespace dataflow {
class file_system;
}

namespace dataflow::cli {

/// Writes the project and returns its files' paths. `directory`: empty for ./<name>.
std::vector<std::string> write_new_project(file_system& files, const std::string& name, std::string directory);

} // namespace dataflow::cli
