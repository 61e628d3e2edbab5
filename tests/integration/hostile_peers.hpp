/// Those who connect to a port of a cluster and do not keep to its protocol.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dataflow::test {

/// A connection to a port of this machine, of somebody who says what he likes.
class hostile_peer {
public:
  explicit hostile_peer(std::uint16_t port);
  ~hostile_peer();
  hostile_peer(hostile_peer&& other) noexcept;
  /// As much of it as the other side takes.
  void say(const std::string& bytes);
  /// Waits until the other side has closed the connection.
  void wait_for_end();
  /// Whether it does so in this time.
  bool ends_within(std::chrono::milliseconds time);

private:
  int fd_ = -1;
};

/// A header of CAF's wire protocol.
std::string basp_bytes(std::uint8_t operation, std::uint32_t payload);

/// What is said to a port before anybody else is heard: each by a peer of its own.
std::vector<std::string> hostile_words();

/// The most memory that a process has had, in MiB.
std::uint64_t peak_memory(pid_t process);

} // namespace dataflow::test
