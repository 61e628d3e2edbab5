#include <dataflow/util/error.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/platform.hpp>

#include <algorithm>
#include <apps/dataflow/pipes.hpp>
#include <apps/dataflow/process_provider.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace dataflow::cli {

namespace {

constexpr std::chrono::seconds patience{15}; // longer than a task manager has for its tasks' ends
constexpr std::string_view command_key = "resourcemanager.provider.command";
const log_fields here{"task manager provider", {}, {}};

std::string command_of(const configuration& settings) {
  auto text = settings.text("resourcemanager.provider") == "command" ? settings.text(command_key) : std::string{};
  if (settings.text("resourcemanager.provider") == "command" && text.empty())
    throw error{errc::invalid_option,
                "resourcemanager.provider is command, and " + std::string{command_key} + " is empty",
                "give the command that starts one task manager"};
  return text;
}

command_template start_template(const configuration& settings) {
  auto text = command_of(settings);
  if (text.empty()) return {std::move(text), command_key, {}};
  return {std::move(text), command_key, {"resource_id"}, {"job_manager", "slots"}};
}

command_template stop_template(const configuration& settings) {
  constexpr std::string_view key = "resourcemanager.provider.stop-command";
  auto text = settings.text(key);
  if (text.empty()) return {std::move(text), key, {}};
  return {std::move(text), key, {"resource_id"}};
}

bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

std::string ending_of(int status) {
  if (WIFEXITED(status)) return "exit code " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) + ")";
}

bool in_order(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

/// One that is stopped hears it, too.
void ask_to_end(pid_t group) {
  ::kill(-group, SIGTERM);
  ::kill(-group, SIGCONT);
}

} // namespace

process_provider::process_provider(configuration settings)
    : settings_(std::move(settings)), command_(start_template(settings_)), stop_command_(stop_template(settings_)),
      directory_(settings_.text("resourcemanager.provider.log-directory")), own_directory_(directory_.empty()) {
  if (own_directory_)
    directory_ = system_files().temporary_name(settings_.text("io.tmp.dirs"), "dataflow-taskmanagers-");
  system_files().create_directories(directory_);
  if (::pipe2(alive_, O_CLOEXEC) != 0) throw file_error(errno, "make a pipe for", "task managers");
}

process_provider::~process_provider() {
  std::lock_guard lock{mutex_};
  waiting_.clear();
  std::vector<std::string> ids;
  for (auto& [id, c] : children_)
    ids.push_back(id);
  for (auto& id : ids)
    begin_to_stop(id);
  while (!children_.empty() || !stops_.empty()) {
    ::poll(nullptr, 0, 5);
    look();
  }
  ::close(alive_[0]);
  ::close(alive_[1]);
  try {
    if (own_directory_ && system_files().list(directory_).empty()) system_files().remove_all(directory_);
  } catch (...) {
    log_warn(here, current_error().cause());
  }
}

bool process_provider::local() const { return command_.empty(); }

std::string process_provider::log_of(const std::string& id) const { return join_path(directory_, id + ".log"); }
std::string process_provider::output_of(const std::string& id) const { return join_path(directory_, id + ".out"); }

void process_provider::start(const task_manager_pool::order& what) {
  std::lock_guard lock{mutex_};
  if (port_ == 0)
    waiting_.push_back(what);
  else
    launch(what);
}

void process_provider::job_manager_listens(std::uint16_t port) {
  std::lock_guard lock{mutex_};
  port_ = port;
  for (auto& what : std::exchange(waiting_, {})) {
    try {
      launch(what);
    } catch (...) {
      ended_.push_back({what.id, current_error().cause()});
    }
  }
}

std::vector<std::string> process_provider::local_arguments(const task_manager_pool::order& what) const {
  auto host = settings_.text("jobmanager.bind-host");
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  std::vector<std::string> all{"/proc/self/exe", "taskmanager", "-m" + host + ":" + std::to_string(port_)};
  for (const auto& [key, e] : settings_.values())
    // Where it finds the job manager is said above, where it logs below; several on one machine share no port.
    if (!key.starts_with("jobmanager.rpc.") && !key.starts_with("resourcemanager.") && key != "log.file.path" &&
        key != "taskmanager.resource-id" && key != "taskmanager.numberOfTaskSlots" && key != "taskmanager.data.port" &&
        key != "taskmanager.data.bind-port")
      all.push_back("-D" + key + "=" + e.value);
  all.push_back("-Dtaskmanager.resource-id=" + what.id);
  all.push_back("-Dtaskmanager.numberOfTaskSlots=" + std::to_string(what.slots));
  all.push_back("--starter=" + std::to_string(inherited_descriptor));
  return all;
}

void process_provider::launch(const task_manager_pool::order& what) {
  const auto pid = local() ? spawn(local_arguments(what), what.id)
                           : spawn({"/bin/sh", "-c",
                                    command_.filled({{"resource_id", what.id},
                                                     {"job_manager", settings_.text("jobmanager.rpc.address") + ":" +
                                                                         std::to_string(port_)},
                                                     {"slots", std::to_string(what.slots)}})},
                                   what.id);
  children_[what.id] = {pid, {}};
  log_info(here, "task manager " + what.id + ": process " + std::to_string(pid) + ", logs to " + log_of(what.id));
}

pid_t process_provider::spawn(std::vector<std::string> arguments, const std::string& id) const {
  return start_process(std::move(arguments), log_of(id), output_of(id), local() ? alive_[0] : -1);
}

void process_provider::stop(const std::string& id) {
  std::lock_guard lock{mutex_};
  begin_to_stop(id);
}

void process_provider::begin_to_stop(const std::string& id) {
  if (std::erase_if(waiting_, [&](auto& w) { return w.id == id; }) > 0) {
    ended_.push_back({id, "it was not started"});
    return;
  }
  look(); // it may have ended just now
  if (std::any_of(ended_.begin(), ended_.end(), [&](auto& e) { return e.id == id; })) return;
  const auto c = children_.find(id);
  if (c != children_.end() && c->second.pid > 0) {
    ask_to_end(c->second.pid);
    c->second.kill_at = system_clock().now() + patience;
    return;
  }
  if (c != children_.end()) children_.erase(c);
  run_stop_command(id);
}

void process_provider::run_stop_command(const std::string& id) {
  if (stop_command_.empty() || local()) {
    ended_.push_back({id, "it is left alone: nothing of it runs here, and there is no stop command"});
    return;
  }
  try {
    stops_[id] = {spawn({"/bin/sh", "-c", stop_command_.filled({{"resource_id", id}})}, id),
                  system_clock().now() + patience};
  } catch (...) {
    ended_.push_back({id, current_error().cause()});
  }
}

std::vector<task_manager_provider::ending> process_provider::ended() {
  std::lock_guard lock{mutex_};
  look();
  return std::exchange(ended_, {});
}

/// Who has ended, and who should have.
void process_provider::look() {
  const auto now = system_clock().now();
  std::vector<std::string> half_stopped; // it may have asked somebody else for a task manager before it ended
  for (auto* group : {&children_, &stops_}) {
    for (auto i = group->begin(); i != group->end();) {
      auto& [id, c] = *i;
      if (c.pid > 0 && !has_ended(c.pid)) {
        if (c.kill_at && now >= *c.kill_at) ::kill(-c.pid, SIGKILL);
        ++i;
        continue;
      }
      if (c.pid < 0) {
        ++i;
        continue;
      }
      // Until it is waited for, nobody else has its number.
      siginfo_t info{};
      ::waitid(P_PID, static_cast<id_t>(c.pid), &info, WEXITED | WNOHANG | WNOWAIT);
      const bool fine = info.si_code == CLD_EXITED && info.si_status == 0;
      const bool elsewhere = group == &children_ && !local() && fine && !c.kill_at;
      if (!elsewhere) ::kill(-c.pid, SIGKILL); // what it has started and left behind
      const int status = wait_for_child(c.pid);
      if (elsewhere) {
        c.pid = -1;
        ++i;
        continue;
      }
      if (group == &children_ && c.kill_at && !local() && !stop_command_.empty()) {
        half_stopped.push_back(id);
        i = group->erase(i);
        continue;
      }
      ended_.push_back({id, group == &children_ ? last_words(id, status)
                            : fine              ? "its stop command has ended it"
                                                : "its stop command failed: " + last_words(id, status)});
      tidy(id, fine);
      i = group->erase(i);
    }
  }
  for (const auto& id : half_stopped)
    run_stop_command(id);
}

/// Of a task manager that is gone. What its jobs have printed stays.
void process_provider::tidy(const std::string& id, bool in_order) const {
  auto& files = system_files();
  try {
    if (own_directory_ && in_order && files.exists(log_of(id))) files.remove(log_of(id));
    if (files.exists(output_of(id)) && files.status(output_of(id)).size == 0) files.remove(output_of(id));
  } catch (...) {
    log_warn(here, current_error().cause());
  }
}

std::string process_provider::last_words(const std::string& id, int status) const {
  auto text = ending_of(status);
  if (in_order(status)) return text;
  constexpr std::size_t longest = 300;
  try {
    const auto log = system_files().open_read(log_of(id));
    const auto size = log->size();
    std::string said(std::min<std::uint64_t>(size, longest), '\0');
    said.resize(log->read_at(said.data(), said.size(), size - said.size()));
    while (!said.empty() && said.back() == '\n')
      said.pop_back();
    if (!said.empty()) text += ": " + said;
  } catch (...) {
    text += " (its log cannot be read: " + current_error().cause() + ")";
  }
  return text;
}

std::shared_ptr<task_manager_provider> provider_of(const configuration& settings) {
  if (settings.text("resourcemanager.provider") == "none") return nullptr;
  auto made = std::make_shared<process_provider>(settings);
  system_platform().err->write("Task managers are started when jobs need slots; what they log and print is in " +
                               made->directory() + ".\n");
  return made;
}

} // namespace dataflow::cli
