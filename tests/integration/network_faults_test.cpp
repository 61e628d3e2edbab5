// Clusters of real processes whose connections pass through proxies that do what networks do.
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <memory>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>
#include <tests/integration/faulty_link.hpp>

using namespace dataflow;
using dataflow::test::cluster_processes;
using dataflow::test::faulty_link;
using dataflow::test::program;

namespace network_faults_test {

/// A job over two task managers of three, each of which reaches the job manager, and is reached by others, by a link
/// that we can spoil.
struct spoiled {
  struct member {
    std::unique_ptr<faulty_link> control, data;
    program* process = nullptr;
  };
  dataflow::test::scratch dir;
  std::int64_t records;
  std::unique_ptr<cluster_processes> cluster;
  std::vector<member> members;
  std::unique_ptr<program> run;

  spoiled(std::int64_t n, const std::string& rate)
      : records(n),
        cluster(std::make_unique<cluster_processes>(
            0, std::vector<std::string>{
                   "-Dheartbeat.interval=100ms", "-Dheartbeat.timeout=1s", "-Drestart-strategy.type=fixed-delay",
                   "-Drestart-strategy.fixed-delay.attempts=1000", "-Drestart-strategy.fixed-delay.delay=50ms"})) {
    const auto manager = static_cast<std::uint16_t>(std::stoi(cluster->port()));
    for (int i = 0; i < 3; ++i) {
      member m;
      const auto listens = system_network().listen(0)->port();
      m.control = std::make_unique<faulty_link>(manager);
      m.data = std::make_unique<faulty_link>(listens);
      m.process = &cluster->add_task_manager({"-Dtaskmanager.data.port=" + std::to_string(m.data->port()),
                                              "-Dtaskmanager.data.bind-port=" + std::to_string(listens)},
                                             "127.0.0.1:" + std::to_string(m.control->port()));
      members.push_back(std::move(m));
    }
    run = std::make_unique<program>(dataflow::test::dataflow_command(
        cluster->arguments("run", dataflow::test::counted_job(dir, records, rate, {"-p", "2"}))));
  }
  /// Of the two that the job began on.
  void wait_for(const std::string& words, int times = 1) {
    for (std::size_t i : {0, 1})
      REQUIRE_MESSAGE(members[i].process->wait_for_error(words, times), run->error_so_far());
  }
  void must_be_right(bool restarted) { dataflow::test::check_counted(*run, dir, records, restarted); }
};

} // namespace network_faults_test
using namespace network_faults_test;

TEST_CASE("delay, jitter, slow links and silence shorter than the timeout do not restart a job") {
  spoiled s{20'000, "5000"};
  s.wait_for("\n500 records in this run"); // it takes its time to fetch the job's library
  for (auto& m : s.members)
    for (auto* link : {m.control.get(), m.data.get()}) {
      link->delay(30, 30);
      link->rate(200'000);
    }
  s.wait_for("\n1000 records in this run");
  for (auto& m : s.members)
    for (auto* link : {m.control.get(), m.data.get()})
      link->hole(faulty_link::way::both, 400);
  s.wait_for("\n2500 records in this run");
  s.members[0].control->hole(faulty_link::way::there, 400);
  s.members[1].data->hole(faulty_link::way::back, 400);
  s.must_be_right(false);
}

TEST_CASE("a task manager whose way to the job manager is cut is given up, its job goes on, and it comes back") {
  for (const auto way : {faulty_link::way::both, faulty_link::way::there, faulty_link::way::back}) {
    spoiled s{15'000, "5000"};
    s.wait_for("\n500 records in this run");
    s.members[0].control->hole(way);
    // Both sides notice, whichever way it is that is cut.
    REQUIRE(s.members[0].process->wait_for_error("Not registered: "));
    REQUIRE(s.members[2].process->wait_for_error("\n500 records in this run"));
    s.members[0].control->no_hole();
    REQUIRE(s.members[0].process->wait_for_error("has registered with", 2));
    s.must_be_right(true);
  }
}

TEST_CASE("connections of a job that are reset, or silent for too long, are made anew: no result is lost or doubled") {
  spoiled s{20'000, "5000"};
  s.wait_for("\n500 records in this run");
  // Either task manager may have connected to the other.
  CHECK(s.members[0].data->reset() + s.members[1].data->reset() > 0);
  s.wait_for("\n500 records in this run", 2);
  for (auto& m : s.members)
    m.data->hole(faulty_link::way::both);
  s.wait_for(" broke: ", 2);
  for (auto& m : s.members)
    m.data->no_hole();
  s.wait_for("\n500 records in this run", 3);
  CHECK(s.members[0].control->reset() == 1);
  s.must_be_right(true);
}
