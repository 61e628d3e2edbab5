#include <dataflow/graph/plan_printer.hpp>
#include <dataflow/util/platform.hpp>

#include <algorithm>
#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/jobs.hpp>

namespace dataflow::cli {

int info(const command_line& line) {
  const auto job = build_job(line);
  auto& world = system_platform();
  auto config = line.config;
  config.set_all(job.graph->settings.configuration);

  graph_defaults defaults;
  defaults.parallelism = static_cast<std::uint32_t>(config.integer("parallelism.default"));
  if (const auto max = config.integer("pipeline.max-parallelism"); max > 0)
    defaults.max_parallelism = static_cast<std::uint32_t>(max);
  defaults.chaining_enabled = config.boolean("pipeline.operator-chaining.enabled");
  const auto graph = std::make_shared<const job_graph>(make_job_graph(job.graph, defaults));

  // Without a number, one task manager has as many slots as the job needs.
  auto slots = static_cast<std::uint32_t>(std::max<std::int64_t>(0, config.integer("taskmanager.numberOfTaskSlots")));
  if (slots == 0)
    slots = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(execution_plan{graph, 1}.slots().size()));
  const execution_plan plan{graph, slots};

  for (const auto& warning : job.warnings)
    world.err->write("warning: " + warning + "\n");
  if (line.format == info_format::text)
    for (const auto& warning : graph->warnings)
      world.err->write("warning: " + warning + "\n");
  auto text = line.format == info_format::json  ? plan_as_json(plan)
              : line.format == info_format::dot ? plan_as_dot(plan)
                                                : plan_as_text(plan);
  if (!text.ends_with("\n")) text += "\n";
  world.out->write(text);
  return exit_success;
}

} // namespace dataflow::cli
