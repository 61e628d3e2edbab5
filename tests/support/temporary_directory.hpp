/// A directory of the real disk that is there for one test.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <string>

namespace dataflow::test {

class temporary_directory {
public:
  temporary_directory() : path_(system_files().temporary_name("", "dataflow-test-")) {
    system_files().create_directories(path_);
  }
  temporary_directory(const temporary_directory&) = delete;
  ~temporary_directory() {
    try {
      system_files().remove_all(path_);
    } catch (...) { // a test that failed may leave what cannot be removed
    }
  }
  const std::string& path() const noexcept { return path_; }
  std::string operator/(std::string_view name) const { return join_path(path_, name); }

private:
  std::string path_;
};

} // namespace dataflow::test
