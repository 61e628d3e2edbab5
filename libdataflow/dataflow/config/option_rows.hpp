/// The rows of the table of options that have source files of their own. For options.cpp.
#pragma once

#include <dataflow/config/options.hpp>

#include <vector>

namespace dataflow {

/// high_availability_options.cpp
std::vector<option> high_availability_option_rows();
/// log_options.cpp
std::vector<option> log_option_rows();
/// cluster_options.cpp
std::vector<option> cluster_option_rows();
/// network_options.cpp
std::vector<option> network_option_rows();
/// resource_options.cpp
std::vector<option> resource_option_rows();

} // namespace dataflow
