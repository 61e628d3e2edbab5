#include <tests/support/tree_paths.hpp>

namespace dataflow::test {

std::string source_path(const std::string& path) { return DATAFLOW_SOURCE_DIR "/" + path; }

std::string build_path(const std::string& path) { return DATAFLOW_BINARY_DIR "/" + path; }

} // namespace dataflow::test
