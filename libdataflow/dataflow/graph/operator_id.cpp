#include <dataflow/graph/operator_id.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dataflow {

std::string operator_id::to_string() const {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out(32, '0');
  for (int i = 0; i < 16; ++i) {
    out[15 - i] = digits[(high >> (4 * i)) & 15];
    out[31 - i] = digits[(low >> (4 * i)) & 15];
  }
  return out;
}

operator_id operator_id_of(std::string_view text) noexcept {
  const auto hash = XXH3_128bits(text.data(), text.size());
  return {hash.high64, hash.low64};
}

} // namespace dataflow
