#include <dataflow/connectors/source.hpp>

namespace dataflow {

std::string source_reader_base::describe_position(const source_split& split) const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "position ";
  for (const char c : split.payload) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

} // namespace dataflow
