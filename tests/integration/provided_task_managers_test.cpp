// Task managers that the job manager starts: as processes of its own, or by a command.
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/network.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <sstream>
#include <tests/integration/cluster_processes.hpp>
#include <tests/integration/counted_files.hpp>
#include <tests/support/tree_paths.hpp>

using namespace dataflow;
using dataflow::test::cluster_processes;
using dataflow::test::counted_job;
using dataflow::test::program;

namespace provided_task_managers_test {

const std::string short_jobs = dataflow::test::job_libraries + "libtest_jobs.so";

/// Also of what has no size, in /proc; empty if there is none.
std::string content(const std::string& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> all;
  const auto threads = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& t : system_files().list(threads)) {
    std::istringstream in{content(threads + "/" + t.name + "/children")};
    for (pid_t child = 0; in >> child;)
      all.push_back(child);
  }
  return all;
}

bool runs(pid_t pid) {
  const auto text = content("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = text.rfind(") ");
  return name_end != std::string::npos && text[name_end + 2] != 'Z';
}

/// The child of the job manager that runs this job's tasks; waits for it.
pid_t task_manager_of(const cluster_processes& c, const std::string& job) {
  for (;; ::poll(nullptr, 0, 10)) {
    c.job_manager->read_what_is_there();
    const auto& said = c.job_manager->error_so_far();
    const std::string after = " is started for job " + job;
    const auto at = said.rfind(after);
    if (at == std::string::npos) continue;
    const auto id = said.substr(said.rfind(' ', at - 1) + 1, at - said.rfind(' ', at - 1) - 1);
    const auto process = id + ": process ";
    const auto where = said.find(process);
    if (where == std::string::npos) continue;
    pid_t pid = 0;
    std::from_chars(said.data() + where + process.size(), said.data() + said.size(), pid);
    return pid;
  }
}

void wait_until_none_is_left(const cluster_processes& c) {
  while (!children_of(c.job_manager->pid()).empty())
    ::poll(nullptr, 0, 10);
}

/// Job libraries that a process has mapped, a line for each mapping.
std::size_t mapped_libraries(pid_t pid) {
  std::istringstream in{content("/proc/" + std::to_string(pid) + "/maps")};
  std::size_t n = 0;
  for (std::string line; std::getline(in, line);)
    n += line.find("dataflow-blobs-") != std::string::npos;
  return n;
}

std::vector<std::string> local(std::vector<std::string> more = {}) {
  more.insert(more.end(),
              {"-Dresourcemanager.provider=local", "-Dlog.level=info", "-Drestart-strategy.type=fixed-delay",
               "-Drestart-strategy.fixed-delay.attempts=100", "-Drestart-strategy.fixed-delay.delay=50ms"});
  return more;
}

std::string by_command(const std::string& prefix, const std::string& suffix) {
  return "-Dresourcemanager.provider.command=" + prefix + dataflow::test::build_path("dataflow") +
         " taskmanager -m {job_manager} -Dtaskmanager.resource-id={resource_id} "
         "-Dtaskmanager.numberOfTaskSlots={slots}" +
         suffix;
}

} // namespace provided_task_managers_test
using namespace provided_task_managers_test;

TEST_CASE("a job whose code crashes its process goes on in another one, and its neighbour in the session does not "
          "notice") {
  const dataflow::test::scratch dir;
  const auto taken = system_network().listen(0); // both would want it
  cluster_processes c{0, local({"-Dtaskmanager.data.port=" + std::to_string(taken->port())})};
  program neighbour{dataflow::test::dataflow_command(c.arguments("run", counted_job(dir, 20'000, "10000")))};
  (void)task_manager_of(c, neighbour.wait_for_line("Job has been submitted with JobID "));
  const auto crashes = c.client("run", {short_jobs, "--job", "crashes_once", "--marker", dir.path("crashed")});
  CHECK_MESSAGE(crashes.code == 0, crashes.err);
  CHECK_MESSAGE(crashes.err.find("Restarts: 1") != std::string::npos, crashes.err);
  CHECK(c.job_manager->wait_for_error("has ended: signal 11 "));
  dataflow::test::check_counted(neighbour, dir, 20'000, false); // no restart: it kept its process
  wait_until_none_is_left(c);
}

TEST_CASE("a task manager that is killed is replaced, and its job publishes everything once") {
  const dataflow::test::scratch dir;
  cluster_processes c{0, local()};
  program run{dataflow::test::dataflow_command(c.arguments("run", counted_job(dir, 20'000, "10000")))};
  const auto id = run.wait_for_line("Job has been submitted with JobID ");
  const auto process = task_manager_of(c, id);
  dataflow::test::wait_for_checkpoint(dir.path("checkpoints/" + id), 2);
  ::kill(process, SIGKILL);
  dataflow::test::check_counted(run, dir, 20'000, true);
  CHECK(task_manager_of(c, id) != process);
}

TEST_CASE("a task manager that stands still is replaced, and the one that wakes does nothing any more") {
  const dataflow::test::scratch dir;
  cluster_processes c{0, local({"-Dheartbeat.interval=200ms", "-Dheartbeat.timeout=1s"})};
  program run{dataflow::test::dataflow_command(c.arguments("run", counted_job(dir, 20'000, "5000")))};
  const auto id = run.wait_for_line("Job has been submitted with JobID ");
  const auto process = task_manager_of(c, id);
  dataflow::test::wait_for_checkpoint(dir.path("checkpoints/" + id), 2);
  ::kill(process, SIGSTOP);
  dataflow::test::check_counted(run, dir, 20'000, true);
  CHECK(task_manager_of(c, id) != process);
  wait_until_none_is_left(c); // whoever stops it wakes it
}

TEST_CASE("with TLS and a standby, the next leader starts task managers of its own for the job of a killed one") {
  const dataflow::test::scratch dir;
  const auto certificates = dir.path("certificates");
  REQUIRE(program{{dataflow::test::source_path("tools/make-certificates"), certificates, "node"}}.wait().code == 0);
  const auto settings = local(
      {"-Dhigh-availability.type=filesystem", "-Dhigh-availability.storageDir=" + dir.path("ha"),
       "-Dsecurity.ssl.internal.enabled=true", "-Dsecurity.ssl.internal.certificate=" + certificates + "/node.pem",
       "-Dsecurity.ssl.internal.key=" + certificates + "/node.key",
       "-Dsecurity.ssl.internal.authority=" + certificates + "/authority.pem"});
  const auto with = [&](std::vector<std::string> command) {
    command.insert(command.begin() + 1, settings.begin(), settings.end());
    return dataflow::test::dataflow_command(std::move(command));
  };
  const auto job_manager = [&] {
    return std::make_unique<program>(
        with({"jobmanager", "-Djobmanager.rpc.port=" + std::to_string(system_network().listen(0)->port())}));
  };
  auto leader = job_manager();
  REQUIRE(leader->wait_for_error("The job manager listens on "));
  const auto standby = job_manager();
  REQUIRE(standby->wait_for_error("The job manager stands by."));
  auto command = counted_job(dir, 20'000, "5000");
  command.insert(command.begin(), "run");
  program run{with(std::move(command))};
  const auto id = run.wait_for_line("Job has been submitted with JobID ");
  dataflow::test::wait_for_checkpoint(dir.path("checkpoints/" + id), 2);
  const auto children = children_of(leader->pid());
  CHECK(children.size() == 1);
  leader.reset(); // SIGKILL
  REQUIRE(standby->wait_for_error(" is started for job " + id));
  const auto end = run.wait();
  CHECK_MESSAGE(end.code == 0, end.err);
  CHECK(dataflow::test::difference(dataflow::test::lines_below(dir.path("output")),
                                   dataflow::test::counted_lines(20'000)) == "");
  for (const auto pid : children)
    while (runs(pid))
      ::poll(nullptr, 0, 10);
}

TEST_CASE("what started task managers log and their jobs print stays in the directory that is configured") {
  const dataflow::test::scratch dir;
  cluster_processes c{0, local({"-Dresourcemanager.provider.log-directory=" + dir.path("logs")})};
  const auto end = c.client("run", {short_jobs, "--job", "prints_one"});
  REQUIRE_MESSAGE(end.code == 0, end.err);
  c.job_manager->signal(SIGTERM);
  const auto last = c.job_manager->wait();
  CHECK_MESSAGE(last.code == 0, last.err);
  const auto after = last.err.find(" is started for job ");
  REQUIRE_MESSAGE(after != std::string::npos, last.err);
  const auto before = last.err.rfind(' ', after - 1) + 1;
  const auto id = last.err.substr(before, after - before);
  std::vector<std::string> left;
  for (const auto& entry : system_files().list(dir.path("logs")))
    left.push_back(entry.name);
  std::sort(left.begin(), left.end());
  CHECK(left == std::vector{id + ".log", id + ".out"});
  CHECK(content(dir.path("logs/" + id + ".log")).find("has registered with") != std::string::npos);
  CHECK(content(dir.path("logs/" + id + ".out")) == "1\n");
}

TEST_CASE("after ten short jobs no task manager is left, and the job manager maps no more of their library") {
  cluster_processes c{0, local()};
  std::size_t mapped = 0;
  for (int i = 0; i < 10; ++i) {
    const auto end = c.client("run", {short_jobs, "--job", "short_one"});
    REQUIRE_MESSAGE(end.code == 0, end.err);
    if (i == 0) mapped = mapped_libraries(c.job_manager->pid());
  }
  wait_until_none_is_left(c);
  CHECK(mapped > 0); // the library's source enumerators run there
  CHECK(mapped_libraries(c.job_manager->pid()) == mapped);
  c.job_manager->signal(SIGTERM);
  const auto end = c.job_manager->wait();
  CHECK_MESSAGE(end.code == 0, end.err);
}

TEST_CASE("task managers that a job manager has started end with it, in order or not") {
  for (const int signal : {SIGTERM, SIGKILL}) {
    const dataflow::test::scratch dir;
    cluster_processes c{0, local()};
    program run{dataflow::test::dataflow_command(c.arguments("run", counted_job(dir, 20'000, "100")))};
    const auto process = task_manager_of(c, run.wait_for_line("Job has been submitted with JobID "));
    REQUIRE(runs(process));
    c.job_manager->signal(signal);
    (void)c.job_manager->wait();
    while (runs(process))
      ::poll(nullptr, 0, 10);
  }
}

TEST_CASE("task managers are started by a command that runs as long as they do") {
  const dataflow::test::scratch dir;
  cluster_processes c{0, {"-Dresourcemanager.provider=command", by_command("exec ", ""), "-Dlog.level=info"}};
  const auto end = c.client("run", {short_jobs, "--job", "short_one", "-p", "2"});
  CHECK_MESSAGE(end.code == 0, end.err);
  wait_until_none_is_left(c);
}

TEST_CASE("task managers are started by a command that ends at once, and stopped by another one") {
  const dataflow::test::scratch dir;
  cluster_processes c{0,
                      {"-Dresourcemanager.provider=command",
                       by_command("setsid ", " & echo $! > " + dir.path("{resource_id}")), "-Dlog.level=info",
                       "-Dresourcemanager.provider.stop-command=kill $(cat " + dir.path("{resource_id})")}};
  const auto end = c.client("run", {short_jobs, "--job", "short_one"});
  CHECK_MESSAGE(end.code == 0, end.err);
  REQUIRE(c.job_manager->wait_for_error("has ended: its stop command has ended it"));
  const auto left = system_files().list(dir.path(""));
  REQUIRE(left.size() == 1);
  pid_t process = 0;
  const auto text = content(dir.path(left[0].name));
  std::from_chars(text.data(), text.data() + text.size(), process);
  REQUIRE(process > 0);
  while (runs(process))
    ::poll(nullptr, 0, 10);
}

TEST_CASE("a job whose task managers cannot be started fails and says why") {
  cluster_processes c{0,
                      {"-Dresourcemanager.provider=command",
                       "-Dresourcemanager.provider.command=no-such-program {resource_id}", "-Dslot.request.timeout=2s",
                       "-Dresourcemanager.start-worker.retry-interval=100ms"}};
  const auto end = c.client("run", {short_jobs, "--job", "short_one"});
  CHECK(end.code == 1);
  CHECK_MESSAGE(end.err.find("Waiting for resources: the job needs 1 slots, 0 of 0 are free, 1 is missing; ") !=
                    std::string::npos,
                end.err);
  const auto failure = end.err.substr(std::min(end.err.size(), end.err.find("error: ")));
  CHECK_MESSAGE(failure.find("no_resources") != std::string::npos, end.err);
  CHECK_MESSAGE(failure.find("ended before it registered: exit code 127: ") != std::string::npos, end.err);
  CHECK_MESSAGE(failure.find("no-such-program") != std::string::npos, end.err);
}

TEST_CASE("a job manager does not start with a provider that cannot work") {
  const auto refusal = [](std::vector<std::string> settings) {
    settings.insert(settings.begin(), {"jobmanager", "-Djobmanager.rpc.port=0"});
    const auto end = dataflow::test::dataflow(std::move(settings));
    CHECK(end.code == 2);
    return end.err;
  };
  const auto must_say = [](const std::string& text, const std::string& part) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  };
  must_say(refusal({"-Dresourcemanager.provider=cloud"}), "resourcemanager.provider");
  must_say(refusal({"-Dresourcemanager.provider=command"}), "resourcemanager.provider.command is empty");
  must_say(refusal({"-Dresourcemanager.provider=command", "-Dresourcemanager.provider.command=run {slots}"}),
           "resourcemanager.provider.command has no {resource_id}");
  must_say(
      refusal({"-Dresourcemanager.provider=command", "-Dresourcemanager.provider.command=run {resource_id} {host}"}),
      "resourcemanager.provider.command has {host}, for which there is no value");
  must_say(refusal({"-Dresourcemanager.provider=command", "-Dresourcemanager.provider.command=run {resource_id}",
                    "-Dresourcemanager.provider.stop-command=kill"}),
           "resourcemanager.provider.stop-command has no {resource_id}");
  must_say(refusal({"-Dresourcemanager.provider=local", "-Dtaskmanager.numberOfTaskSlots=4",
                    "-Dslotmanager.number-of-slots.max=3"}),
           "slotmanager.number-of-slots.max is 3, and one task manager has 4 slots");
  must_say(refusal({"-Dslotmanager.number-of-slots.max=0"}), "slotmanager.number-of-slots.max");
  must_say(refusal({"-Dresourcemanager.taskmanager-timeout=soon"}), "resourcemanager.taskmanager-timeout");
}
