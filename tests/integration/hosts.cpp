#include <dataflow/util/file_system.hpp>

#include <stdexcept>
#include <tests/integration/hosts.hpp>
#include <tests/integration/program.hpp>
#include <unistd.h>

namespace dataflow::test {

namespace {

const char* const ip = "/usr/sbin/ip";

std::string tried(std::vector<std::string> command) {
  std::string text;
  for (const auto& word : command)
    text += word + " ";
  const auto done = program{command}.wait();
  return done.code == 0 ? std::string{} : text + "says: " + done.err;
}

void must(std::vector<std::string> command) {
  if (const auto failure = tried(std::move(command)); !failure.empty()) throw std::runtime_error{failure};
}

std::vector<std::string> inside(const std::string& name, std::vector<std::string> command) {
  command.insert(command.begin(), {ip, "netns", "exec", name});
  return command;
}

} // namespace

std::string hosts::missing() {
  for (const char* tool : {ip, "/usr/sbin/nft", "/usr/sbin/tc"})
    if (!system_files().exists(tool)) return std::string{"there is no "} + tool;
  try {
    hosts one{1};
    one.cut(0, 0);
    one.rate(0, "10mbit");
    return {};
  } catch (const std::exception& e) {
    return e.what();
  }
}

hosts::hosts(int count) : prefix_("dft-" + std::to_string(::getpid()) + "-") {
  must({ip, "netns", "add", hub()});
  try {
    must(inside(hub(), {ip, "link", "add", "switch", "type", "bridge"}));
    must(inside(hub(), {ip, "link", "set", "switch", "up"}));
    for (; count_ < count; ++count_) {
      const auto port = "port" + std::to_string(count_);
      must({ip, "netns", "add", name(count_)});
      must(inside(hub(), {ip, "link", "add", port, "type", "veth", "peer", "name", "net", "netns", name(count_)}));
      must(inside(hub(), {ip, "link", "set", port, "master", "switch", "up"}));
      must(inside(name(count_), {ip, "address", "add", address(count_) + "/24", "dev", "net"}));
      must(inside(name(count_), {ip, "link", "set", "net", "up"}));
      must(inside(name(count_), {ip, "link", "set", "lo", "up"}));
      must(inside(name(count_), {"/usr/sbin/nft", "add", "table", "ip", "faults"}));
      must(inside(name(count_), {"/usr/sbin/nft", "add", "chain", "ip", "faults", "out",
                                 "{ type filter hook output priority 0 ; }"}));
    }
  } catch (...) {
    ++count_;
    for (int i = 0; i < count_; ++i)
      (void)tried({ip, "netns", "del", name(i)});
    (void)tried({ip, "netns", "del", hub()});
    throw;
  }
}

hosts::~hosts() {
  for (int i = 0; i < count_; ++i)
    (void)tried({ip, "netns", "del", name(i)});
  (void)tried({ip, "netns", "del", hub()});
}

std::vector<std::string> hosts::on(int host, std::vector<std::string> command) const {
  return inside(name(host), std::move(command));
}

void hosts::cut(int from, int to) {
  must(inside(name(from), {"/usr/sbin/nft", "add", "rule", "ip", "faults", "out", "ip", "daddr", address(to), "drop"}));
}

void hosts::heal(int from) { must(inside(name(from), {"/usr/sbin/nft", "flush", "chain", "ip", "faults", "out"})); }

void hosts::rate(int host, const std::string& most) {
  must(inside(name(host), {"/usr/sbin/tc", "qdisc", "replace", "dev", "net", "root", "tbf", "rate", most, "burst",
                           "64kbit", "latency", "400ms"}));
}

} // namespace dataflow::test
