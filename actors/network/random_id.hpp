/// Names that nobody else has: ids of jobs and task managers, tokens of leaders.
///
/// Threading: pure. The same seeds give the same name.
#pragma once

#include <dataflow/util/random.hpp>

#include <cstdint>
#include <string>

namespace dataflow::actors {

/// 32 hexadecimal digits.
inline std::string make_id(std::uint64_t seed) {
  random_source random{seed};
  static constexpr char digits[] = "0123456789abcdef";
  std::string id;
  for (int i = 0; i < 32; ++i)
    id.push_back(digits[random() & 15]);
  return id;
}

} // namespace dataflow::actors
