// A cluster on two and three hosts (network namespaces), with mutual TLS as it must be there, and what networks between
// hosts do: one way or both are cut without a word, slow links.
#include <doctest/doctest.h>

#include <memory>
#include <tests/integration/counted_files.hpp>
#include <tests/integration/hosts.hpp>
#include <tests/integration/program.hpp>
#include <tests/support/tree_paths.hpp>

using dataflow::test::hosts;
using dataflow::test::program;

namespace several_hosts_test {

constexpr std::int64_t records = 20'000;

bool skipped() {
  const auto why = hosts::missing();
  if (why.empty()) return false;
  MESSAGE("SKIPPED: no network namespaces can be made here: ", why);
  return true;
}

/// The job manager on host 0, task managers where it is said.
struct spread_cluster {
  hosts net;
  dataflow::test::scratch dir;
  std::unique_ptr<program> job_manager;
  std::string address;
  std::vector<std::unique_ptr<program>> task_managers;
  std::unique_ptr<program> run;

  spread_cluster(int count, const std::vector<int>& where) : net(count) {
    const auto made =
        program{{dataflow::test::source_path("tools/make-certificates"), dir.path("certs"), "node"}}.wait();
    REQUIRE_MESSAGE(made.code == 0, made.err);
    job_manager = start(0, {"jobmanager", "-Djobmanager.rpc.port=6123", "-Djobmanager.bind-host=" + hosts::address(0)});
    REQUIRE_MESSAGE(job_manager->wait_for_error("The job manager listens on " + hosts::address(0)),
                    job_manager->error_so_far());
    for (const int host : where) {
      task_managers.push_back(
          start(host, {"taskmanager", "-m", hosts::address(0) + ":6123", "-Dtaskmanager.host=" + hosts::address(host),
                       "-Dtaskmanager.bind-host=" + hosts::address(host)}));
      REQUIRE_MESSAGE(task_managers.back()->wait_for_error("has registered with"),
                      task_managers.back()->error_so_far());
    }
    run = start(
        0, dataflow::test::counted_job(dir, records, "5000", {"run", "-m", hosts::address(0) + ":6123", "-p", "2"}));
  }
  std::unique_ptr<program> start(int host, std::vector<std::string> command) {
    const auto certs = dir.path("certs");
    command.insert(
        command.begin() + 1,
        {"-Dsecurity.ssl.internal.enabled=true", "-Dsecurity.ssl.internal.certificate=" + certs + "/node.pem",
         "-Dsecurity.ssl.internal.key=" + certs + "/node.key",
         "-Dsecurity.ssl.internal.authority=" + certs + "/authority.pem", "-Dheartbeat.interval=100ms",
         "-Dheartbeat.timeout=1s", "-Dtaskmanager.network.connect-timeout=2s", "-Drestart-strategy.type=fixed-delay",
         "-Drestart-strategy.fixed-delay.attempts=1000", "-Drestart-strategy.fixed-delay.delay=50ms"});
    return std::make_unique<program>(net.on(host, dataflow::test::dataflow_command(command)));
  }
  void wait_for(std::size_t task_manager, const std::string& words, int times = 1) {
    REQUIRE_MESSAGE(task_managers[task_manager]->wait_for_error(words, times), run->error_so_far());
  }
  void must_be_right(bool restarted) { dataflow::test::check_counted(*run, dir, records, restarted); }
};

} // namespace several_hosts_test
using namespace several_hosts_test;

TEST_CASE("two hosts: one way between them is cut, then the other, and the job goes on when it is healed") {
  if (skipped()) return;
  spread_cluster c{2, {0, 1}};
  for (const int from : {1, 0}) {
    const int round = from == 1 ? 1 : 2;
    c.wait_for(0, "\n500 records in this run", round);
    c.net.cut(from, 1 - from);
    c.wait_for(1, "Not registered: ", round);
    c.net.heal(from);
    c.wait_for(1, "has registered with", 1 + round);
  }
  c.must_be_right(true);
}

TEST_CASE("three hosts: two task managers lose each other, and the job goes on when they have found each other again") {
  if (skipped()) return;
  spread_cluster c{3, {1, 2}};
  c.wait_for(0, "\n500 records in this run");
  c.net.cut(1, 2);
  c.net.cut(2, 1);
  c.wait_for(0, " broke: ");
  c.wait_for(1, " broke: ");
  c.net.heal(1);
  c.net.heal(2);
  c.wait_for(0, "\n500 records in this run", 2);
  c.must_be_right(true);
}

TEST_CASE("three hosts with slow links between them run a job without a restart") {
  if (skipped()) return;
  spread_cluster c{3, {1, 2}};
  c.wait_for(0, "\n500 records in this run"); // it takes its time to fetch the job's library
  for (int host = 0; host < 3; ++host)
    c.net.rate(host, "4mbit");
  c.must_be_right(false);
}
