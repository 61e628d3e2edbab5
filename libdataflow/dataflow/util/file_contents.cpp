#include <dataflow/util/error.hpp>
#include <dataflow/util/file_contents.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>

namespace dataflow {

std::string read_file_contents(const std::string& path, file_system* files) {
  constexpr std::uint64_t largest = 64u << 20;
  const auto file = (files ? files : system_platform().files)->open_read(path);
  const auto size = file->size();
  if (size > largest) {
    throw error{errc::record_too_large,
                path + " has " + std::to_string(size) + " bytes, at most 64 MiB are read at once",
                "read large inputs with a source"};
  }
  std::string text(size, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const auto n = file->read_at(text.data() + have, text.size() - have, have);
    if (n == 0) break; // the file became shorter
    have += n;
  }
  text.resize(have);
  return text;
}

} // namespace dataflow
