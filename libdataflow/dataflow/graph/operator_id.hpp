/// Identity of operators: a uid of the user's, or the place in the job's structure, as 128 bits.
///
/// State is kept under it, so it does not depend on chaining, parallelism or names.
/// Threading: a value.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace dataflow {

struct operator_id {
  std::uint64_t high = 0, low = 0;
  auto operator<=>(const operator_id&) const = default;
  /// 32 hexadecimal digits.
  std::string to_string() const;
};

/// The id of a text: XXH3 with 128 bits. "Do not change": stored state is found by it.
operator_id operator_id_of(std::string_view text) noexcept;

} // namespace dataflow
