/// Small files as a whole: configuration, parameters, what a job's function reads while it builds its graph.
///
/// Not for data: sources and sinks read in pieces.
/// Threading: safe from any thread.
#pragma once

#include <string>

namespace dataflow {

class file_system;

/// The bytes of a regular file, from the system's disk when no file system is given.
/// Errors: as file_system::open_read; record_too_large above 64 MiB.
std::string read_file_contents(const std::string& path, file_system* files = nullptr);

} // namespace dataflow
