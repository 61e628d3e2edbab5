/// Where a process of the cluster listens.
///
/// Threading: a value.
#pragma once

#include <cstdint>
#include <string>

namespace dataflow::actors {

struct remote_address {
  std::string host = "localhost";
  std::uint16_t port = 6123;
  /// "host:port". Errors: invalid_option.
  static remote_address parse(const std::string& text);
  std::string to_string() const { return host + ":" + std::to_string(port); }
};

} // namespace dataflow::actors
