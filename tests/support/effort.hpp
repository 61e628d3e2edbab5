/// How much a test that repeats itself should do: sanitizers make code 5 to 20 times slower, and what they look for
/// shows in fewer rounds.
#pragma once

#include <algorithm>
#include <cstddef>

namespace dataflow::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// `full` rounds in a plain build, a tenth of them (at least one) under a sanitizer.
constexpr std::size_t rounds(std::size_t full) { return sanitized ? std::max<std::size_t>(full / 10, 1) : full; }

} // namespace dataflow::test
