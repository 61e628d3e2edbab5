/// The checks of doctor.hpp, one function each. For doctor.cpp.
#pragma once

#include <dataflow/operations/doctor.hpp>

namespace dataflow::doctor_checks {

using findings = std::vector<finding>;

void ports(const configuration& config, const platform& world, findings& out);
void open_files(const node_probe& probe, findings& out);
void directories(const configuration& config, const platform& world, const node_probe& probe, findings& out);
void clocks(const platform& world, findings& out);
void versions(const node_probe& probe, const doctor_request& request, findings& out);
void nodes(const configuration& config, const platform& world, const doctor_request& request, findings& out);
void certificates(const configuration& config, const platform& world, findings& out);
void log(const configuration& config, findings& out);

} // namespace dataflow::doctor_checks
