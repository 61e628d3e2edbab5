#include <dataflow/config/configuration.hpp>
#include <dataflow/config/options.hpp>
#include <dataflow/operations/doctor.hpp>
#include <dataflow/util/faulty_file_system.hpp>
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>
#include <tests/support/temporary_directory.hpp>
#include <tests/support/test_platform.hpp>

using namespace dataflow;
using namespace std::chrono_literals;

namespace doctor_test {

class fake_probe final : public node_probe {
public:
  limit open_files() const override { return files; }
  std::optional<space> disk_space(const std::string&) const override { return disk; }
  std::vector<std::pair<std::string, std::string>> versions() const override { return {{"dataflow", "1.2.3"}}; }
  std::string engine_version() const override { return "1.2.3"; }

  limit files{65536, 65536};
  space disk{100ull << 30, 200ull << 30};
};

struct node {
  node() {
    world.time.advance_to(std::chrono::milliseconds{1'800'000'000'000});
    config.set("io.tmp.dirs", "/tmp/d");
  }
  std::vector<finding> examine(std::vector<std::string> nodes = {}, std::string version = "1.2.3") {
    return examine_node(config, world, probe, {std::move(nodes), std::move(version), 1ms});
  }
  test::test_platform world;
  configuration config;
  fake_probe probe;
};

/// The one about that subject.
finding about(const std::vector<finding>& findings, std::string_view check, std::string_view subject) {
  const auto found =
      std::find_if(findings.begin(), findings.end(), [&](auto& f) { return f.check == check && f.subject == subject; });
  REQUIRE(found != findings.end());
  return *found;
}

} // namespace doctor_test
using namespace doctor_test;

TEST_CASE("the doctor finds a good node good, and leaves nothing behind") {
  node n;
  const auto listener = n.world.net.listen(6999);
  const auto findings = n.examine({"other:6999"});
  CHECK_MESSAGE(worst(findings) == health::ok, findings_as_text(findings));
  CHECK(about(findings, "node", "other:6999").text == "answers");
  CHECK(about(findings, "directory", "io.tmp.dirs").text.find("/tmp/d") != std::string::npos);
  CHECK(n.world.disk.paths().empty());
  for (const auto& f : findings)
    CHECK(f.advice.empty());
}

TEST_CASE("the doctor says what is wrong with limits, disk and clock, and what to do") {
  node n;
  n.probe.files = {1024, 4096};
  n.probe.disk = {500 << 20, 1ull << 40};
  auto findings = n.examine();
  CHECK(worst(findings) == health::warn);
  CHECK(about(findings, "limit", "open files").result == health::warn);
  CHECK(about(findings, "limit", "open files").text == "1024 (at most 4096)");
  CHECK(about(findings, "limit", "open files").advice.find("LimitNOFILE") != std::string::npos);
  CHECK(about(findings, "disk space", "io.tmp.dirs").result == health::warn);
  n.probe.files = {128, 128};
  n.probe.disk.free = 10 << 20;
  findings = n.examine();
  CHECK(about(findings, "limit", "open files").result == health::fail);
  CHECK(about(findings, "disk space", "io.tmp.dirs").result == health::fail);

  node unset;
  unset.world.time.advance(1h);
  test::test_platform nineteen_seventy;
  const auto of_1970 = examine_node(unset.config, nineteen_seventy, unset.probe, {});
  CHECK(about(of_1970, "clock", "wall").result == health::fail);
}

TEST_CASE("the doctor tries what the engine will do with a directory") {
  node n;
  n.config.set("execution.checkpointing.dir", "file:///shared/checkpoints");
  faulty_file_system faulty{n.world.disk};
  n.world.files = &faulty;
  const auto calls_before = faulty.calls();
  CHECK(worst(n.examine()) == health::ok);
  const auto calls = faulty.calls() - calls_before;
  CHECK(calls > 10);
  CHECK(n.world.disk.paths().empty());
  std::uint64_t failed = 0;
  for (std::uint64_t k = 1; k <= calls; ++k) {
    CAPTURE(k);
    faulty.fail_any(k);
    const auto findings = n.examine();
    failed += worst(findings) == health::fail ? 1 : 0; // but for what only cleans up
    faulty.heal();
  }
  CHECK(failed >= calls - 6);
  faulty.fail_call(faulty_file_system::call::link, 1);
  const auto no_links = n.examine();
  CHECK(about(no_links, "directory", "execution.checkpointing.dir").result == health::fail);
  CHECK(about(no_links, "directory", "io.tmp.dirs").result == health::ok); // needs none
  faulty.disk_full_after(100);
  const auto full = about(n.examine(), "directory", "execution.checkpointing.dir");
  CHECK(full.result == health::fail);
  CHECK(!full.advice.empty());
}

TEST_CASE("the doctor names nodes that do not answer and programs of another version") {
  node n;
  const auto findings = n.examine({"other:1", "no-port", "host:99999"}, "1.2.4");
  for (const char* name : {"other:1", "no-port", "host:99999"}) {
    CHECK(about(findings, "node", name).result == health::fail);
    CHECK(!about(findings, "node", name).advice.empty());
  }
  const auto version = about(findings, "version", "libdataflow.so");
  CHECK(version.result == health::fail);
  CHECK(version.text.find("1.2.4") != std::string::npos);
}

TEST_CASE("the doctor reads the configuration of the log") {
  node n;
  n.config.set("log.levels", "job master=loud");
  CHECK(about(n.examine(), "log", "log.levels").result == health::fail);
}

TEST_CASE("findings are shown as text and as JSON") {
  const std::vector<finding> findings{{health::ok, "port", "rest.port", "8081 is free", {}},
                                      {health::warn, "open files", "limit", "few", "raise \"it\""},
                                      {health::fail, "node", "a:1", "gone", "look"}};
  CHECK(findings_as_text(findings) == "ok    port        rest.port: 8081 is free\n"
                                      "warn  open files  limit: few\n"
                                      "                  -> raise \"it\"\n"
                                      "fail  node        a:1: gone\n"
                                      "                  -> look\n"
                                      "1 ok, 1 warn, 1 fail\n");
  std::istringstream lines{findings_as_json(findings)};
  std::string line;
  std::getline(lines, line);
  std::getline(lines, line);
  const auto j = nlohmann::json::parse(line);
  CHECK(j["check"] == "open files");
  CHECK(j["result"] == "warn");
  CHECK(j["advice"] == "raise \"it\"");
}

TEST_CASE("the doctor works on this machine") {
  const test::temporary_directory d;
  configuration c;
  c.set("io.tmp.dirs", d / "tmp");
  c.set("execution.checkpointing.dir", d / "checkpoints");
  const auto listener = system_network().listen(0);
  const auto findings =
      examine_node(c, system_platform(), system_probe(), {.nodes = {"127.0.0.1:" + std::to_string(listener->port())}});
  CHECK(about(findings, "directory", "io.tmp.dirs").result == health::ok);
  CHECK(about(findings, "directory", "execution.checkpointing.dir").text.ends_with("with hard links"));
  CHECK(about(findings, "clock", "wall").result == health::ok);
  CHECK(about(findings, "node", "127.0.0.1:" + std::to_string(listener->port())).result == health::ok);
  CHECK(system_files().list(d / "checkpoints").empty());
}
