/// What the configuration says about the log.
///
/// Threading: safe from any thread. Errors: invalid_option when log.levels cannot be read, naming the part.
#pragma once

#include <dataflow/util/log_settings.hpp>

#include <string>

namespace dataflow {

class configuration;

/// `node`: who this process is among others, said in every line; empty for a process that is alone.
log_settings log_settings_of(const configuration& config, std::string node = {});

} // namespace dataflow
