#include <dataflow/util/file_system.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <tests/integration/program.hpp>
#include <tests/support/tree_paths.hpp>
#include <unistd.h>

namespace dataflow::test {

namespace {

/// The side that reads and the side of the program.
void open_terminal(int (&ends)[2]) {
  ends[0] = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends[0] < 0 || ::grantpt(ends[0]) != 0 || ::unlockpt(ends[0]) != 0) throw std::runtime_error{"no terminal"};
  ends[1] = ::open(::ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
  const winsize size{30, 100, 0, 0};
  if (ends[1] < 0 || ::ioctl(ends[1], TIOCSWINSZ, &size) != 0) throw std::runtime_error{"no terminal"};
}

} // namespace

program::program(const std::vector<std::string>& arguments, error_stream kind) {
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error{"no pipe"};
  if (kind == error_stream::terminal)
    open_terminal(err);
  else if (::pipe2(err, O_CLOEXEC) != 0)
    throw std::runtime_error{"no pipe"};
  std::vector<char*> argv;
  for (const auto& a : arguments)
    argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error{"no process"};
  if (pid_ == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);
  out_ = out[0];
  err_ = err[0];
}

program::~program() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
}

bool program::read_some(int patience) {
  pollfd both[2] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
  if (out_ < 0 && err_ < 0) return false;
  int n = 0;
  while ((n = ::poll(both, 2, patience)) < 0 && errno == EINTR) {
  }
  if (n == 0) return false;
  char buffer[65536];
  for (int i = 0; i < 2; ++i) {
    if (both[i].fd < 0 || both[i].revents == 0) continue;
    const auto got = ::read(both[i].fd, buffer, sizeof buffer);
    if (got > 0) {
      (i == 0 ? result_.out : result_.err).append(buffer, static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      ::close(both[i].fd);
      (i == 0 ? out_ : err_) = -1;
    }
  }
  return true;
}

void program::read_what_is_there() {
  while (read_some(0)) {
  }
}

bool program::wait_for_error(const std::string& text, int times) {
  const auto come = [&] {
    int n = 0;
    for (auto at = result_.err.find(text); at != std::string::npos; at = result_.err.find(text, at + 1))
      ++n;
    return n;
  };
  while (come() < times)
    if (!read_some()) return false;
  return true;
}

bool program::wait_for_output(const std::string& text) {
  while (result_.out.find(text) == std::string::npos)
    if (!read_some()) return false;
  return true;
}

std::string program::wait_for_line(const std::string& text) {
  for (;;) {
    const auto at = result_.err.find(text);
    const auto end = at == std::string::npos ? at : result_.err.find('\n', at);
    if (end != std::string::npos) return result_.err.substr(at + text.size(), end - at - text.size());
    if (!read_some()) throw std::runtime_error{"it ended without \"" + text + "\": " + result_.err};
  }
}

void program::signal(int number) { ::kill(pid_, number); }

outcome program::wait() {
  while (read_some()) {
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  result_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result_;
}

std::vector<std::string> dataflow_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), build_path("dataflow"));
  return arguments;
}

outcome dataflow(std::vector<std::string> arguments) { return program{dataflow_command(std::move(arguments))}.wait(); }

scratch::scratch() : directory_(::dataflow::system_files().temporary_name("", "dataflow-test-")) {
  ::dataflow::system_files().create_directories(directory_);
}

scratch::~scratch() {
  try {
    ::dataflow::system_files().remove_all(directory_);
  } catch (...) { // left behind in the place for temporary files
  }
}

std::string scratch::file(const std::string& name, const std::string& content) const {
  ::dataflow::system_files().write_file(path(name), content);
  return path(name);
}

} // namespace dataflow::test
