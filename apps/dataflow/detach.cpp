#include <dataflow/util/file_system.hpp>

#include <apps/dataflow/detach.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/pipes.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace dataflow::cli {

namespace {

/// The foreground: what the background says in its first words decides.
int wait_for_word(int from, pid_t child, const std::string& log) {
  const auto word = read_all(from);
  ::close(from);
  const auto colon = word.find(':');
  if (colon == std::string::npos) { // it ended without a word
    const int status = wait_for_child(child);
    if (WIFEXITED(status)) return WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : exit_internal;
    std::fprintf(stderr, "error: the process of the job died of signal %d before the job ran; see %s\n",
                 WTERMSIG(status), log.c_str());
    return 128 + WTERMSIG(status);
  }
  const int code = std::atoi(word.c_str());
  std::FILE* const to = code == exit_success ? stdout : stderr;
  std::fputs(word.c_str() + colon + 1, to);
  std::fflush(to);
  return code;
}

} // namespace

int run_detached(const std::string& log, const std::function<int(std::function<void(int, const std::string&)>)>& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw file_error(errno, "make a pipe for", log);
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (file < 0 || nothing < 0) throw file_error(errno, "open", file < 0 ? log : "/dev/null");
  const pid_t child = ::fork();
  if (child < 0) throw file_error(errno, "start a process for", log);
  if (child > 0) {
    ::close(ends[1]);
    return wait_for_word(ends[0], child, log);
  }
  ::close(ends[0]);
  ::setsid();
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  bool told = false;
  const int code = body([&](int word, const std::string& text) {
    if (std::exchange(told, true)) return;
    write_all(ends[1], std::to_string(word) + ":" + text); // the foreground may be gone: then there is nobody to tell
    ::close(ends[1]);
  });
  std::exit(code);
}

} // namespace dataflow::cli
