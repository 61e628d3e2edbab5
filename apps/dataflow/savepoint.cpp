// `dataflow savepoint`: what is done with savepoints without their job.
#include <dataflow/actors/client/restore_check.hpp>
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/util/platform.hpp>

#include <nlohmann/json.hpp>

#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/jobs.hpp>
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

int check_savepoint(const command_line& line) {
  const auto job = build_job(line);
  for (const auto& warning : job.warnings)
    system_platform().err->write("warning: " + warning + "\n");
  const auto found = check_restore_of(job.graph, line.config, system_platform());
  if (line.json) {
    auto operators = nlohmann::ordered_json::array();
    for (auto& r : found.operators)
      operators.push_back({{"uid", r.uid},
                           {"name", r.name},
                           {"state", to_string(r.what)},
                           {"stored_parallelism", r.stored_parallelism},
                           {"parallelism", r.parallelism}});
    const nlohmann::ordered_json j{
        {"type", "check"}, {"savepoint", uri_of(found.directory)}, {"job", job.name}, {"operators", operators}};
    system_platform().out->write(j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
    return exit_success;
  }
  std::string text = "Job '" + job.name + "' can start from " + std::string{to_string(found.metadata.kind)} + " " +
                     std::to_string(found.metadata.id) + " of job '" + found.metadata.job_name + "'.\n";
  for (auto& r : found.operators) {
    text += "  " + std::string{to_string(r.what)} + std::string(9 - to_string(r.what).size(), ' ') + r.uid + " (" +
            r.name + ")";
    if (r.stored_parallelism != 0 && r.parallelism != 0 && r.stored_parallelism != r.parallelism)
      text += ", parallelism " + std::to_string(r.stored_parallelism) + " -> " + std::to_string(r.parallelism);
    text += "\n";
  }
  system_platform().out->write(text);
  return exit_success;
}

} // namespace dataflow::cli
