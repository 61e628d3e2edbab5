/// What a job library tells the runtime that loads it, before any of its code is trusted.
///
/// The first three fields of job_library_descriptor are fixed for ever ("do not change"): they are read before it is
/// known whether the rest is understood. Everything is constant data of the library.
#pragma once

#include <dataflow/config/parameters.hpp>
#include <dataflow/connectors/source.hpp>
#include <dataflow/graph/stream_graph.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/version.hpp>

#include <cstdint>

namespace dataflow {

class environment;

using job_function = void (*)(environment& env, const parameters& args);

/// One DATAFLOW_JOB. A library's jobs form a list.
struct job_entry {
  const char* name;
  job_function build;
  const char* file; ///< where it is defined
  job_entry* next;
};

/// Compiler and standard library, as far as they must agree.
#define DATAFLOW_TEXT_OF(x) #x
#define DATAFLOW_TEXT(x) DATAFLOW_TEXT_OF(x)
#if defined(__clang__)
#define DATAFLOW_COMPILER_NAME "clang " DATAFLOW_TEXT(__clang_major__)
#else
#define DATAFLOW_COMPILER_NAME "gcc " DATAFLOW_TEXT(__GNUC__)
#endif
#if defined(_GLIBCXX_DEBUG)
#define DATAFLOW_LIBRARY_MODE ", debug containers"
#else
#define DATAFLOW_LIBRARY_MODE ""
#endif
#if defined(__GLIBCXX__)
#define DATAFLOW_STANDARD_LIBRARY "libstdc++ strings " DATAFLOW_TEXT(_GLIBCXX_USE_CXX11_ABI) DATAFLOW_LIBRARY_MODE
#else
#define DATAFLOW_STANDARD_LIBRARY "libc++"
#endif
inline constexpr char compiler_stamp[] = DATAFLOW_COMPILER_NAME ", " DATAFLOW_STANDARD_LIBRARY;

namespace detail {

/// Sizes and alignments of types, folded into one number (FNV-1a).
template <class... Types>
constexpr std::uint64_t layout_of() noexcept {
  std::uint64_t hash = 14695981039346656037ull;
  const auto mix = [&](std::uint64_t n) { hash = (hash ^ n) * 1099511628211ull; };
  (mix(sizeof(Types)), ...);
  (mix(alignof(Types)), ...);
  return hash;
}

/// Of the types whose inside both a job and the runtime reach into.
constexpr std::uint64_t shared_layout() noexcept {
  return layout_of<error, parameters, stream_graph, stream_node, stream_edge, source_factories, job_settings,
                   batch_base, batch_slice, element, source_split, poll_result, record_type, operator_context,
                   stream_operator>();
}

} // namespace detail

struct job_library_descriptor {
  char magic[8];         ///< "DATAFLOW"
  std::uint32_t size;    ///< of this struct
  std::uint32_t abi;     ///< abi_version
  const char* compiler;  ///< compiler_stamp
  const char* version;   ///< library_version
  std::uint64_t layout;  ///< shared_layout()
  const job_entry* jobs; ///< the first of the list, in no special order; null: none
};

/// The symbol that the runtime looks for, of type `const job_library_descriptor* ()`.
inline constexpr char job_library_symbol[] = "dataflow_job_library";
using job_library_function = const job_library_descriptor* (*)();

} // namespace dataflow
