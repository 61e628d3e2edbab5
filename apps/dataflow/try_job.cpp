#include <dataflow/actors/network/job_code.hpp>
#include <dataflow/actors/network/wire.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/file_system.hpp>

#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/jobs.hpp>
#include <apps/dataflow/pipes.hpp>
#include <apps/dataflow/try_job.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace dataflow::cli {

namespace {

constexpr std::chrono::seconds longest_trial{60};
constexpr char program[] = "/proc/self/exe";

class descriptor {
public:
  explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
  ~descriptor() { close(); }
  descriptor(const descriptor&) = delete;
  void close() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void take(int fd) noexcept { fd_ = fd; }
  int get() const noexcept { return fd_; }

private:
  int fd_;
};

void make_pipe(descriptor& read_end, descriptor& write_end) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw file_error(errno, "make a pipe for", "a trial of a job");
  read_end.take(ends[0]);
  write_end.take(ends[1]);
}

/// What the child says, until it closes its end. False when that takes too long.
bool read_until(int fd, std::string& bytes, steady_time deadline) {
  char buffer[4096];
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - system_clock().now()).count();
    if (left <= 0) return false;
    pollfd p{fd, POLLIN, 0};
    const int ready = ::poll(&p, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return true;
    if (ready <= 0) continue;
    const auto n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return true;
    bytes.append(buffer, static_cast<std::size_t>(n));
  }
}

pid_t start(const std::string& path, int input, int output) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  std::string name{program}, verb{"try-job"}, library{path};
  char* arguments[] = {name.data(), verb.data(), library.data(), nullptr};
  pid_t child = -1;
  const int failed = ::posix_spawn(&child, program, &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw file_error(failed, "start a process for", "a trial of a job");
  return child;
}

} // namespace

void try_in_child(const actors::job_origin& origin, const std::string& path) {
  const auto what = origin.artifact.empty() ? "job " + origin.entry : "the job library " + origin.library;
  descriptor child_input, input, output, child_output;
  make_pipe(child_input, input);
  make_pipe(output, child_output);
  const auto child = start(path, child_input.get(), child_output.get());
  child_input.close();
  child_output.close();
  write_all(input.get(), actors::encode(origin)); // a child that is dead already says so below
  input.close();
  std::string word;
  const bool in_time = read_until(output.get(), word, system_clock().now() + longest_trial);
  if (!in_time) ::kill(child, SIGKILL);
  const int status = wait_for_child(child);
  if (!in_time)
    throw error{errc::timed_out, what + " took more than a minute to build its graph",
                "let the job's function only build the graph"};
  if (WIFSIGNALED(status))
    throw error{errc::bad_job_library,
                what + " crashed as it was loaded or built its graph: signal " + std::to_string(WTERMSIG(status)) +
                    " (" + ::strsignal(WTERMSIG(status)) + ")",
                "run it with `dataflow info` under a debugger"};
  if (word.empty())
    throw error{errc::bad_job_library, what + " ended the process that was to build its graph",
                "let the job's function only build the graph"};
  byte_reader in{std::string_view{word}};
  const auto code = in.fixed<errc>();
  std::string cause{in.text()}, advice{in.text()};
  if (code != errc::none) throw error{code, std::move(cause), std::move(advice)};
}

int try_job(const std::string& path) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int word = ::dup(STDOUT_FILENO); // what the job prints is no word
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  error failure;
  try {
    const auto bytes = read_all(STDIN_FILENO);
    const auto origin = actors::decode_job_origin(bytes);
    actors::build_graph(origin, actors::library_of(origin, path, built_in_examples()));
  } catch (...) {
    failure = current_error(errc::internal);
  }
  byte_writer out;
  out.fixed(failure.code());
  out.text(failure.cause());
  out.text(failure.advice());
  write_all(word, out.buffer());
  ::_exit(exit_success); // the job's code has nothing more to do here
}

} // namespace dataflow::cli
