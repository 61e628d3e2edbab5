/// A real ZooKeeper server on a free port of this machine.
#pragma once

#include <dataflow/high_availability/zookeeper_client.hpp>
#include <dataflow/util/network.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <tests/integration/program.hpp>
#include <vector>

namespace dataflow::test {

class zookeeper_server {
public:
  zookeeper_server() : port_(system_network().listen(0)->port()) {
    config_ = dir_.file("zoo.cfg", "tickTime=100\ndataDir=" + dir_.path("data") +
                                       "\nclientPortAddress=127.0.0.1\nclientPort=" + std::to_string(port_) +
                                       "\nadmin.enableServer=false\n");
    start();
  }
  void start() {
    process_ = std::make_unique<program>(std::vector<std::string>{
        "/usr/bin/java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", "/usr/share/java/zookeeper.jar",
        "org.apache.zookeeper.server.ZooKeeperServerMain", config_});
  }
  void kill() { process_.reset(); }
  void signal(int number) { process_->signal(number); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  zookeeper_client::settings settings() const {
    return {address(), std::chrono::seconds{2}, std::chrono::seconds{20}}; // twenty ticks, the longest session
  }
  std::shared_ptr<zookeeper_client> client() const { return std::make_shared<zookeeper_client>(settings()); }

private:
  scratch dir_;
  const std::uint16_t port_;
  std::string config_;
  std::unique_ptr<program> process_;
};

} // namespace dataflow::test
