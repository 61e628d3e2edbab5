/// A directory of a benchmark's own, which goes with it.
#pragma once

#include <dataflow/util/file_system.hpp>

#include <string>

namespace bench {

struct place_on_disk {
  std::string directory = dataflow::system_files().temporary_name("", "dataflow-bench-");
  place_on_disk() { dataflow::system_files().create_directories(directory); }
  place_on_disk(const place_on_disk&) = delete;
  ~place_on_disk() { dataflow::system_files().remove_all(directory); }
};

} // namespace bench
