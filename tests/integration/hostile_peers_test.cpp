// A cluster of real processes, and peers on its ports that mean no good: it must not even notice.
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>
#include <tests/integration/hostile_peers.hpp>
#include <tests/support/effort.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using dataflow::test::cluster_processes;
using dataflow::test::hostile_peer;
using namespace std::chrono_literals;

namespace hostile_peers_test {

constexpr std::int64_t records = 40'000;
// MiB; a cluster's process of this job has a quarter of it.
constexpr std::uint64_t much_memory = dataflow::test::sanitized ? 1024 : 256;

int times(const std::string& text, const std::string& what) {
  int n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++n;
  return n;
}

struct besieged {
  dataflow::test::scratch dir;
  std::vector<std::uint16_t> ports; // of the job manager, and of the data of both task managers
  std::unique_ptr<cluster_processes> cluster;
  std::unique_ptr<dataflow::test::program> run;

  explicit besieged(const std::vector<std::string>& settings = {}) {
    cluster = std::make_unique<cluster_processes>(0, settings);
    ports.push_back(static_cast<std::uint16_t>(std::stoi(cluster->port())));
    for (int i = 0; i < 2; ++i) {
      const auto port = system_network().listen(0)->port();
      cluster->add_task_manager({"-Dtaskmanager.data.port=" + std::to_string(port)});
      ports.push_back(port);
    }
    auto flags = settings;
    flags.insert(flags.end(), {"-p", "2"});
    run = std::make_unique<dataflow::test::program>(dataflow::test::dataflow_command(
        cluster->arguments("run", dataflow::test::counted_job(dir, records, "10000", flags))));
    for (auto& t : cluster->task_managers)
      REQUIRE_MESSAGE(t->wait_for_error("500 records in this run"), run->error_so_far());
  }
  void speak_and_wait(const std::vector<std::string>& words) {
    for (const auto port : ports)
      for (const auto& w : words) {
        hostile_peer peer{port};
        peer.say(w);
        peer.wait_for_end();
      }
  }
  void must_not_have_noticed() {
    dataflow::test::check_counted(*run, dir, records, false);
    for (auto* p : {cluster->job_manager.get(), cluster->task_managers[0].get(), cluster->task_managers[1].get()}) {
      CHECK(dataflow::test::peak_memory(p->pid()) < much_memory);
      p->signal(SIGTERM);
      const auto ended = p->wait();
      CHECK_MESSAGE(ended.code == 0, ended.err);
      CHECK_MESSAGE(times(ended.err, "is refused: ") == 1, ended.err);
      CHECK(ended.err.find("the peer 127.0.0.1:") != std::string::npos);
    }
  }
};

} // namespace hostile_peers_test
using namespace hostile_peers_test;

TEST_CASE("peers that send garbage, huge headers or nothing at all do not disturb a cluster, and are named once") {
  besieged b;
  b.speak_and_wait(dataflow::test::hostile_words());
  // A flood of those who say nothing, or too little, and stay.
  std::vector<hostile_peer> crowd;
  for (const auto port : b.ports)
    for (int i = 0; i < 300; ++i) {
      crowd.emplace_back(port);
      if (i % 2 == 0) crowd.back().say(std::string(1 + i % 31, '\x01'));
    }
  CHECK(b.cluster->client("list").out.find("(RUNNING)") != std::string::npos); // there is room for others
  b.must_not_have_noticed();
}

TEST_CASE("those who say nothing go when they are too many, or their time is over, and leave room for all who come") {
  const cluster_processes cluster{0};
  const auto port = static_cast<std::uint16_t>(std::stoi(cluster.port()));
  std::vector<hostile_peer> crowd;
  for (int i = 0; i < 100; ++i) // a port bears 64
    crowd.emplace_back(port);
  CHECK(crowd.front().ends_within(20s));
  CHECK_FALSE(crowd.back().ends_within(0s));
  crowd.clear();
  for (int i = 0; i < 4200; ++i) // more than may be connected at a time: they are forgotten as they go
    hostile_peer{port};
  const auto list = cluster.client("list");
  CHECK_MESSAGE(list.code == 0, list.err);
  // One that takes its time goes when others come.
  hostile_peer slow{port};
  slow.say("x");
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    const hostile_peer other{port};
    gone = slow.ends_within(100ms);
  }
  CHECK(gone);
}

TEST_CASE("a cluster with mutual TLS runs a job, and peers without a certificate of its authority do not disturb it") {
  const dataflow::test::scratch certs;
  const auto settings_of = [&](const std::string& where) {
    const auto directory = certs.path(where);
    const auto made =
        dataflow::test::program{{dataflow::test::source_path("tools/make-certificates"), directory, "node"}}.wait();
    REQUIRE_MESSAGE(made.code == 0, made.err);
    return std::vector<std::string>{"-Dsecurity.ssl.internal.enabled=true",
                                    "-Dsecurity.ssl.internal.certificate=" + directory + "/node.pem",
                                    "-Dsecurity.ssl.internal.key=" + directory + "/node.key",
                                    "-Dsecurity.ssl.internal.authority=" + directory + "/authority.pem"};
  };
  const auto ours = settings_of("ours");
  besieged b{ours};
  // In the name of another authority, and without TLS.
  std::vector<std::vector<std::string>> strangers{settings_of("theirs"), {}};
  for (const auto& settings : strangers)
    for (const auto port : b.ports) {
      std::vector<std::string> command{"list", "-m", "127.0.0.1:" + std::to_string(port)};
      command.insert(command.end(), settings.begin(), settings.end());
      const auto refused = dataflow::test::dataflow(command);
      CHECK(refused.code == 3);
      CHECK_MESSAGE(refused.err.find("no job manager can be reached at") != std::string::npos, refused.err);
    }
  b.speak_and_wait(dataflow::test::hostile_words());
  std::vector<hostile_peer> crowd;
  for (const auto port : b.ports)
    for (int i = 0; i < 200; ++i)
      crowd.emplace_back(port);
  b.must_not_have_noticed();
}

TEST_CASE("a job manager that is to be reached from other machines does not start without TLS") {
  const auto refused = dataflow::test::dataflow({"jobmanager", "-Djobmanager.bind-host=0.0.0.0"});
  CHECK(refused.code != 0);
  CHECK_MESSAGE(refused.err.find("jobmanager.bind-host is 0.0.0.0: without TLS") != std::string::npos, refused.err);
  const auto missing = dataflow::test::dataflow(
      {"jobmanager", "-Dsecurity.ssl.internal.enabled=true", "-Dsecurity.ssl.internal.certificate=/nowhere.pem",
       "-Dsecurity.ssl.internal.key=/nowhere.key", "-Dsecurity.ssl.internal.authority=/nowhere.pem"});
  CHECK(missing.code != 0);
  CHECK(missing.err.find("/nowhere.pem") != std::string::npos);
}
