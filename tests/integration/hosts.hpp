/// Several hosts on this machine: network namespaces on one switch, each with an address of its own.
///
/// Needs root, ip (iproute2), nft and tc. Threading: one thread. Ownership: the namespaces are removed with it, and the
/// processes in them must have ended before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dataflow::test {

class hosts {
public:
  /// Why there can be none here; empty: there can.
  static std::string missing();

  explicit hosts(int count);
  ~hosts();
  hosts(const hosts&) = delete;

  static std::string address(int host) { return "10.77.0." + std::to_string(host + 1); }
  /// A command that runs there.
  std::vector<std::string> on(int host, std::vector<std::string> command) const;
  /// What `from` sends to `to` is dropped, from now on. The other way is open.
  void cut(int from, int to);
  /// All ways are open.
  void heal(int from);
  /// What it sends is bounded: "10mbit".
  void rate(int host, const std::string& most);

private:
  std::string name(int host) const { return prefix_ + std::to_string(host); }
  std::string hub() const { return prefix_ + "hub"; }
  std::string prefix_;
  int count_ = 0;
};

} // namespace dataflow::test
