#include <dataflow/operations/doctor_checks.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dataflow {

std::string_view to_string(health h) noexcept {
  switch (h) {
  case health::ok:
    return "ok";
  case health::warn:
    return "warn";
  case health::fail:
    break;
  }
  return "fail";
}

std::vector<finding> examine_node(const configuration& config, const platform& world, const node_probe& probe,
                                  const doctor_request& request) {
  std::vector<finding> out;
  doctor_checks::versions(probe, request, out);
  doctor_checks::clocks(world, out);
  doctor_checks::open_files(probe, out);
  doctor_checks::directories(config, world, probe, out);
  doctor_checks::log(config, out);
  doctor_checks::ports(config, world, out);
  doctor_checks::certificates(config, world, out);
  doctor_checks::nodes(config, world, request, out);
  return out;
}

health worst(const std::vector<finding>& findings) noexcept {
  auto out = health::ok;
  for (const auto& f : findings)
    out = std::max(out, f.result);
  return out;
}

std::string findings_as_text(const std::vector<finding>& findings) {
  std::string out;
  std::size_t width = 0, counts[3] = {};
  for (const auto& f : findings)
    width = std::max(width, f.check.size());
  for (const auto& f : findings) {
    ++counts[static_cast<std::size_t>(f.result)];
    const auto pad = [](std::string text, std::size_t size) { return text.append(size - text.size() + 2, ' '); };
    out += pad(std::string{to_string(f.result)}, 4) + pad(f.check, width) + f.subject + ": " + f.text + "\n";
    if (!f.advice.empty()) out += std::string(4 + 2 + width + 2, ' ') + "-> " + f.advice + "\n";
  }
  return out + std::to_string(counts[0]) + " ok, " + std::to_string(counts[1]) + " warn, " + std::to_string(counts[2]) +
         " fail\n";
}

std::string findings_as_json(const std::vector<finding>& findings) {
  std::string out;
  for (const auto& f : findings) {
    const nlohmann::ordered_json j{{"check", f.check},
                                   {"subject", f.subject},
                                   {"result", to_string(f.result)},
                                   {"text", f.text},
                                   {"advice", f.advice}};
    out += j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  return out;
}

} // namespace dataflow
