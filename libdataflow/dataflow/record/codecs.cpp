#include <dataflow/record/codecs.hpp>

namespace dataflow::detail {

void write_sorted(std::vector<std::string> entries, byte_writer& out) {
  std::sort(entries.begin(), entries.end());
  out.varint(entries.size());
  for (auto& entry : entries)
    out.raw(entry.data(), entry.size());
}

} // namespace dataflow::detail
