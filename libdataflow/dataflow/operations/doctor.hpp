/// Looks at a node before it joins a cluster, or when something is wrong with it: ports, limits, disk, clock, versions,
/// other nodes.
///
/// Threading: examine_node() blocks on disk and network, up to the time-out for every node that does not answer. It
/// writes small files into the directories that the configuration names, and removes them.
/// Errors: none; whatever goes wrong is a finding.
#pragma once

#include <dataflow/operations/node_probe.hpp>
#include <dataflow/util/clock.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

class configuration;
struct platform;

enum class health : std::uint8_t {
  ok,
  warn, ///< it works, and may not be what was meant
  fail, ///< it will not work
};
std::string_view to_string(health h) noexcept;

struct finding {
  health result = health::ok;
  std::string check;   ///< "port", "open files", "directory", "clock", "version", "node", "certificate", "log"
  std::string subject; ///< what was looked at; with check: unique
  std::string text;    ///< what was found
  std::string advice;  ///< what to do next; empty when it is ok
};

struct doctor_request {
  std::vector<std::string> nodes; ///< "host:port" that should answer, besides those that the configuration names
  std::string program_version;    ///< of whoever asks; must be the engine's
  std::chrono::milliseconds connect_timeout{2000};
};

/// In the order of the checks.
std::vector<finding> examine_node(const configuration& config, const platform& world, const node_probe& probe,
                                  const doctor_request& request);

/// The worst of them.
health worst(const std::vector<finding>& findings) noexcept;
/// A line each, the advice on a line of its own, and a line that counts.
std::string findings_as_text(const std::vector<finding>& findings);
/// One JSON object per line: check, subject, result, text, advice.
std::string findings_as_json(const std::vector<finding>& findings);

} // namespace dataflow
