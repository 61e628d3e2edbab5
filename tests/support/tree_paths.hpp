/// Where the sources of this tree are, and what was built of them. Not as macros: the two differ between checkouts, and
/// one cached object serves them all when only tree_paths.cpp knows.
#pragma once

#include <string>

namespace dataflow::test {

std::string source_path(const std::string& path); ///< of what lies below the root of the sources
std::string build_path(const std::string& path);  ///< of what lies below the build directory

} // namespace dataflow::test
