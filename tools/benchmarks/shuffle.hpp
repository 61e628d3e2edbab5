/// The other process of the shuffle's figures. For main.cpp.
#pragma once

#include <string>

namespace bench {

/// `how`: what the process that started this one wants of it. Returns the exit code.
int shuffle_peer(const std::string& how);

} // namespace bench
