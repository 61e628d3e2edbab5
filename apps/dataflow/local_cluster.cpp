#include <dataflow/actors/network/remote_cluster.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/platform.hpp>

#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/local_cluster.hpp>
#include <apps/dataflow/pipes.hpp>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace dataflow::cli {

namespace {

constexpr std::chrono::seconds start_deadline{20}, stop_deadline{10};
constexpr std::string_view pid_suffix = ".pid", log_suffix = ".log", job_manager_name = "jobmanager";
constexpr char all_is_well = 'g';

std::string directory_of(const command_line& line) {
  if (!line.cluster_directory.empty()) return line.cluster_directory;
  auto parent = line.config.text("io.tmp.dirs");
  if (parent.empty()) parent = parent_directory(system_files().temporary_name("", "dataflow-"));
  return join_path(parent, "dataflow-cluster-" + std::to_string(::getuid()));
}

/// The process that holds the pid file's lock; 0: nobody does.
pid_t owner_of(const std::string& pid_file) {
  auto& files = system_files();
  if (!files.exists(pid_file) || files.lock(pid_file)) return 0;
  const auto text = files.read_file(pid_file);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid;
}

std::vector<std::string> pid_files_in(const std::string& directory) {
  std::vector<std::string> found;
  if (!system_files().exists(directory)) return found;
  for (const auto& e : system_files().list(directory))
    if (e.name.ends_with(pid_suffix)) found.push_back(join_path(directory, e.name));
  return found;
}

void pause() { ::poll(nullptr, 0, 10); }

template <class F>
bool wait_until(F&& done, std::chrono::seconds time) {
  const auto end = system_clock().now() + time;
  while (!done()) {
    if (system_clock().now() > end) return false;
    pause();
  }
  return true;
}

/// SIGTERM to all, SIGKILL to who does not heed it. How many there were.
std::size_t stop_all(const std::string& directory) {
  std::size_t stopped = 0;
  const auto files = pid_files_in(directory);
  for (const auto& file : files)
    if (const auto pid = owner_of(file); pid > 0 && ::kill(pid, SIGTERM) == 0) ++stopped;
  for (const auto& file : files) {
    if (!wait_until([&] { return owner_of(file) == 0; }, stop_deadline))
      if (const auto pid = owner_of(file); pid > 0) ::kill(pid, SIGKILL);
    wait_until([&] { return owner_of(file) == 0; }, stop_deadline);
    system_files().remove(file);
  }
  return stopped;
}

class starter {
public:
  /// `show_output`: what jobs print comes out here, not in the logs.
  starter(const command_line& line, std::string directory, bool show_output = false)
      : line_(line), directory_(std::move(directory)), show_output_(show_output) {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw file_error(errno, "make a pipe for", directory_);
  }
  ~starter() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  starter(const starter&) = delete;

  void start(const std::string& name, std::vector<std::string> more) {
    const auto log = log_of(name);
    system_files().remove(log);
    std::vector<std::string> arguments{"/proc/self/exe"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    for (const auto& [key, e] : line_.config.values())
      if (key != "jobmanager.rpc.port" || name == job_manager_name)
        if (key != "jobmanager.rpc.address") arguments.push_back("-D" + key + "=" + e.value);
    arguments.push_back("--pid-file=" + join_path(directory_, name + std::string{pid_suffix}));
    arguments.push_back("--starter=" + std::to_string(inherited_descriptor));
    children_.push_back({name, start_process(std::move(arguments), log, show_output_ ? "" : log, ends_[0])});
  }
  /// Waits until the log of that process has this text; returns what follows it in the line.
  std::string wait_for(const std::string& name, const std::string& text) {
    std::string rest;
    bool ended = false;
    wait_until(
        [&] {
          if (const auto at = find(name, text)) rest = *at;
          ended = rest.empty() && has_ended(name);
          return !rest.empty() || ended;
        },
        start_deadline);
    if (!rest.empty()) return rest;
    const auto said = system_files().exists(log_of(name)) ? system_files().read_file(log_of(name)) : std::string{};
    throw error{errc::component_lost,
                "the " + name + (ended ? " has ended" : " is not ready in time") + ": " +
                    said.substr(said.size() > 400 ? said.size() - 400 : 0),
                "see " + log_of(name)};
  }
  void all_well() {
    for (std::size_t i = 0; i < children_.size(); ++i)
      [[maybe_unused]] const auto n = ::write(ends_[1], &all_is_well, 1);
  }

private:
  struct child {
    std::string name;
    pid_t pid;
  };
  std::string log_of(const std::string& name) const { return join_path(directory_, name + std::string{log_suffix}); }
  std::optional<std::string> find(const std::string& name, const std::string& text) {
    if (!system_files().exists(log_of(name))) return {};
    const auto said = system_files().read_file(log_of(name));
    const auto at = said.find(text);
    const auto end = at == std::string::npos ? at : said.find('\n', at);
    if (end == std::string::npos) return {};
    return said.substr(at + text.size(), end - at - text.size());
  }
  bool has_ended(const std::string& name) {
    for (const auto& c : children_)
      if (c.name == name) return ::waitpid(c.pid, nullptr, WNOHANG) == c.pid;
    return true;
  }

  const command_line& line_;
  const std::string directory_;
  const bool show_output_;
  int ends_[2] = {-1, -1};
  std::vector<child> children_;
};

} // namespace

namespace {

/// Starts all processes of a cluster and waits until they are ready; returns the job manager's address.
std::string start_all(starter& processes, unsigned task_managers) {
  processes.start(std::string{job_manager_name}, {"jobmanager"});
  auto address = processes.wait_for(std::string{job_manager_name}, "The job manager listens on ");
  address.pop_back(); // the full stop
  for (unsigned i = 1; i <= task_managers; ++i)
    processes.start("taskmanager-" + std::to_string(i), {"taskmanager", "-m" + address});
  for (unsigned i = 1; i <= task_managers; ++i)
    processes.wait_for("taskmanager-" + std::to_string(i), "has registered with ");
  return address;
}

} // namespace

int start_cluster(const command_line& line) {
  const auto directory = directory_of(line);
  system_files().create_directories(directory);
  for (const auto& file : pid_files_in(directory)) {
    if (const auto pid = owner_of(file); pid > 0)
      throw error{errc::storage_locked,
                  "a cluster runs in " + directory + " already (process " + std::to_string(pid) + ")",
                  "stop it with `dataflow cluster stop`, or name another --directory"};
    system_files().remove(file);
  }
  ::signal(SIGPIPE, SIG_IGN);
  starter processes{line, directory};
  try {
    const auto address = start_all(processes, line.task_managers);
    processes.all_well();
    system_platform().out->write("A cluster runs at " + address + " with " + std::to_string(line.task_managers) +
                                 " task managers; its logs and pid files are in " + directory +
                                 ".\nRun a job with `dataflow run -m " + address +
                                 " <job>`, stop it with `dataflow cluster stop" +
                                 (line.cluster_directory.empty() ? "" : " --directory " + directory) + "`.\n");
    return exit_success;
  } catch (...) {
    stop_all(directory);
    throw;
  }
}

int run_application(const command_line& line) {
  if (line.detached || (line.remote && !line.to_leader))
    throw error{errc::invalid_option,
                "run-application waits for its job, on a cluster of its own: -d and -m are not for it",
                "use `dataflow cluster start` and `dataflow run -m`"};
  ::signal(SIGPIPE, SIG_IGN);
  auto& files = system_files();
  const auto directory = files.temporary_name(line.config.text("io.tmp.dirs"), "dataflow-application-");
  files.create_directories(directory);
  auto cluster = line;
  cluster.config.set("jobmanager.rpc.port", "0");
  cluster.config.set("high-availability.type", "none"); // it has one job manager, and ends with it
  const auto over = [&] {
    stop_all(directory);
    files.remove_all(directory);
  };
  try {
    int code = exit_internal;
    {
      starter processes{cluster, directory, true}; // never says that all is well: the processes end with this one
      const auto where = actors::remote_address::parse(start_all(processes, line.task_managers));
      auto job = line;
      job.remote = true;
      job.to_leader = false;
      job.config.set("high-availability.type", "none");
      job.config.set("jobmanager.rpc.address", where.host);
      job.config.set("jobmanager.rpc.port", std::to_string(where.port));
      code = run(job);
    }
    over();
    return code;
  } catch (...) {
    over();
    throw;
  }
}

int stop_cluster(const command_line& line) {
  const auto directory = directory_of(line);
  const auto stopped = stop_all(directory);
  system_platform().out->write(stopped == 0 ? "No cluster runs in " + directory + ".\n"
                                            : "Stopped " + std::to_string(stopped) + " processes.\n");
  return exit_success;
}

started_process::started_process(const command_line& line) : starter_(line.starter) {
  if (!line.pid_file.empty()) {
    lock_ = system_files().lock(line.pid_file);
    if (!lock_) throw error{errc::storage_locked, "another process has the pid file " + line.pid_file};
    system_files().write_file(line.pid_file, std::to_string(::getpid()) + "\n");
  }
  if (starter_ >= 0) ::fcntl(starter_, F_SETFD, FD_CLOEXEC);
}

started_process::~started_process() {
  if (starter_ >= 0) ::close(starter_);
}

bool started_process::orphaned() {
  if (starter_ < 0) return false;
  pollfd p{starter_, POLLIN, 0};
  if (::poll(&p, 1, 0) <= 0) return false;
  char word = 0;
  const auto n = ::read(starter_, &word, 1);
  if (n < 0) return false;
  ::close(starter_);
  starter_ = -1;
  return n == 0;
}

} // namespace dataflow::cli
