/// The library's version, and the version of what job libraries and the runtime must agree on.
#pragma once

#include <cstdint>

namespace dataflow {

/// As in the top CMakeLists.txt; configuring fails when the two differ.
inline constexpr char library_version[] = "0.1.0";

/// Grows with every change that a job library built before it cannot run with, also when no layout changes.
inline constexpr std::uint32_t abi_version = 1;

} // namespace dataflow
