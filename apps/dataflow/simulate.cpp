#include <dataflow/actors/simulation/simulate_nodes.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>

#include <algorithm>
#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/jobs.hpp>
#include <cctype>
#include <set>
#include <string_view>

namespace dataflow::cli {

namespace {

/// Where the cluster has its own files on the simulated disk.
constexpr std::string_view own_places[] = {"/high-availability/", "/checkpoints/", "/tmp/"};

/// The lines of all files that readers see (no part of their paths begins with '.'), but what was copied there, sorted:
/// which of several subtasks wrote a line, and into which file, is nobody's business.
std::string written_lines(memory_file_system& disk, const std::map<std::string, std::string>& copied) {
  std::multiset<std::string> lines;
  for (const auto& path : disk.paths()) {
    const bool own = std::any_of(std::begin(own_places), std::end(own_places),
                                 [&](std::string_view place) { return path.starts_with(place); });
    if (own || path.starts_with(".") || path.find("/.") != std::string::npos || copied.contains(path)) continue;
    const auto text = disk.read_file(path);
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      lines.insert(text.substr(at, end - at));
      at = end + 1;
    }
  }
  std::string all;
  for (auto& line : lines)
    all += line + "\n";
  return all;
}

/// As a shell takes it for one word.
std::string word(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view{"-_./:=,+@%"}.find(c) != std::string::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string quoted = "'";
  for (const char c : text)
    quoted += c == '\'' ? "'\\''" : std::string{c};
  return quoted + "'";
}

std::string command_of(const command_line& line, std::uint64_t seed) {
  auto text = "dataflow simulate " + word(line.job);
  if (!line.entry.empty()) text += " --job " + word(line.entry);
  if (!line.config_file.empty()) text += " --config " + word(line.config_file);
  text += " --nodes " + std::to_string(line.simulate.nodes) + " --jobmanagers " +
          std::to_string(line.simulate.job_managers) + " --faults " + std::to_string(line.simulate.faults) +
          " --seeds 1 --first-seed " + std::to_string(seed);
  for (const auto& path : line.simulate.copies)
    text += " --copy " + word(path);
  for (const auto& [key, e] : line.config.values())
    if (e.layer == config_layer::command_line) text += " " + word("-D" + key + "=" + e.value);
  for (const auto& argument : line.job_arguments)
    text += " " + word(argument);
  return text;
}

} // namespace

int simulate(const command_line& line) {
  auto& world = system_platform();
  const auto job = build_job(line);
  for (const auto& warning : job.warnings)
    world.err->write("warning: " + warning + "\n");

  simulate_nodes_options o;
  o.jobs = job.library;
  o.job = job.library->find(job.library->path().empty() ? line.job : line.entry).name;
  o.arguments = line.job_arguments;
  o.nodes.settings = line.config;
  o.nodes.task_managers = line.simulate.nodes;
  o.nodes.job_managers = line.simulate.job_managers;
  o.seeds = line.simulate.seeds;
  o.first_seed = line.simulate.first_seed;
  o.faults = line.simulate.faults;
  const auto preset = [&](const char* key, const std::string& value) {
    if (!o.nodes.settings.is_set(key)) o.nodes.settings.set(key, value);
  };
  preset("restart-strategy.type", "fixed-delay");
  preset("restart-strategy.fixed-delay.attempts", "1000000");
  preset("restart-strategy.fixed-delay.delay", "100 ms");
  const auto parallelism =
      static_cast<std::uint64_t>(std::max<std::int64_t>(1, line.config.integer("parallelism.default")));
  preset("taskmanager.numberOfTaskSlots",
         std::to_string((parallelism + line.simulate.nodes - 1) / line.simulate.nodes));
  for (const auto& path : line.simulate.copies)
    for (const auto& file : find_files(*world.files, path))
      o.files.emplace(file.path, world.files->read_file(file.path));
  o.outcome = [&](simulated_nodes& cluster, const job_result&) { return written_lines(cluster.files(), o.files); };

  const auto report = simulate_nodes(o);
  if (!report.expected.failure && report.expected.outcome.empty())
    world.err->write("warning: the job has written no file: there is nothing to compare\n");
  if (report.exactly_once()) {
    std::uint64_t restarts = 0, steps = 0;
    for (const auto& run : report.runs) {
      restarts += run.restarts;
      steps += run.steps;
    }
    world.out->write(report.describe() + " (" + std::to_string(restarts) + " restarts, " + std::to_string(steps) +
                     " steps).\n");
    return exit_success;
  }
  auto text = report.describe();
  if (const auto* run = report.first_difference()) text += "\nReplay it: " + command_of(line, run->seed);
  world.out->write(text + "\n");
  return exit_job_failed;
}

} // namespace dataflow::cli
