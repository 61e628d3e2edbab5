/// The rows of the table of options that have source files of their own. For options.cpp.
#pragma once

#include <dataflow/config/options.hpp>

#include <vector>

namespace dataflow {

/// log_options.cpp
std::vector<option> log_option_rows();

} // namespace dataflow
