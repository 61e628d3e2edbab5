// A cluster of real processes with a standby job manager, and faults of all kinds, one after the other, as a seed says.
//
// DATAFLOW_FAULT_CYCLES: how many (6, fewer under a sanitizer), DATAFLOW_FAULT_SEED: which (another one in each run; it
// is printed).
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/network.hpp>
#include <dataflow/util/random.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <poll.h>
#include <sstream>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>
#include <tests/integration/faulty_link.hpp>
#include <tests/integration/program.hpp>
#include <tests/support/effort.hpp>

using namespace dataflow;
using dataflow::test::faulty_link;
using dataflow::test::program;

namespace random_faults_test {

constexpr std::int64_t records = 300'000;

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// A task manager whose data comes over a link that we can spoil.
struct worker {
  std::uint16_t listens = system_network().listen(0)->port();
  faulty_link link{listens};
  std::unique_ptr<program> process;
};

class battlefield {
public:
  explicit battlefield(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 2; ++i)
      managers_.push_back(start_manager());
    until([&] { return leader() >= 0; });
    for (int i = 0; i < 3; ++i) {
      workers_.push_back(std::make_unique<worker>());
      start(*workers_.back());
    }
  }
  std::vector<std::string> with(std::vector<std::string> command) const {
    command.insert(command.end(), settings_.begin(), settings_.end());
    return command;
  }
  std::vector<std::string> running(const std::string& rate, std::vector<std::string> more) const {
    more.insert(more.begin(), {"run", "-p", "2"});
    return with(dataflow::test::counted_job(dir_, records, rate, std::move(more)));
  }
  std::string output() const { return dir_.path("output"); }
  std::string savepoints() const { return dir_.path("savepoints"); }

  /// The job completes checkpoints.
  void wait_for_progress(const std::string& id) {
    const auto directory = dir_.path("checkpoints/" + id);
    dataflow::test::wait_for_checkpoint(directory, dataflow::test::newest_checkpoint(directory) + 2);
  }
  void until(const std::function<bool()>& condition) {
    while (!condition())
      ::poll(nullptr, 0, 10);
  }
  const std::string& what() const noexcept { return what_; }

  /// One fault, and what puts the processes back that it has cost.
  void strike() {
    auto& w = *workers_[random_() % workers_.size()];
    const auto kind = random_() % 8;
    what_ = kinds[kind];
    std::fprintf(stderr, "%s\n", kinds[kind]); // also when it hangs
    switch (kind) {
    case 0: // a task manager dies
      w.process.reset();
      start(w);
      break;
    case 1: // stands still until others have noticed, or have not
      w.process->signal(SIGSTOP);
      pause(200 + random_() % 800);
      w.process->signal(SIGCONT);
      break;
    case 2: // the leader dies
      replace(leader());
      break;
    case 3: { // the leader stands still until another one leads
      const auto old = leader();
      managers_[static_cast<std::size_t>(old)]->process->signal(SIGSTOP);
      until([&] { return leader() >= 0 && leader() != old; });
      managers_[static_cast<std::size_t>(old)]->process->signal(SIGCONT);
      CHECK(managers_[static_cast<std::size_t>(old)]->process->wait().code == 1);
      replace(old);
      break;
    }
    case 4: // the standby dies
      replace(1 - leader());
      break;
    case 5: // connections are forgotten
      w.link.reset();
      break;
    case 6: { // silence on the way to a task manager, from it, or both
      constexpr faulty_link::way ways[] = {faulty_link::way::there, faulty_link::way::back, faulty_link::way::both};
      w.link.hole(ways[random_() % 3]);
      pause(200 + random_() % 2500);
      w.link.no_hole();
      break;
    }
    default: // the leader and a task manager at once
      w.process.reset();
      replace(leader());
      start(w);
    }
  }

private:
  static constexpr const char* kinds[] = {"SIGKILL of a task manager",
                                          "SIGSTOP of a task manager",
                                          "SIGKILL of the leading job manager",
                                          "SIGSTOP of the leading job manager",
                                          "SIGKILL of the standby job manager",
                                          "reset of the links of a task manager",
                                          "silence of the links of a task manager",
                                          "SIGKILL of the leading job manager and a task manager"};
  struct manager {
    std::unique_ptr<program> process;
    bool leads = false;
  };
  std::unique_ptr<manager> start_manager() {
    auto m = std::make_unique<manager>();
    const auto port = system_network().listen(0)->port();
    m->process = std::make_unique<program>(
        dataflow::test::dataflow_command(with({"jobmanager", "-Djobmanager.rpc.port=" + std::to_string(port)})));
    REQUIRE(m->process->wait_for_error("The job manager stands by."));
    return m;
  }
  void start(worker& w) {
    w.process = std::make_unique<program>(dataflow::test::dataflow_command(
        with({"taskmanager", "-Dtaskmanager.data.port=" + std::to_string(w.link.port()),
              "-Dtaskmanager.data.bind-port=" + std::to_string(w.listens)})));
  }
  void replace(int index) {
    managers_[static_cast<std::size_t>(index)]->process.reset();
    managers_[static_cast<std::size_t>(index)] = start_manager();
    until([&] { return leader() >= 0; });
  }
  /// -1: nobody, yet.
  int leader() {
    for (int i = 0; i < 2; ++i) {
      auto& m = *managers_[static_cast<std::size_t>(i)];
      m.process->read_what_is_there();
      if (m.process->error_so_far().find("The job manager listens on ") != std::string::npos && !m.leads) {
        m.leads = true;
        led_last_ = i;
      }
    }
    return led_last_ >= 0 && managers_[static_cast<std::size_t>(led_last_)]->leads ? led_last_ : -1;
  }
  void pause(std::uint64_t milliseconds) { ::poll(nullptr, 0, static_cast<int>(milliseconds)); }

  dataflow::test::scratch dir_;
  std::vector<std::string> settings_{"-Dhigh-availability.type=filesystem",
                                     "-Dhigh-availability.storageDir=" + dir_.path("ha"),
                                     "-Dhigh-availability.lease-timeout=700ms",
                                     "-Dhigh-availability.poll-interval=50ms",
                                     "-Dheartbeat.interval=100ms",
                                     "-Dheartbeat.timeout=500ms",
                                     "-Drestart-strategy.type=fixed-delay",
                                     "-Drestart-strategy.fixed-delay.attempts=1000000",
                                     "-Drestart-strategy.fixed-delay.delay=50ms"};
  random_source random_;
  std::vector<std::unique_ptr<manager>> managers_;
  int led_last_ = -1;
  std::vector<std::unique_ptr<worker>> workers_;
  std::string what_ = "nothing";
};

} // namespace random_faults_test
using namespace random_faults_test;

TEST_CASE("random faults of processes and links: no result is lost or published twice") {
  const auto seed = number_of("DATAFLOW_FAULT_SEED", dataflow::random_seed() % 1'000'000);
  const auto cycles = number_of("DATAFLOW_FAULT_CYCLES", dataflow::test::sanitized ? 2 : 6);
  const auto told = "DATAFLOW_FAULT_SEED=" + std::to_string(seed) + " DATAFLOW_FAULT_CYCLES=" + std::to_string(cycles);
  std::fprintf(stderr, "%s\n", told.c_str());
  battlefield field{seed};
  const auto submitted = dataflow::test::dataflow(field.running("2000", {"-d"}));
  REQUIRE_MESSAGE(submitted.code == 0, submitted.err);
  const auto id = dataflow::test::cluster_processes::id_in(submitted.out);
  field.wait_for_progress(id);
  for (std::uint64_t i = 0; i < cycles; ++i) {
    field.strike();
    field.wait_for_progress(id);
  }
  // All that is left, at once: in another run, from where this one stops.
  dataflow::test::outcome stopped;
  while (dataflow::test::cluster_processes::savepoint_in(stopped.out).empty()) {
    stopped = dataflow::test::dataflow(field.with({"stop", "--savepointPath", field.savepoints(), id}));
    INFO(stopped.err);
    REQUIRE(stopped.code <= 3);
  }
  const auto rest = dataflow::test::dataflow(
      field.running("10000000", {"-s", dataflow::test::cluster_processes::savepoint_in(stopped.out)}));
  CHECK_MESSAGE(rest.code == 0, rest.err);
  const auto wrong =
      dataflow::test::difference(dataflow::test::lines_below(field.output()), dataflow::test::counted_lines(records));
  CHECK_MESSAGE(wrong == "", told);
  CHECK(wrong == "");
}
