#include <dataflow/operations/doctor.hpp>
#include <dataflow/util/platform.hpp>
#include <dataflow/util/version.hpp>

#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>

namespace dataflow::cli {

int doctor(const command_line& line) {
  auto& world = system_platform();
  const auto findings =
      examine_node(line.config, world, system_probe(), {.nodes = line.reach, .program_version = library_version});
  world.out->write(line.json ? findings_as_json(findings) : findings_as_text(findings));
  return worst(findings) == health::fail ? exit_unhealthy : exit_success;
}

} // namespace dataflow::cli
