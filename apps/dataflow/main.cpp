// `dataflow`: runs, explains and creates jobs. See docs/command-line.md.
#include <dataflow/config/options.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>

#include <nlohmann/json.hpp>

#include <apps/dataflow/cluster_commands.hpp>
#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/jobs.hpp>
#include <apps/dataflow/local_cluster.hpp>
#include <apps/dataflow/new_project.hpp>
#include <apps/dataflow/try_job.hpp>

namespace dataflow::cli {

namespace {

void print(const std::string& text) { system_platform().out->write(text); }

int list_examples() {
  std::string text;
  const auto library = built_in_examples();
  for (const auto& job : library->jobs())
    text += job.name + std::string(job.name.size() < 20 ? 20 - job.name.size() : 1, ' ') +
            std::string{example_description(job.name)} + "\n";
  print(text + "\nRun one with `dataflow run <name>`; its source is in apps/examples/<name>.cpp.\n");
  return exit_success;
}

int list_options(const command_line& line) {
  print(line.markdown ? options_as_markdown() : line.yaml ? options_as_yaml() : configuration{}.describe());
  return exit_success;
}

int create_project(const command_line& line) {
  const auto written = write_new_project(*system_platform().files, line.name, line.directory);
  std::string text;
  for (const auto& path : written)
    text += "wrote " + path + "\n";
  const auto where = parent_directory(written.front());
  print(text + "\nBuild and run it:\n  cmake -S " + where + " -B " + where + "/build && cmake --build " + where +
        "/build\n  dataflow run " + where + "/build/lib" + line.name + ".so --input " + where + "/README.md\n");
  return exit_success;
}

int dispatch(const command_line& line) {
  switch (line.verb) {
  case verb::run:
    return run(line);
  case verb::run_application:
    return run_application(line);
  case verb::info:
    return info(line);
  case verb::simulate:
    return simulate(line);
  case verb::examples:
    return list_examples();
  case verb::options:
    return list_options(line);
  case verb::create:
    return create_project(line);
  case verb::state:
    return show_state(line);
  case verb::dispose:
    return dispose(line);
  case verb::doctor:
    return doctor(line);
  case verb::check_savepoint:
    return check_savepoint(line);
  case verb::jobmanager:
    return run_job_manager(line);
  case verb::taskmanager:
    return run_task_manager(line);
  case verb::list:
    return list_jobs(line);
  case verb::cancel:
    return cancel_job(line);
  case verb::stop:
    return stop_job(line);
  case verb::savepoint:
    return take_savepoint(line);
  case verb::checkpoint:
    return take_checkpoint(line);
  case verb::upgrade:
    return upgrade_job(line);
  case verb::cluster_start:
    return start_cluster(line);
  case verb::cluster_stop:
    return stop_cluster(line);
  case verb::try_job:
    return try_job(line.library);
  case verb::version:
    print(std::string{"dataflow "} + library_version + " (" + compiler_stamp + ", ABI " + std::to_string(abi_version) +
          ")\n");
    return exit_success;
  case verb::help:
    print(line.help);
    return exit_success;
  }
  return exit_internal;
}

} // namespace

void report_error(const error& e, bool json) {
  auto& world = system_platform();
  if (json) {
    const nlohmann::ordered_json j{
        {"type", "error"}, {"code", to_string(e.code())}, {"cause", e.cause()}, {"advice", e.advice()}};
    world.out->write(j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
    return;
  }
  auto text = "error: " + std::string{to_string(e.code())} + ": " + e.cause() + "\n";
  if (!e.advice().empty()) text += "  " + e.advice() + "\n";
  world.err->write(text);
}

} // namespace dataflow::cli

int main(int argc, char** argv) {
  using namespace dataflow;
  bool json = false;
  try {
    const auto line = cli::parse_command_line({argv + 1, argv + argc});
    json = line.json;
    return cli::dispatch(line);
  } catch (const error& e) {
    cli::report_error(e, json);
    return cli::exit_code_of(e);
  } catch (...) {
    const auto e = current_error(errc::internal);
    cli::report_error(e, json);
    return cli::exit_internal;
  }
}
