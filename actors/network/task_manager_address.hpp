/// Which task manager, and where it listens for the data of others.
#pragma once

#include <cstdint>
#include <string>

namespace dataflow::actors {

struct task_manager_address {
  /// 32 hexadecimal digits, random, new with each registration; empty in embedded clusters, whose tasks reach each
  /// other directly.
  std::string id;
  std::string host; ///< name or address
  std::uint16_t data_port = 0;
  bool operator==(const task_manager_address&) const = default;
};

} // namespace dataflow::actors
