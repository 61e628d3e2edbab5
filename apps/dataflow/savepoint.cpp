// `dataflow savepoint`: what is done with savepoints without their job.
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/util/platform.hpp>

#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <filesystem>

namespace dataflow::cli {

std::string uri_of(const std::string& path) {
  return "file:" + std::filesystem::absolute(path).lexically_normal().string();
}

int dispose(const command_line& line) {
  auto& out = *system_platform().out;
  out.write("Disposing savepoint '" + line.savepoint + "'.\n");
  dispose_savepoint(*system_platform().files, line.savepoint);
  out.write("Savepoint '" + line.savepoint + "' disposed.\n");
  return exit_success;
}

} // namespace dataflow::cli
