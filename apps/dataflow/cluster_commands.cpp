#include <dataflow/actors/network/leader_finder.hpp>
#include <dataflow/actors/network/nodes.hpp>
#include <dataflow/actors/network/remote_cluster.hpp>
#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>

#include <apps/dataflow/cluster_commands.hpp>
#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/interrupts.hpp>
#include <apps/dataflow/leading.hpp>
#include <apps/dataflow/local_cluster.hpp>
#include <apps/dataflow/log_reload.hpp>
#include <apps/dataflow/process_provider.hpp>
#include <apps/dataflow/try_job.hpp>
#include <csignal>
#include <ctime>

namespace dataflow::cli {

namespace {

using std::chrono::milliseconds;

void say(const std::string& text) { system_platform().err->write(text); }
void print(const std::string& text) { system_platform().out->write(text); }

actors::remote_address address_of(const command_line& line) {
  return {line.config.text("jobmanager.rpc.address"),
          static_cast<std::uint16_t>(line.config.integer("jobmanager.rpc.port"))};
}

std::string day_and_time(milliseconds wall) {
  const std::time_t seconds = wall.count() / 1000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%d.%m.%Y %H:%M:%S", &parts)};
}

/// Of a job manager among several: where the others' task managers and clients find it.
std::string published_address(const command_line& line) {
  if (line.config.text("high-availability.type") == "none") return {};
  if (line.config.integer("jobmanager.rpc.port") == 0)
    throw error{errc::invalid_option, "jobmanager.rpc.port is 0, and high-availability.type is not none",
                "give each job manager a port: others must find it"};
  return address_of(line).to_string();
}

constexpr std::size_t rule_width = 62;

std::string titled_rule(const std::string& title) {
  const auto room = rule_width - title.size() - 2;
  return std::string(room / 2, '-') + " " + title + " " + std::string(room - room / 2, '-') + "\n";
}

} // namespace

std::shared_ptr<actors::remote_cluster> cluster_of(const command_line& line) {
  return actors::remote_cluster::connect(
      address_of(line), std::chrono::duration_cast<milliseconds>(line.config.duration("client.timeout")),
      line.to_leader ? actors::leader_finder(line.config, system_platform()) : nullptr,
      actors::tls_files::from(line.config, system_files()));
}

std::string absolute(const std::string& directory) {
  if (directory.empty()) return directory;
  return uri_of(checkpoint_directory_of(directory)).substr(std::string_view{"file:"}.size());
}

int run_job_manager(const command_line& line) {
  const interrupts signals;
  ::signal(SIGPIPE, SIG_IGN);
  log_reload log{line.config, line.config_file};
  started_process here{line};
  leading place{line.config, published_address(line)};
  std::shared_ptr<actors::job_journal> journal;
  if (place.contested()) {
    say("The job manager stands by.\n");
    journal = place.campaign([&] {
      log.poll();
      return interrupts::received() != 0 || here.orphaned();
    });
    if (!journal) return exit_success;
    say("The job manager leads, with token " + std::to_string(journal->token()) + ".\n");
  }
  const auto provider = provider_of(line.config); // outlives the node
  const actors::job_manager_node node{line.config, built_in_examples(), try_in_child, journal, {}, provider};
  say("The job manager listens on " + line.config.text("jobmanager.bind-host") + ":" + std::to_string(node.port()) +
      ".\n");
  for (; interrupts::received() == 0 && !here.orphaned(); log.poll()) {
    if (node.wait_for(milliseconds{50})) {
      report_error(error{errc::component_lost, "the job manager has given up", "see its log"}, false);
      return exit_job_failed;
    }
    if (const auto why = place.lost()) { // whoever leads now runs its jobs
      report_error(why->within("this job manager leads no more"), false);
      return exit_job_failed;
    }
  }
  say("The job manager ends.\n");
  return exit_success;
}

int run_task_manager(const command_line& line) {
  const interrupts signals;
  ::signal(SIGPIPE, SIG_IGN);
  log_reload log{line.config, line.config_file};
  started_process here{line};
  const auto where = line.to_leader ? "the leading job manager" : address_of(line).to_string();
  const auto slots = std::max<std::int64_t>(1, line.config.integer("taskmanager.numberOfTaskSlots"));
  actors::task_manager_node node{line.config, built_in_examples(),
                                 [where, slots](const std::string& id, const error& why) {
                                   if (!id.empty())
                                     say("Task manager " + id + " has registered with " + where + ": " +
                                         std::to_string(slots) + (slots == 1 ? " slot.\n" : " slots.\n"));
                                   else if (why.code() != errc::none)
                                     say("Not registered: " + why.cause() + "\n");
                                 }};
  for (; interrupts::received() == 0 && !here.orphaned(); log.poll())
    if (node.wait_for(milliseconds{50})) {
      const auto why = node.failure();
      report_error(why, false);
      return exit_code_of(why);
    }
  say("The task manager leaves the cluster.\n");
  node.leave();
  constexpr milliseconds patience{10'000};
  return node.wait_for(patience) ? exit_success : exit_job_failed;
}

std::shared_ptr<job_client> submit_remotely(const command_line& line, const built_job& job) {
  auto cluster = cluster_of(line);
  cluster->on_waiting([](const std::string& what) { say("Waiting for resources: " + what + "\n"); });
  return cluster->submit(std::make_shared<const actors::job_origin>(origin_of(*cluster, line, job)));
}

actors::job_origin origin_of(actors::remote_cluster& cluster, const command_line& line, const built_job& job) {
  actors::job_origin origin;
  if (!job.library->path().empty()) {
    origin.artifact = cluster.upload(job.library->path());
    origin.library = std::string{file_name(job.library->path())};
  }
  origin.entry = job.name;
  origin.arguments = line.job_arguments;
  origin.files = job.files;
  origin.submit_time = job.submit_time;
  origin.random_seed = job.random_seed;
  origin.settings = line.config;
  origin.name = job.graph->settings.name;
  origin.fingerprint = actors::fingerprint_of(job.graph);
  for (const auto* key :
       {"execution.state-recovery.path", "execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"})
    if (const auto path = origin.settings.text(key); !path.empty() && path.find(":/") == std::string::npos)
      origin.settings.set(key, absolute(path), config_layer::command_line);
  return origin;
}

int list_jobs(const command_line& line) {
  const auto jobs = cluster_of(line)->jobs();
  std::string running, ended;
  for (const auto& j : jobs) {
    auto& to = is_terminal(j.status) ? ended : running;
    to += day_and_time(j.started) + " : " + j.id + " : " + j.name + " (" + std::string{to_string(j.status)} + ")";
    if (!j.waits_for.empty()) to += ", waiting: " + j.waits_for;
    to += "\n";
  }
  std::string text;
  if (running.empty())
    text += "No running jobs.\n";
  else
    text += titled_rule("Running/Restarting Jobs") + running + std::string(rule_width, '-') + "\n";
  if (line.all && !ended.empty()) text += titled_rule("Terminated Jobs") + ended + std::string(rule_width, '-') + "\n";
  print(text);
  return exit_success;
}

int cancel_job(const command_line& line) {
  const auto cluster = cluster_of(line);
  const auto refuse = [&](job_status status) {
    report_error(
        error{errc::job_not_found, "job " + line.job_id + " has ended before: it is " + std::string{to_string(status)}},
        false);
    return exit_not_runnable;
  };
  if (const auto status = cluster->report(line.job_id).status; is_terminal(status)) return refuse(status);
  const auto client = cluster->attach(line.job_id);
  print("Cancelling job " + line.job_id + ".\n");
  client->cancel();
  const auto result = client->wait();
  if (result.status != job_status::canceled) return refuse(result.status);
  print("Cancelled job " + line.job_id + ".\n");
  return exit_success;
}

int stop_job(const command_line& line) {
  const auto client = cluster_of(line)->attach(line.job_id);
  print((line.drain ? "Draining job \"" : "Suspending job \"") + line.job_id + "\" with a savepoint.\n");
  print("Savepoint completed. Path: " +
        uri_of(client->stop_with_savepoint(absolute(line.target_directory), line.drain)) + "\n");
  return exit_success;
}

int take_savepoint(const command_line& line) {
  const auto client = cluster_of(line)->attach(line.job_id);
  print("Triggering savepoint for job " + line.job_id + ".\n");
  print("Savepoint completed. Path: " + uri_of(client->trigger_savepoint(absolute(line.target_directory))) +
        "\nYou can resume your program from this savepoint with the run command.\n");
  return exit_success;
}

int take_checkpoint(const command_line& line) {
  const auto client = cluster_of(line)->attach(line.job_id);
  print("Triggering checkpoint for job " + line.job_id + ".\n");
  print("Checkpoint completed. Path: " + uri_of(client->trigger_checkpoint()) + "\n");
  return exit_success;
}

} // namespace dataflow::cli
